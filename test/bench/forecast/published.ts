// What is published of simulated runs with the shipped weights, other than the risk: how often nothing is known, and how good
// the ETA is.

import type { FamilyRun } from './examples.ts'
import { HORIZON_SECONDS } from './family.ts'
import type { Moment } from './replay.ts'

/** An ETA is off by this many powers of e at most, and one that is not said is off by as many. */
const WORST_ERROR = 5

export interface Outlooks {
  /** Readings without a risk, before the failure. */
  readonly unknown: number
  /** Readings of runs without a failure, and how many of them have an ETA. */
  readonly safe: number
  readonly falseEtas: number
  /** Readings before a failure, and the sum of how far their ETAs are off. */
  readonly failing: number
  readonly errors: number
}

const NONE: Outlooks = { unknown: 0, safe: 0, falseEtas: 0, failing: 0, errors: 0 }

/** Sums over the readings of a run whose next 15 minutes are known. */
export function takeOutlooks(run: FamilyRun, moments: readonly Moment[]): Outlooks {
  const { failedAtSeconds, readings } = run
  const end = readings.at(-1)?.atSeconds ?? 0
  const sums = { ...NONE }
  for (const { reading, riskRatio, etaSeconds } of moments) {
    const { atSeconds } = reading
    if (failedAtSeconds !== undefined && atSeconds >= failedAtSeconds) break
    if (riskRatio === undefined) sums.unknown++
    else if (failedAtSeconds !== undefined) {
      const left = Math.max(1, failedAtSeconds - atSeconds)
      const error =
        etaSeconds === undefined ? WORST_ERROR : Math.log(Math.max(1, etaSeconds) / left)
      sums.failing++
      sums.errors += Math.min(WORST_ERROR, Math.abs(error))
    } else if (atSeconds + HORIZON_SECONDS <= end) {
      sums.safe++
      if (etaSeconds !== undefined) sums.falseEtas++
    }
  }
  return sums
}

export function addOutlooks(all: readonly Outlooks[]): Outlooks {
  return all.reduce(
    (sum, one) => ({
      unknown: sum.unknown + one.unknown,
      safe: sum.safe + one.safe,
      falseEtas: sum.falseEtas + one.falseEtas,
      failing: sum.failing + one.failing,
      errors: sum.errors + one.errors,
    }),
    NONE,
  )
}
