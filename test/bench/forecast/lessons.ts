// What is learned: families -> the weights of the risk.

import type { Weights } from '../../../src/model/forecast/risk.ts'
import { DANGERS } from '../../../src/model/forecast/signals.ts'
import { listLessons, type ReachedLesson, simulateFamily, takeInterval } from './examples.ts'
import { SPLIT_SEED } from './families.ts'
import type { Family } from './family.ts'
import { learn } from './network.ts'
import { createRandom } from './random.ts'

const COURSE = { hidden: 5, passes: 20, decay: 1e-3, dangers: DANGERS.length }

export function drawLessons(families: readonly Family[], runs: number): readonly ReachedLesson[] {
  return families.flatMap((family) =>
    Array.from({ length: runs }, (_, run) =>
      listLessons(simulateFamily(family, `${SPLIT_SEED} lesson ${run}`, takeInterval(run))),
    ).flat(),
  )
}

export function learnWeights(lessons: readonly ReachedLesson[]): Weights {
  const reached = lessons.filter(({ reach }) => reach > 0)
  return learn(reached, createRandom(SPLIT_SEED), COURSE)
}
