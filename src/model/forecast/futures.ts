// What may come: estimates and how long things last -> a fixed number of equally likely courses. They cover the uncertain
// quantities evenly (a Kronecker sequence, no random numbers), so that the same readings always give the same forecast.

import type { Arrivals } from './arrivals.ts'
import type { Growth } from './growth.ts'
import { listCutNormalPoints, takeNormalQuantile } from './normal.ts'
import type { Course } from './path.ts'
import type { Staying } from './surges.ts'

export interface Likely {
  readonly arrivals: Arrivals
  readonly growth: Growth | undefined
  readonly staying: Staying
}

export interface FutureParts extends Likely {
  /** The moments at which something may end. */
  readonly moments: readonly number[]
}

const FUTURES = 64
const DIMENSIONS = 7
/** Some trends end soon, whatever their age; the others last as long again as they have, give or take. */
const SOON_RATIO = 0.4
const SOON_SECONDS = 120
const TREND_EXPONENT = 0.8
/** Sockets that nobody closes do not begin to close by themselves; what a slow server holds comes back some time. */
const LEAK_EXPONENT = 0.05
const SLOWED_EXPONENT = 0.35
const GRACE_SECONDS = 30
/** A pile that slow servers are behind ends by its own closes in so many of the futures; a leak in fewer. */
const SLOWED_HAZARD_RATIO = 0.35
const LEAK_HAZARD_RATIO = 0.1
const REAL_LEAST = 0.02

interface Draw {
  readonly rate: number
  readonly slope: number
  readonly real: number
  readonly hazard: number
  readonly stays: number
  readonly trends: number
  readonly piles: number
}

interface Ends extends Pick<Course, 'staysSeconds' | 'trendsSeconds' | 'pilesSeconds'> {
  readonly hazard: number
}

const NEVER: Ends = {
  hazard: 0,
  staysSeconds: Number.POSITIVE_INFINITY,
  trendsSeconds: Number.POSITIVE_INFINITY,
  pilesSeconds: Number.POSITIVE_INFINITY,
}

const draws: readonly Draw[] = Array.from({ length: FUTURES }, (_, i) => {
  const [rate = 0, slope = 0, real = 0, hazard = 0, stays = 0, trends = 0, piles = 0] = drawPoint(i)
  return {
    rate: takeNormalQuantile(rate),
    slope: takeNormalQuantile(slope),
    real,
    hazard,
    stays,
    trends,
    piles,
  }
})

const MOST = Math.max(...draws.map((draw) => draw.rate))
const WORST: Draw = { rate: MOST, slope: MOST, real: 0, hazard: 1, stays: 0, trends: 0, piles: 0 }

/** The courses with their ends. */
export function listFutures(parts: FutureParts): readonly Course[] {
  const { arrivals, growth, staying, moments } = parts
  const slowed = growth?.slowedRatio ?? 0
  const pileExponent = LEAK_EXPONENT + (SLOWED_EXPONENT - LEAK_EXPONENT) * slowed
  const stays = moments.map(staying.lasting)
  const hazard = growth === undefined ? 0 : takeLikelyHazard(growth)
  return draws.map((draw) =>
    drawCourse(parts, draw, {
      hazard,
      staysSeconds: takeEnd(moments, stays, draw.stays),
      trendsSeconds: drawTrendsEnd(draw.trends, arrivals.ageSeconds),
      pilesSeconds: drawLindy(draw.piles, pileExponent, growth?.ageSeconds ?? 0),
    }),
  )
}

/** Every so manyth of the courses, going on for ever. */
export function listEndless(parts: Likely, every: number): readonly Course[] {
  const ends = { ...NEVER, hazard: parts.growth === undefined ? 0 : takeLikelyHazard(parts.growth) }
  return draws.filter((_, i) => i % every === 0).map((draw) => drawCourse(parts, draw, ends))
}

/** No course takes more ports than this one; of `share` 0.5, not even of those half that pile up the least. */
export function takeWorst(parts: Likely, share: number): Course {
  const worst = { ...WORST, real: share }
  return { ...drawCourse(parts, worst, NEVER), fading: 0 }
}

function drawCourse({ arrivals, growth, staying }: Likely, draw: Draw, ends: Ends): Course {
  const rate = Math.max(0, arrivals.rate + draw.rate * arrivals.rateDeviation)
  const piles =
    growth !== undefined && growth.realRatio >= REAL_LEAST && draw.real < growth.realRatio
  const slowed = growth?.slowedRatio ?? 0
  const hazardRatio = LEAK_HAZARD_RATIO + (SLOWED_HAZARD_RATIO - LEAK_HAZARD_RATIO) * slowed
  return {
    rate,
    slope: arrivals.slope + draw.slope * arrivals.slopeDeviation,
    fading: arrivals.fading,
    growth: piles ? growth.slope + draw.slope * growth.slopeDeviation : 0,
    hazard: piles && draw.hazard < hazardRatio ? ends.hazard : 0,
    growthLeaks: 1 - slowed,
    staysSeconds: ends.staysSeconds,
    rateBack: Math.min(rate, staying.rateBack),
    trendsSeconds: ends.trendsSeconds,
    pilesSeconds: ends.pilesSeconds,
  }
}

function takeLikelyHazard(growth: Growth): number {
  const [likely] = listCutNormalPoints(
    { mean: growth.hazard, deviation: growth.hazardDeviation },
    { low: 0, high: growth.hazardMost, count: 1 },
  )
  return likely ?? 0
}

/** When a trend of that age ends: soon with some probability, else by Lindy. */
function drawTrendsEnd(share: number, ageSeconds: number): number {
  return share < SOON_RATIO
    ? -SOON_SECONDS * Math.log(1 - share / SOON_RATIO)
    : drawLindy((share - SOON_RATIO) / (1 - SOON_RATIO), TREND_EXPONENT, ageSeconds)
}

/** What has lasted for long lasts for long: P(longer than t) = (age / (age + t))^exponent. */
function drawLindy(share: number, exponent: number, ageSeconds: number): number {
  return (ageSeconds + GRACE_SECONDS) * ((1 - share) ** (-1 / exponent) - 1)
}

/** The first moment at which the chance of lasting, which only falls, is below the share. */
function takeEnd(moments: readonly number[], lasting: readonly number[], share: number): number {
  let [low, high] = [0, lasting.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((lasting[middle] ?? 0) < share) high = middle
    else low = middle + 1
  }
  return moments[low] ?? Number.POSITIVE_INFINITY
}

/** Point i of the Kronecker sequence of the generalised golden ratio: the root of x^(d+1) = x + 1. */
function drawPoint(index: number): readonly number[] {
  let root = 2
  for (let i = 0; i < 30; i++) root = (1 + root) ** (1 / (DIMENSIONS + 1))
  return Array.from({ length: DIMENSIONS }, (_, d) => (0.5 + (index + 1) / root ** (d + 1)) % 1)
}
