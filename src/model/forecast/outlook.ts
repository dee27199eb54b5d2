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
  /** ...and live ports go on piling up. */
  readonly piled: Float64Array
}

const FARTHEST_SECONDS = 86_400
const MANY_POINTS = listNormalPoints(9)
const FEW_POINTS = listNormalPoints(3)
/** In standard deviations of the fluctuations: an uncertainty of the level so small needs few points. */
const FINE_RATIO = 0.5
/** Some trends end soon, whatever their age; the others last as long again as they have, give or take. */
const SOON_RATIO = 0.35
const SOON_SECONDS = 120
const TREND_EXPONENT = 0.8
/** Sockets that nobody closes do not begin to close by themselves: piles last longer than trends. */
const PILE_EXPONENT = 0.2
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
  const pileLasts = lasts(PILE_EXPONENT, growth?.ageSeconds ?? 0)

  const { fallen, level, trend, piled } = curves
  let risk = piled[0] ?? 0
  for (let i = 1; i < moments.length; i++) {
    const at = moments[i] ?? 0
    if (at > horizonSeconds) break
    const gain = (curve: Float64Array) => (curve[i] ?? 0) - (curve[i - 1] ?? 0)
    risk +=
      gain(fallen) +
      (gain(level) - gain(fallen)) * parts.staying(at) +
      (gain(trend) - gain(level)) * trendLasts(at) +
      (gain(piled) - gain(trend)) * pileLasts(at)
  }
  return {
    riskRatio: Math.min(1, Math.max(0, risk)),
    etaSeconds: takeMedian(moments, piled),
  }
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
  if (growth === undefined || real === 0) return { fallen, level, trend, piled: trend }
  const piled = average(listPiles(arrivals, growth)).map(
    (chance, i) => real * chance + (1 - real) * (trend[i] ?? 0),
  )
  return { fallen, level, trend, piled }
}

/** Nine courses in which every pair of the three values of rate, growth and hazard meets once. */
function listPiles(arrivals: Arrivals, growth: Growth): readonly Course[] {
  // A leak has no hazard at all, and no measurement can show that: two of the three stand for it.
  const hazards = [
    0,
    0,
    ...listCutNormalPoints(
      { mean: growth.hazard, deviation: growth.hazardDeviation },
      { low: 0, high: growth.hazardMost, count: FEW_POINTS.length - 2 },
    ),
  ]
  return FEW_POINTS.flatMap((z, i) =>
    hazards.map((hazard, j) => ({
      rate: Math.max(
        0,
        arrivals.rate + (FEW_POINTS[(i + j) % FEW_POINTS.length] ?? 0) * arrivals.rateDeviation,
      ),
      slope: arrivals.slope,
      fading: arrivals.fading,
      growth: growth.slope + z * growth.slopeDeviation,
      hazard,
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
