// How good a probability risk is: random traces -> pairs of forecast and outcome -> Brier scores beside the baselines', and how
// often what was given a chance came true.

import { baselines } from './baselines.ts'
import { takeGrace } from './demands.ts'
import { createRandom } from './random.ts'
import { HORIZON_SECONDS, replay } from './replay.ts'
import { simulate } from './simulation.ts'
import { createTrace, WATCHED_SECONDS } from './traces.ts'

export interface Judged {
  readonly kind: string
  readonly riskRatio: number
  /** 1 when an allocation failed within the horizon. */
  readonly outcome: number
  readonly baselines: readonly number[]
}

export interface Bin {
  readonly from: number
  readonly to: number
  readonly count: number
  readonly meanRisk: number
  readonly frequency: number
}

const INSTANTS = 10
const WARM_UP_SECONDS = 120
const BINS = 5

/** Instants drawn evenly from the time between onset and failure, the first two minutes left out. */
export function judgeTrace(seed: string, intervalSeconds: number): readonly Judged[] {
  const random = createRandom(seed)
  const trace = createTrace(random, HORIZON_SECONDS)
  const run = simulate(trace, random, intervalSeconds)
  // Before the first sample that comes later than the usual one nobody can know of it.
  const graceSeconds = takeGrace(intervalSeconds)
  const from = Math.max(WARM_UP_SECONDS, trace.onsetSeconds + graceSeconds)
  const failed = run.failedAtSeconds ?? Number.POSITIVE_INFINITY
  const to = Math.min(failed, trace.onsetSeconds + WATCHED_SECONDS)
  if (to <= from) return []
  const instants = Array.from({ length: INSTANTS }, () => {
    const at = random.between(from, to)
    return run.readings.findLastIndex((reading) => reading.atSeconds <= at)
  })
  const readings = run.readings.slice(0, Math.max(...instants) + 1)
  const moments = replay({ readings })
  return instants.map((index) => {
    const moment = moments[index]
    if (moment?.riskRatio === undefined) throw new Error(`No risk at reading ${index} of "${seed}"`)
    const seen = readings.slice(0, index + 1)
    return {
      kind: trace.name,
      riskRatio: moment.riskRatio,
      outcome: failed <= moment.reading.atSeconds + HORIZON_SECONDS ? 1 : 0,
      baselines: baselines.map((one) => one.judge(seen, HORIZON_SECONDS)),
    }
  })
}

export function takeMean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)
}

/** Mean squared distance between what was forecast and what came. */
export function takeBrier(
  judged: readonly Judged[],
  forecast: (one: Judged) => number = (one) => one.riskRatio,
): number {
  return takeMean(judged.map((one) => (forecast(one) - one.outcome) ** 2))
}

export function takeBins(judged: readonly Judged[]): readonly Bin[] {
  return Array.from({ length: BINS }, (_, bin) => {
    const inside = judged.filter(
      (one) => Math.min(BINS - 1, Math.floor(one.riskRatio * BINS)) === bin,
    )
    return {
      from: bin / BINS,
      to: (bin + 1) / BINS,
      count: inside.length,
      meanRisk: takeMean(inside.map((one) => one.riskRatio)),
      frequency: takeMean(inside.map((one) => one.outcome)),
    }
  })
}
