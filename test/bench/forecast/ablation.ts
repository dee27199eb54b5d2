// What each part of the forecast earns: without it, the weights are learned anew on one half and judged on the other.

import { takeProbability } from '../../../src/model/forecast/risk.ts'
import { CIRCUMSTANCES, DANGERS } from '../../../src/model/forecast/signals.ts'
import { learnWeights } from './lessons.ts'
import type { Lesson } from './network.ts'

const NAMES: readonly string[] = [...DANGERS, ...CIRCUMSTANCES]

const parts: readonly { readonly name: string; readonly inputs: RegExp | undefined }[] = [
  { name: 'nothing', inputs: undefined },
  { name: 'levels of the demand', inputs: /^level/ },
  { name: 'trends', inputs: /^(bent )?trend/ },
  { name: 'bent trends', inputs: /^bent/ },
  { name: 'trend of the hour', inputs: /^trend of the hour/ },
  { name: 'peaks', inputs: /peaks$/ },
  { name: 'share in use and climb', inputs: /^(share|part)/ },
  { name: 'demand beyond use and habit', inputs: /^demand/ },
]

/** Brier over the instants of both halves that any forecast reaches. */
export function renderAblation(halves: readonly (readonly Lesson[])[]): string {
  const rows = parts.map(({ name, inputs }) => {
    let [sum, count] = [0, 0]
    const without = halves.map((lessons) => lessons.map((lesson) => blind(lesson, inputs)))
    without.forEach((learned, i) => {
      const weights = learnWeights(learned)
      const most = Math.max(...learned.map(({ weight }) => weight))
      for (const lesson of without[1 - i] ?? []) {
        if (lesson.weight < most) continue
        sum += (takeProbability(weights, lesson.inputs) - (lesson.failed ? 1 : 0)) ** 2
        count++
      }
    })
    return `| ${name} | ${(sum / count).toFixed(4)} |`
  })
  return [
    '## What each part earns\n',
    'Brier, over both halves, of weights learned on the other half, where any forecast comes near the limit.\n',
    '| without | Brier |\n| --- | --- |',
    ...rows,
    '',
  ].join('\n')
}

function blind(lesson: Lesson, inputs: RegExp | undefined): Lesson {
  if (inputs === undefined) return lesson
  const seen = lesson.inputs.map((value, i) => (inputs.test(NAMES[i] ?? '') ? 0 : value))
  return { ...lesson, inputs: seen }
}
