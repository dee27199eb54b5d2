// The forecast of one track: what is known of it -> risk within the horizon and time to the first failure.

import type { Arrivals } from './arrivals.ts'
import type { Growth } from './growth.ts'
import { listCutNormalPoints, listNormalPoints } from './normal.ts'
import { addPassage, CERTAIN } from './passage.ts'
import { type Books, type Course, createProjection, listMoments } from './path.ts'

export interface Outlook {
  readonly riskRatio: number
  /** The moment by which a failure is as likely as not if everything goes on as it does; undefined when there is none in a day. */
  readonly etaSeconds: number | undefined
}

export interface OutlookParts {
  readonly books: Books
  readonly arrivals: Arrivals
  readonly growth: Growth | undefined
  /** Share of the connections opened lately that closed again: what piles up without end is no load that stays. */
  readonly closingRatio: number
  /** What the rate falls back to if it does not stay. */
  readonly rateBack: number
  /** Probability that the present rate of arrivals is still there after so many seconds. */
  readonly staying: (seconds: number) => number
  readonly horizonSeconds: number
}

/** Probability, by each moment, of a failure if ... */
interface Curves {
  /** ...the load falls back to what it was before its last rise... */
  readonly fallen: Float64Array
  /** ...or stays as it is... */
  readonly level: Float64Array
  /** ...or goes on changing as it does... */
  readonly trend: Float64Array
  /** ...and live ports go on piling up; undefined where they do not. */
  readonly piled: Float64Array | undefined
  /** Probability that they do. */
  readonly realRatio: number
}

const FARTHEST_SECONDS = 86_400
const MANY_POINTS = listNormalPoints(9)
const FEW_POINTS = listNormalPoints(3)
/** In standard deviations of the fluctuations: an uncertainty of the level so small needs few points. */
const FINE_RATIO = 0.5
/** Some trends end soon, whatever their age; the others last as long again as they have, give or take. */
const SOON_RATIO = 0.3
const SOON_SECONDS = 120
const TREND_EXPONENT = 0.8
/** Sockets that nobody closes do not begin to close by themselves; what a slow server holds comes back some time. */
const LEAK_EXPONENT = 0.05
const SLOWED_EXPONENT = 0.35
const GRACE_SECONDS = 30
const REAL_LEAST = 0.02

export function takeOutlook(parts: OutlookParts): Outlook {
  const { books, arrivals, growth, horizonSeconds } = parts
  const moments = listMoments(horizonSeconds, Math.max(FARTHEST_SECONDS, horizonSeconds))
  const project = createProjection(books, moments)
  if (isSafe(project(takeWorst(parts)))) return { riskRatio: 0, etaSeconds: undefined }

  const memory = books.lifetimeSeconds + books.holdSeconds
  const average = (courses: readonly Course[]) => {
    const chances = new Float64Array(moments.length)
    for (const course of courses) {
      addPassage(chances, moments, { margins: project(course), memory, weight: 1 / courses.length })
    }
    return chances
  }
  const curves = drawCurves(parts, average)
  const lasts = (exponent: number, ageSeconds: number) => (at: number) =>
    ((ageSeconds + GRACE_SECONDS) / (ageSeconds + GRACE_SECONDS + at)) ** exponent
  const lindy = lasts(TREND_EXPONENT, arrivals.ageSeconds)
  const trendLasts = (at: number) =>
    SOON_RATIO * Math.exp(-at / SOON_SECONDS) + (1 - SOON_RATIO) * lindy(at)
  const slowed = growth?.slowedRatio ?? 0
  const pileExponent = LEAK_EXPONENT + (SLOWED_EXPONENT - LEAK_EXPONENT) * slowed
  const pileLasts = lasts(pileExponent, growth?.ageSeconds ?? 0)

  // Each way of going on ends some time; what then counts is the next milder one.
  const within = moments.filter((at) => at <= horizonSeconds)
  const { fallen, level, trend, piled, realRatio } = curves
  let risk = fallen[within.length - 1] ?? 0
  risk = endUp(within, level, { lasts: parts.staying, otherwise: risk })
  if (trend !== level) risk = endUp(within, trend, { lasts: trendLasts, otherwise: risk })
  if (piled !== undefined) {
    risk = mix(risk, endUp(within, piled, { lasts: pileLasts, otherwise: risk }), realRatio)
  }
  const goingOn =
    piled === undefined ? trend : trend.map((chance, i) => mix(chance, piled[i] ?? 0, realRatio))
  return {
    riskRatio: Math.min(1, Math.max(0, risk)),
    etaSeconds: takeMedian(moments, goingOn),
  }
}

