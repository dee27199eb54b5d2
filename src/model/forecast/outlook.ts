// The forecast of one track: what is known of it -> risk within the horizon and time to the first failure.

import type { Arrivals } from './arrivals.ts'
import type { Growth } from './growth.ts'
import { listCutNormalPoints, listNormalPoints } from './normal.ts'
import { CERTAIN, takePassage } from './passage.ts'
import { type Books, type Course, createProjection, listMoments } from './path.ts'

export interface Outlook {
  readonly riskRatio: number
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

const FARTHEST_SECONDS = 86_400
const RATE_POINTS = listNormalPoints(9)
const FEW_POINTS = listNormalPoints(3)
/** A trend lasts as long again as it has, give or take: P(t more) = (age + grace) / (age + grace + t). */
const TREND_GRACE_SECONDS = 30
const TREND_EXPONENT = 1.5
const PILE_GRACE_SECONDS = 20
/** Sockets that nobody closes do not begin to close by themselves: piles last longer than that. */
const PILE_EXPONENT = 0.3
const REAL_LEAST = 0.02

export function takeOutlook(parts: OutlookParts): Outlook {
  const { books, arrivals, growth, staying, horizonSeconds } = parts
  const moments = listMoments(horizonSeconds, Math.max(FARTHEST_SECONDS, horizonSeconds))
  const memory = books.lifetimeSeconds + books.holdSeconds
  const project = createProjection(books, moments)
  if (isSafe(project(takeWorst(arrivals, growth)))) return { riskRatio: 0, etaSeconds: undefined }
  const average = (courses: readonly Course[]) => {
    const sums = new Float64Array(moments.length)
    for (const course of courses) {
      const chances = takePassage(moments, project(course), memory)
      for (let i = 0; i < sums.length; i++)
        sums[i] = (sums[i] ?? 0) + (chances[i] ?? 0) / courses.length
    }
    return sums
  }

  const real = growth?.realRatio ?? 0
  const closingRatio = 1 - real * (1 - parts.closingRatio)
  const closing = (z: number) =>
    closingRatio * Math.max(0, arrivals.rate + z * arrivals.rateDeviation)
  const rates = RATE_POINTS.map(closing)
  const fewRates = FEW_POINTS.map(closing)
  const level = average(rates.map((rate) => ({ rate, slope: 0, fading: 0, growth: 0, hazard: 0 })))
  const back = closingRatio * Math.min(arrivals.rate, parts.rateBack)
  const fallen = average([{ rate: back, slope: 0, fading: 0, growth: 0, hazard: 0 }])
  const trend =
    arrivals.slope === 0
      ? level
      : average(
          fewRates.flatMap((rate) =>
            FEW_POINTS.map((z) => ({
              rate,
              slope: arrivals.slope + z * arrivals.slopeDeviation,
              fading: arrivals.fading,
              growth: 0,
              hazard: 0,
            })),
          ),
        )
  const piling =
    growth === undefined || growth.realRatio < REAL_LEAST ? undefined : listPiles(arrivals, growth)
  const piled = piling === undefined ? undefined : average(piling)

  const trendAge = arrivals.ageSeconds + TREND_GRACE_SECONDS
  const trendLasts = (at: number) => (trendAge / (trendAge + at)) ** TREND_EXPONENT
  const pileAge = (growth?.ageSeconds ?? 0) + PILE_GRACE_SECONDS
  const pileLasts = (at: number) => (pileAge / (pileAge + at)) ** PILE_EXPONENT

  let risk = fallen[0] ?? 0
  let eta: number | undefined
  for (let i = 0; i < moments.length; i++) {
    const at = moments[i] ?? 0
    const all = mix(trend[i] ?? 0, piled?.[i] ?? 0, piled === undefined ? 0 : real)
    if (eta === undefined && all >= 0.5) {
      const before = mix(trend[i - 1] ?? 0, piled?.[i - 1] ?? 0, piled === undefined ? 0 : real)
      const from = moments[i - 1] ?? 0
      eta = i === 0 ? 0 : from + ((at - from) * (0.5 - before)) / Math.max(1e-9, all - before)
    }
    if (i === 0 || at > horizonSeconds) continue
    const gain = (curve: Float64Array | undefined) => (curve?.[i] ?? 0) - (curve?.[i - 1] ?? 0)
    risk += gain(fallen) + (gain(level) - gain(fallen)) * staying(at)
    risk += (gain(trend) - gain(level)) * trendLasts(at)
    if (piled !== undefined) risk += (gain(piled) - gain(trend)) * real * pileLasts(at)
  }
  return { riskRatio: Math.min(1, Math.max(0, risk)), etaSeconds: eta }
}

function mix(a: number, b: number, share: number): number {
  return a + (b - a) * share
}

/** Nine courses in which every pair of the three values of rate, growth and hazard meets once. */
function listPiles(arrivals: Arrivals, growth: Growth): readonly Course[] {
  const hazards = [
    0,
    ...listCutNormalPoints(
      { mean: growth.hazard, deviation: growth.hazardDeviation },
      { low: 0, high: growth.hazardMost, count: FEW_POINTS.length - 1 },
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
function takeWorst(arrivals: Arrivals, growth: Growth | undefined): Course {
  const most = Math.max(...RATE_POINTS)
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
