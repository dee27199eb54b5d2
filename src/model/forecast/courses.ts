// The simple forecasts that the risk is combined of: trends, timetable and peaks -> by each moment, how close to the
// limit each of them comes, in units of its own error. None of them is right; how far each is believed is learned
// (weights.ts).

import type { Repetition } from './piles.ts'
import { countRemaining, type Schedule } from './schedule.ts'
import type { Trend } from './trend.ts'

/** The pool as it is. */
export interface Books {
  readonly capacityPorts: number
  readonly usedPorts: number
  readonly schedule: Schedule
}

/** A moment ahead, and what is left by then of the TIME_WAIT that is there now. */
export interface Ahead {
  readonly seconds: number
  readonly remainingPorts: number
}

export function lookAhead({ schedule }: Books, moments: readonly number[]): readonly Ahead[] {
  return moments.map((seconds) => ({
    seconds,
    remainingPorts: countRemaining(schedule, seconds),
  }))
}

/** Part of a change that a forecast of it may be wrong by. */
const CHANGE_DOUBT = 0.2
/** Two trends tell how they fade only when their middles are so far apart. */
const LEAST_APART_SECONDS = 10
/** What has faded to less than this part has faded. */
const MOST_FADED = 20
/** Share of the capacity; nothing is known more exactly. */
const LEAST_DOUBT = 0.002

/** How long a trend goes on: 0 where its level stays, else the trend fades by so much a second, if at all. */
export type Course = 'level' | { readonly fading: number }

/** Ports in use minus capacity, over the error of that, at its worst up to each of the moments. */
export function followTrend(
  { capacityPorts, usedPorts, schedule }: Books,
  trend: Trend,
  ahead: readonly Ahead[],
  course: Course,
): readonly number[] {
  const life = schedule.lifetimeSeconds
  const fading = course === 'level' ? 0 : course.fading
  const rise = (at: number) => {
    if (course === 'level') return 0
    return fading * at < 1e-3 ? at : (1 - Math.exp(-fading * at)) / fading
  }
  let worst = Number.NEGATIVE_INFINITY
  return ahead.map(({ seconds: at, remainingPorts }) => {
    const live = Math.max(0, trend.livePorts + trend.liveSlope * rise(at))
    const recent = Math.min(at, life)
    const closing =
      trend.demand - trend.livePorts + (trend.demandSlope - trend.liveSlope) * rise(at - recent / 2)
    const used = live + (Math.max(0, closing) / life) * recent + remainingPorts
    const change = CHANGE_DOUBT * (used - usedPorts)
    const reach = course === 'level' ? 0 : rise(at) + trend.middleSeconds
    const variance =
      trend.variance +
      change ** 2 +
      (trend.slopeDeviation * reach) ** 2 +
      (LEAST_DOUBT * capacityPorts) ** 2 +
      1
    worst = Math.max(worst, (used - capacityPorts) / Math.sqrt(variance))
    return worst
  })
}

/** Ports that chance may hide in the slope until each moment, as part of what is free. */
export function takeDoubt(
  books: Books,
  trend: Trend,
  moments: readonly number[],
): readonly number[] {
  const free = Math.max(1, books.capacityPorts - books.usedPorts)
  return moments.map((at) => Math.min(2, (trend.slopeDeviation * at) / free))
}

/** How fast a trend fades, per second: from the slope of a longer time to that of a shorter one. */
export function takeFading(longer: Trend, shorter: Trend): number {
  const apart = longer.middleSeconds - shorter.middleSeconds
  const [before, now] = [longer.demandSlope, shorter.demandSlope]
  if (apart < LEAST_APART_SECONDS || before <= 0 || now >= before) return 0
  return Math.log(before / Math.max(now, before / MOST_FADED)) / apart
}

export function followPeaks(
  capacityPorts: number,
  repetition: (horizonSeconds: number) => Repetition,
  moments: readonly number[],
): readonly { readonly danger: number; readonly trust: number }[] {
  return moments.map((at) => {
    const { ports, deviation, trust, awaited } = repetition(at)
    return { danger: (ports - capacityPorts) / deviation - awaited, trust }
  })
}