/** Probability of a failure when things go on along `chances` until, by `lasts`, they stop; then it is `otherwise`. */
function endUp(
  moments: readonly number[],
  chances: Float64Array,
  { lasts, otherwise }: { lasts: (at: number) => number; otherwise: number },
): number {
  let risk = chances[0] ?? 0
  let lasting = 1
  for (let i = 1; i < moments.length; i++) {
    const [before, now] = [chances[i - 1] ?? 0, chances[i] ?? 0]
    const next = lasts(moments[i] ?? 0)
    risk += (now - before) * next + otherwise * (1 - now) * (lasting - next)
    lasting = next
  }
  return risk
}

function mix(a: number, b: number, share: number): number {
  return a + (b - a) * share
}

function drawCurves(
  { books, arrivals, growth, rateBack, ...parts }: OutlookParts,
  average: (courses: readonly Course[]) => Float64Array,
): Curves {
  const real = growth === undefined || growth.realRatio < REAL_LEAST ? 0 : growth.realRatio
  // While ports pile up, the connections that never close are no part of the load that would stay without the pile.
  const closing = 1 - real * (1 - parts.closingRatio)
  const memory = books.lifetimeSeconds + books.holdSeconds
  const blur = arrivals.rateDeviation * Math.sqrt(memory / Math.max(1e-9, arrivals.rate))
  const still = { slope: 0, fading: 0, growth: 0, hazard: 0 }
  const at = (z: number) => Math.max(0, arrivals.rate + z * arrivals.rateDeviation)

  const fallen = average([{ ...still, rate: closing * Math.min(arrivals.rate, rateBack) }])
  const level = average(
    (blur < FINE_RATIO ? FEW_POINTS : MANY_POINTS).map((z) => ({
      ...still,
      rate: closing * at(z),
    })),
  )
  const trend =
    arrivals.slope === 0
      ? level
      : average(
          FEW_POINTS.flatMap((z) =>
            FEW_POINTS.map((y) => ({
              ...still,
              rate: closing * at(z),
              slope: arrivals.slope + y * arrivals.slopeDeviation,
              fading: arrivals.fading,
            })),
          ),
        )
  const piled =
    growth === undefined || real === 0 ? undefined : average(listPiles(arrivals, growth))
  return { fallen, level, trend, piled, realRatio: real }
}

/**
 * Every pair of three rates and three growths. Where slow servers are behind the pile, a third of them ends by its own
 * closes; of leaks one in nine: no measurement can show that a hazard is nothing, and theirs is.
 */
function listPiles(arrivals: Arrivals, growth: Growth): readonly Course[] {
  const [likely] = listCutNormalPoints(
    { mean: growth.hazard, deviation: growth.hazardDeviation },
    { low: 0, high: growth.hazardMost, count: 1 },
  )
  return FEW_POINTS.flatMap((z, i) =>
    FEW_POINTS.map((y, j) => ({
      rate: Math.max(0, arrivals.rate + y * arrivals.rateDeviation),
      slope: arrivals.slope,
      fading: arrivals.fading,
      growth: growth.slope + z * growth.slopeDeviation,
      hazard: j === 1 && (i === 1 || growth.slowedRatio > 0.5) ? (likely ?? 0) : 0,
    })),
  )
}

/** No course that is considered takes more ports than this one. */
function takeWorst({ arrivals, growth }: OutlookParts): Course {
  const most = Math.max(...MANY_POINTS)
  return {
    rate: arrivals.rate + most * arrivals.rateDeviation,
    slope: Math.max(0, arrivals.slope + most * arrivals.slopeDeviation),
    fading: 0,
    growth:
      growth === undefined || growth.realRatio < REAL_LEAST
        ? 0
        : Math.max(0, growth.slope + most * growth.slopeDeviation),
    hazard: 0,
  }
}

function isSafe(margins: Float64Array): boolean {
  for (const margin of margins) if (margin < CERTAIN) return false
  return true
}

function takeMedian(moments: readonly number[], chances: Float64Array): number | undefined {
  const index = chances.findIndex((chance) => chance >= 0.5)
  if (index < 0) return undefined
  if (index === 0) return 0
  const [low, high] = [chances[index - 1] ?? 0, chances[index] ?? 1]
  const [from, to] = [moments[index - 1] ?? 0, moments[index] ?? 0]
  return from + ((to - from) * (0.5 - low)) / Math.max(1e-9, high - low)
}
