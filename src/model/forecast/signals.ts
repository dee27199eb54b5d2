// What is known of one track as a row of numbers for each moment ahead: history and books -> the inputs of the risk.

import {
  type Books,
  followPeaks,
  followTrend,
  lookAhead,
  takeDoubt,
  takeFading,
} from './courses.ts'
import { type Piles, takeProgress, takeRepetition } from './piles.ts'
import type { History } from './points.ts'
import { preferLonger, type Trend, takeLevel, takeTrend } from './trend.ts'

/** Names of the inputs, in their order. More of a danger never means less risk; of a circumstance it may. */
export const DANGERS = [
  'level of seconds',
  'level of a minute',
  'level of ten minutes',
  'trend of a minute',
  'trend of three minutes',
  'trend of ten minutes',
  'trend of the hour',
  'bent trend of a minute',
  'bent trend of three minutes',
  'peaks',
  'share in use',
  'part of the climb that is done',
] as const
export const CIRCUMSTANCES = [
  'trust in peaks',
  'logarithm of the horizon',
  'demand beyond ten minutes',
  'demand beyond use',
  'doubt of three minutes',
  'doubt of ten minutes',
] as const

const [SECONDS, MINUTE, MINUTES, TEN_MINUTES, HOUR] = [12, 60, 180, 600, 3000]
/** Beyond so many of its own errors a forecast is as sure as it gets. */
const MOST_ERRORS = 5
const UNIT_ERRORS = 2
const HASTY = [DANGERS.indexOf('trend of a minute'), DANGERS.indexOf('bent trend of a minute')]
const COURSES = (
  ['level of seconds', 'bent trend of a minute', 'bent trend of three minutes'] as const
).map((name) => DANGERS.indexOf(name))
const HOUR_TREND = DANGERS.indexOf('trend of the hour')
const PEAKS = DANGERS.indexOf('peaks')
const DOUBT = DANGERS.length + CIRCUMSTANCES.indexOf('doubt of ten minutes')
const FULL_REACH = 0.5
const FULL_DOUBT = 0.5

export interface SignalParts {
  readonly history: History
  readonly piles: Piles
  readonly books: Books
  readonly watchedSeconds: number
  /** Destinations of the pool that are followed. */
  readonly destinations: number
}

/** One row for each moment; undefined where nothing is known of rates yet. */
export function takeSignals(
  { history, piles, books, destinations }: SignalParts,
  moments: readonly number[],
): readonly (readonly number[])[] | undefined {
  const { capacityPorts, usedPorts, schedule } = books
  const parts = {
    lifetimeSeconds: schedule.lifetimeSeconds,
    seenFromSeconds: history.seenFromSeconds,
    destinations,
  }
  const look = (seconds: number) => takeTrend(history.points, seconds, parts)
  const [seconds, minute, minutes] = [look(SECONDS), look(MINUTE), look(MINUTES)]
  const [tenMinutes, hour] = [look(TEN_MINUTES), look(HOUR)]
  if (!seconds || !minute || !minutes || !tenMinutes || !hour) return undefined
  const usual = takeLevel(tenMinutes)
  const lately = takeLevel(minute, usual)
  const level = takeLevel(seconds, lately)
  const ten = preferLonger(tenMinutes, hour)
  const three = preferLonger(minutes, ten)
  const one = preferLonger(minute, three)
  const ahead = lookAhead(books, moments)
  const follow = (trend: Trend, fading: number | undefined) =>
    followTrend(books, trend, ahead, fading === undefined ? 'level' : { fading })
  const dangers = [
    follow(level, undefined),
    follow(lately, undefined),
    follow(usual, undefined),
    follow(one, 0),
    follow(three, 0),
    follow(ten, 0),
    follow(hour, 0),
    follow(one, takeFading(three, one)),
    follow(three, takeFading(ten, three)),
  ]
  const now = { ports: usedPorts, atSeconds: history.points.at(-1)?.atSeconds ?? 0 }
  const peaks = followPeaks(capacityPorts, takeRepetition(piles, capacityPorts, now), moments)
  const doubts = [takeDoubt(books, minutes, moments), takeDoubt(books, tenMinutes, moments)]
  const share = usedPorts / capacityPorts
  const progress = takeProgress(piles, capacityPorts, usedPorts)
  const beyondUsual = (level.demand - usual.demand) / capacityPorts
  const beyondUse = (level.demand - usedPorts) / capacityPorts
  return moments.map((at, i) => {
    const { danger = 0, trust = 0 } = peaks[i] ?? {}
    return [
      ...dangers.map((values) => bound(values[i] ?? 0)),
      trust * bound(danger),
      share,
      progress,
      trust,
      Math.log10(Math.min(at, 7200) / 100),
      Math.min(1, Math.max(-1, beyondUsual)),
      Math.min(1, Math.max(-1, beyondUse)),
      ...doubts.map((values) => values[i] ?? 0),
    ]
  })
}

/**
 * 0 where no forecast but the hastiest comes near the limit, and chance hides nothing that would: what they do not see,
 * nothing foretells.
 */
export function takeReach(inputs: readonly number[]): number {
  const least = -MOST_ERRORS / UNIT_ERRORS
  let nearest = least
  for (let i = 0; i <= PEAKS; i++) {
    if (HASTY.includes(i) || (i === PEAKS && inputs[i] === 0)) continue
    nearest = Math.max(nearest, inputs[i] ?? 0)
  }
  const doubt = takeDoubted(inputs) / FULL_DOUBT
  return Math.min(1, Math.max((nearest - least) / FULL_REACH, 2 * doubt - 1, 0))
}

/** How far beyond the limit the newest courses are, in errors: they are at it when nothing changes. */
export function takeCourse(inputs: readonly number[]): number {
  return Math.max(...COURSES.map((index) => inputs[index] ?? 0))
}

/** Takes the forecast of the trend of the hour, which alone tells what is far. */
export function takeFarCourse(inputs: readonly number[]): number {
  return inputs[HOUR_TREND] ?? 0
}

/** What chance may hide, as part of what is free. */
export function takeDoubted(inputs: readonly number[]): number {
  return inputs[DOUBT] ?? 0
}

function bound(errors: number): number {
  return Math.min(MOST_ERRORS, Math.max(-MOST_ERRORS, errors)) / UNIT_ERRORS
}
