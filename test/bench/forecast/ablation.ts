// What each part of the forecast earns: without it, the weights are learned anew on one half and judged on the other.

import { takeProbability } from '../../../src/model/forecast/risk.ts'
import { CIRCUMSTANCES, DANGERS } from '../../../src/model/forecast/signals.ts'
import { JUDGED_WEIGHT, type ReachedLesson } from './examples.ts'
import { learnWeights } from './lessons.ts'

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
  { name: 'doubt', inputs: /^doubt/ },
]

/** Brier over the instants of both halves, each judged with what was learned of the other one. */
export function takeLearnedBrier(halves: readonly (readonly ReachedLesson[])[]): number {
  let [sum, count] = [0, 0]
  halves.forEach((learned, i) => {
    const weights = learnWeights(learned)
    for (const { inputs, failed, weight, reach } of halves[1 - i] ?? []) {
      if (weight !== JUDGED_WEIGHT) continue
      const risk = reach === 0 ? 0 : reach * takeProbability(weights, inputs)
      sum += (risk - (failed ? 1 : 0)) ** 2
      count++
    }
  })
  return sum / count
}

export function renderAblation(halves: readonly (readonly ReachedLesson[])[]): string {
  return [
    '## What each part earns\n',
    'Brier over the instants of both halves that were learned from, each judged with the weights of the other half.\n',
    '| without | Brier |\n| --- | --- |',
    ...parts.map(({ name, inputs }) => {
      const brier = takeLearnedBrier(halves.map((lessons) => blind(lessons, inputs)))
      return `| ${name} | ${brier.toFixed(4)} |`
    }),
    '',
  ].join('\n')
}

function blind(
  lessons: readonly ReachedLesson[],
  inputs: RegExp | undefined,
): readonly ReachedLesson[] {
  if (inputs === undefined) return lessons
  return lessons.map((lesson) => ({
    ...lesson,
    inputs: lesson.inputs.map((value, i) => (inputs.test(NAMES[i] ?? '') ? 0 : value)),
  }))
}
