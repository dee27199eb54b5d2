// What is learned: families -> the weights of the risk.

import type { Weights } from '../../../src/model/forecast/risk.ts'
import { DANGERS } from '../../../src/model/forecast/signals.ts'
import { listLessons, simulateFamily, takeInterval } from './examples.ts'
import { SPLIT_SEED } from './families.ts'
import type { Family } from './family.ts'
import { type Lesson, learn } from './network.ts'
import { createRandom } from './random.ts'

const COURSE = { hidden: 5, passes: 20, decay: 1e-3, dangers: DANGERS.length }

export function drawLessons(families: readonly Family[], runs: number): readonly Lesson[] {
  return families.flatMap((family) =>
    Array.from({ length: runs }, (_, run) =>
      listLessons(simulateFamily(family, `${SPLIT_SEED} lesson ${run}`, takeInterval(run))),
    ).flat(),
  )
}

export function learnWeights(lessons: readonly Lesson[]): Weights {
  return learn(lessons, createRandom(SPLIT_SEED), COURSE)
}
