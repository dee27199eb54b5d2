// What is known of one track as a row of numbers for each moment ahead: history and books -> the inputs of the risk.

import { type Books, followPeaks, followTrend, lookAhead, takeDoubt } from './courses.ts'
import { type Piles, takeRepetition } from './piles.ts'
import type { History } from './points.ts'
import { preferLonger, takeLevel, takeTrend } from './trend.ts'

/** Names of the inputs, in their order. More of a danger never means less risk; of a circumstance it may. */
export const DANGERS = [
  'level of seconds',
  'level of a minute',
  'level of ten minutes',
  'trend of a minute',
  'trend of three minutes',
  'trend of ten minutes',
  'trend of the hour',
  'peaks',
  'share in use',
] as const
export const CIRCUMSTANCES = ['trust in peaks', 'logarithm of the horizon'] as const

const [SECONDS, MINUTE, MINUTES, TEN_MINUTES, HOUR] = [12, 60, 180, 600, 3000]
/** Beyond so many of its own errors a forecast is as sure as it gets. */
const MOST_ERRORS = 5
const UNIT_ERRORS = 2
const HASTY = DANGERS.indexOf('trend of a minute')
const COURSES = (['level of seconds', 'trend of a minute', 'trend of three minutes'] as const).map(
  (name) => DANGERS.indexOf(name),
)
const HOUR_TREND = DANGERS.indexOf('trend of the hour')
const PEAKS = DANGERS.indexOf('peaks')
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

/** What is known of one moment ahead. */
export interface Signals {
  /** Of the risk: DANGERS, then CIRCUMSTANCES. */
  readonly inputs: readonly number[]
  /** What chance may hide until then in the trend of ten minutes, as part of what is free. */
  readonly doubt: number
}

/** One for each moment; undefined where nothing is known of rates yet. */
export function takeSignals(
  { history, piles, books, destinations }: SignalParts,
  moments: readonly number[],
): readonly Signals[] | undefined {
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
  const dangers = [level, lately, usual, one, three, ten, hour].map((trend) =>
    followTrend(books, trend, ahead),
  )
  const now = { ports: usedPorts, atSeconds: history.points.at(-1)?.atSeconds ?? 0 }
  const peaks = followPeaks(capacityPorts, takeRepetition(piles, capacityPorts, now), moments)
  const doubts = takeDoubt(books, tenMinutes, moments)
  const share = usedPorts / capacityPorts
  return moments.map((at, i) => {
    const { danger = 0, trust = 0 } = peaks[i] ?? {}
    const inputs = [
      ...dangers.map((values) => bound(values[i] ?? 0)),
      trust * bound(danger),
      share,
      trust,
      Math.log10(Math.min(at, 7200) / 100),
    ]
    return { inputs, doubt: doubts[i] ?? 0 }
  })
}

/**
 * 0 where no forecast but the hasty one of a minute comes near the limit, and chance hides nothing that would: what they do not see, nothing
 * foretells.
 */
export function takeReach({ inputs, doubt }: Signals): number {
  const least = -MOST_ERRORS / UNIT_ERRORS
  let nearest = least
  for (let i = 0; i <= PEAKS; i++) {
    if (i === HASTY || (i === PEAKS && inputs[i] === 0)) continue
    nearest = Math.max(nearest, inputs[i] ?? 0)
  }
  const hidden = (2 * doubt) / FULL_DOUBT - 1
  return Math.min(1, Math.max((nearest - least) / FULL_REACH, hidden, 0))
}

/** How far beyond the limit the newest courses are, in errors: they are at it when nothing changes. */
export function takeCourse({ inputs }: Signals): number {
  return Math.max(...COURSES.map((index) => inputs[index] ?? 0))
}

/** Takes the forecast of the trend of the hour, which alone tells what is far. */
export function takeFarCourse({ inputs }: Signals): number {
  return inputs[HOUR_TREND] ?? 0
}

function bound(errors: number): number {
  return Math.min(MOST_ERRORS, Math.max(-MOST_ERRORS, errors)) / UNIT_ERRORS
}
