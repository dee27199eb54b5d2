// How fast a track's connections are being opened: points -> the longest stretch up to now that one rate, or one straight
// line of rates, explains within chance, with its rate, slope and age.

import { findLine } from './line.ts'
import { type Look, lookBack, type Stretch } from './look.ts'
import type { Point } from './points.ts'

export interface Arrivals extends Omit<Stretch, 'first'> {
  /** The rate before the stretch; equal to `rate` where nothing is known of it. */
  readonly rateBefore: number
}

/** Two stretches differ when they are so many standard errors apart: with thousands of looks an hour, 3 would cry wolf. */
const MOST_VARIANCES = 5 ** 2
/** A count of few is skewed: five standard errors above its mean are so many more (Cornish and Fisher: (z2 - 1) / 6). */
const SKEW = 4
/** A line has to explain so much longer a stretch than a level does... */
const LINE_ADVANTAGE = 1.5
/** ...and to rise or fall by so many standard errors. */
const LINE_DEVIATIONS = 3
const BEFORE_SECONDS = 120
/** A load that has just changed wavers: after this long its rate is as uncertain as twice what counting alone would say. */
const SETTLE_SECONDS = 25

export function takeArrivals(points: readonly Point[], dispersion: number): Arrivals {
  const look = lookBack(points, dispersion)
  if (look.count < 2) {
    const nothing = { rate: 0, rateDeviation: 0, slope: 0, slopeDeviation: 0, fading: 0 }
    return { ...nothing, ageSeconds: 0, rateBefore: 0 }
  }
  const level = findLevel(look)
  const line = findLine(look, LINE_ADVANTAGE * level.ageSeconds)
  const lined = line !== undefined && Math.abs(line.slope) > LINE_DEVIATIONS * line.slopeDeviation
  const { first, ...chosen } = lined ? line : level
  return {
    ...chosen,
    rateDeviation:
      chosen.rateDeviation * (1 + SETTLE_SECONDS / (chosen.ageSeconds + SETTLE_SECONDS / 5)),
    rateBefore: takeRateBefore(look, first) ?? chosen.rate,
  }
}

function findLevel(look: Look): Stretch {
  let first = 1
  for (let i = 2; i < look.count; i++) if (isOneRate(look, i)) first = i
  const seconds = look.ago[first] ?? 1
  return {
    first,
    rate: Math.max(0, (look.opened[first] ?? 0) / seconds),
    rateDeviation: Math.sqrt(look.variance[first] ?? 0) / seconds,
    slope: 0,
    slopeDeviation: 0,
    fading: 0,
    ageSeconds: seconds,
  }
}

/** Whether the mean rate of the stretch is that of every shorter one up to now. */
function isOneRate(look: Look, first: number): boolean {
  const seconds = look.ago[first] ?? 1
  const rate = (look.opened[first] ?? 0) / seconds
  const chance = (look.variance[first] ?? 0) / seconds ** 2
  for (let i = first - 1; i > 0; i--) {
    const part = look.ago[i] ?? 1
    // Of two nested stretches the difference varies by what the shorter one has more (counts in turn are independent).
    const variance = (look.variance[i] ?? 0) - chance * part * part
    const more = (look.opened[i] ?? 0) - rate * part
    const apart = Math.abs(more) - (more > 0 ? SKEW * look.dispersion : 0.5)
    if (apart > 0 && apart * apart > MOST_VARIANCES * Math.max(variance, 1e-9 * part * part)) {
      return false
    }
  }
  return true
}

/** Over the time that ends where the stretch begins; the interval in which it began belongs to neither. */
function takeRateBefore(look: Look, first: number): number | undefined {
  const end = first + 1
  const endAgo = look.ago[end]
  if (endAgo === undefined || end >= look.count - 1) return undefined
  let begin = end + 1
  while (begin < look.count - 1 && (look.ago[begin] ?? 0) < endAgo + BEFORE_SECONDS) begin++
  const seconds = (look.ago[begin] ?? endAgo) - endAgo
  return seconds > 0
    ? Math.max(0, ((look.opened[begin] ?? 0) - (look.opened[end] ?? 0)) / seconds)
    : undefined
}
