// Whether live ports pile up: points -> their slope over the longest stretch that one slope explains, and how soon the
// pile's own closes would end it. Growth that follows from a change of load (Little's law) is no pile.

import type { Arrivals } from './arrivals.ts'
import type { Point } from './points.ts'

export interface Growth {
  /** Live ports per second beyond what the load explains, with its standard error. */
  readonly slope: number
  readonly slopeDeviation: number
  /** Posterior probability that the slope is no chance. */
  readonly realRatio: number
  readonly ageSeconds: number
  /** Share of the growth that comes of fewer closes rather than of more openings: slow servers do that, leaks do not. */
  readonly slowedRatio: number
  /** Closes per second and piled port: what bends the slope down; with standard error and upper bound. */
  readonly hazard: number
  readonly hazardDeviation: number
  readonly hazardMost: number
  readonly noise: Noise
}

/** What live ports do from sample to sample without meaning it. */
export interface Noise {
  /** How far they are above their level now. */
  readonly offsetPorts: number
  readonly variance: number
  /** After which it has forgotten itself: samples do not resemble each other, so half of the time between two at most. */
  readonly seconds: number
}

const NOISE_SECONDS = 120
const NOISE_LEAST_POINTS = 5

const DIFFERENT_DEVIATIONS = 3
/** What a shorter time shows does not contradict a longer one: with a look every second chance would do so once a few minutes. */
const LEAST_SECONDS = 4
/** Of a hundred looks at a pool, about five meet one that piles up. */
const PRIOR_RATIO = 0.05
/** Piles stand out of the noise by an order of magnitude, where there are any. */
const SLAB = 10
const BEFORE_SECONDS = 120
/** Closes have become fewer when they are by more than so many standard errors. */
const SLOWED_DEVIATIONS = 2
/** How far Little's law may be off, as part of what it explains: holding times are rarely exponential. */
const EXPLAINED_DOUBT = 0.5

export function takeGrowth(
  points: readonly Point[],
  arrivals: Arrivals,
  parts: {
    readonly holdSeconds: number
    readonly jitter: number
    readonly seenFromSeconds: number
    readonly dispersion: number
  },
): Growth | undefined {
  const last = points.length - 1
  const now = points[last]
  if (now === undefined) return undefined
  const excess = points.map(
    (point) =>
      point.livePorts - explainLive(arrivals, parts.holdSeconds, now.atSeconds - point.atSeconds),
  )
  const newest = points[last - 1]
  const interval = newest === undefined ? 1 : now.atSeconds - newest.atSeconds
  const churn = Math.max(2 * arrivals.rate, parts.jitter / interval)
  let [low, high] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]
  let found: { first: number; slope: number; deviation: number } | undefined
  for (let i = last - 1; i >= 0; i--) {
    const from = points[i]
    if (from === undefined || from.atSeconds < parts.seenFromSeconds) break
    const seconds = now.atSeconds - from.atSeconds
    const slope = ((excess[last] ?? 0) - (excess[i] ?? 0)) / seconds
    const chance = Math.min(from.livePorts + now.livePorts, churn * seconds)
    const explained = now.livePorts - (excess[last] ?? 0) - (from.livePorts - (excess[i] ?? 0))
    const deviation =
      Math.sqrt(parts.dispersion * chance + 1 + (EXPLAINED_DOUBT * explained) ** 2) / seconds
    const reach = DIFFERENT_DEVIATIONS * deviation
    if (slope - reach > high || slope + reach < low) break
    if (seconds >= LEAST_SECONDS) {
      low = Math.max(low, slope - reach)
      high = Math.min(high, slope + reach)
    }
    found = { first: i, slope, deviation }
  }
  if (found === undefined) return undefined
  const ageSeconds = now.atSeconds - (points[found.first]?.atSeconds ?? now.atSeconds)
  const z = takeSteadyRise(excess, found.first) / (found.deviation * Math.max(1e-9, ageSeconds))
  const odds =
    (PRIOR_RATIO / (1 - PRIOR_RATIO)) *
    Math.sqrt(1 / (1 + SLAB ** 2)) *
    Math.exp(Math.min(50, (z * z * SLAB ** 2) / (2 * (1 + SLAB ** 2))))
  return {
    slope: found.slope,
    slopeDeviation: found.deviation,
    realRatio: odds / (1 + odds),
    ageSeconds,
    slowedRatio: takeSlowed(points, found.first, found.slope),
    ...takeHazard(points, found.first, churn * parts.dispersion),
    noise: takeNoise(points, excess, {
      first: found.first,
      slope: found.slope,
      explained: arrivals.rate * parts.holdSeconds * parts.dispersion,
    }),
  }
}

/** What is left of a rise, or of a fall, without its largest step: a pile grows in more than one. */
function takeSteadyRise(excess: readonly number[], first: number): number {
  const total = (excess.at(-1) ?? 0) - (excess[first] ?? 0)
  const sign = Math.sign(total)
  let largest = 0
  for (let i = first + 1; i < excess.length; i++) {
    largest = Math.max(largest, sign * ((excess[i] ?? 0) - (excess[i - 1] ?? 0)))
  }
  return sign * Math.max(0, sign * total - largest)
}

/** Around the slope, over the last part of its stretch; what the load itself explains is not counted. */
function takeNoise(
  points: readonly Point[],
  excess: readonly number[],
  stretch: { readonly first: number; readonly slope: number; readonly explained: number },
): Noise {
  const now = points.at(-1)?.atSeconds ?? 0
  const interval = now - (points.at(-2)?.atSeconds ?? now)
  let [count, sum, squares] = [0, 0, 0]
  for (let i = points.length - 1; i >= stretch.first; i--) {
    const ago = now - (points[i]?.atSeconds ?? 0)
    if (ago > NOISE_SECONDS) break
    const left = (excess[i] ?? 0) + stretch.slope * ago - (excess.at(-1) ?? 0)
    count++
    sum += left
    squares += left * left
  }
  const seconds = Math.max(0.5, interval / 2)
  if (count < NOISE_LEAST_POINTS) return { offsetPorts: 0, variance: 0, seconds }
  const variance = (squares - (sum * sum) / count) / (count - 1)
  const meant = Math.max(0, variance - stretch.explained)
  const share = variance > 0 ? meant / variance : 0
  return { offsetPorts: (-share * sum) / count, variance: meant, seconds }
}

function takeSlowed(points: readonly Point[], first: number, slope: number): number {
  const [start, now] = [points[first], points.at(-1)]
  // The interval in which it began belongs to neither.
  const end = points[first - 1]
  if (start === undefined || now === undefined || end === undefined || slope <= 0) return 0
  const begin = points.find((point) => point.atSeconds >= end.atSeconds - BEFORE_SECONDS)
  if (begin === undefined || begin.atSeconds >= end.atSeconds) return 0
  const [closes, closesNow] = [takeCloses(begin, end), takeCloses(start, now)]
  const chance = Math.sqrt(
    closes / (end.atSeconds - begin.atSeconds) + closesNow / (now.atSeconds - start.atSeconds),
  )
  return Math.min(1, Math.max(0, (closes - closesNow - SLOWED_DEVIATIONS * chance) / slope))
}

/** Per second. */
function takeCloses(from: Point, to: Point): number {
  const closes = to.openedPorts - from.openedPorts - (to.livePorts - from.livePorts)
  return Math.max(0, closes) / (to.atSeconds - from.atSeconds)
}

/** Live ports that the load of `ago` seconds ago accounts for, up to a constant: rate x holding time, reached exponentially. */
function explainLive(arrivals: Arrivals, holdSeconds: number, ago: number): number {
  if (holdSeconds <= 0) return 0
  const { rate, rateBefore, slope, ageSeconds } = arrivals
  if (slope !== 0) return holdSeconds * (rate - slope * Math.min(ago, ageSeconds))
  if (ago >= ageSeconds) return holdSeconds * rateBefore
  return holdSeconds * (rate + (rateBefore - rate) * Math.exp(-(ageSeconds - ago) / holdSeconds))
}

/**
 * How closes grew with the pile: from the two halves of the stretch, once by the closes themselves and once by the bend of
 * the live ports, whichever is surer.
 */
function takeHazard(
  points: readonly Point[],
  first: number,
  churn: number,
): { hazard: number; hazardDeviation: number; hazardMost: number } {
  const [from, to] = [points[first], points.at(-1)]
  const unknown = { hazard: 0, hazardDeviation: 1e9, hazardMost: 0 }
  if (from === undefined || to === undefined) return unknown
  const half = (from.atSeconds + to.atSeconds) / 2
  const middle = points.reduce((best, point) =>
    Math.abs(point.atSeconds - half) < Math.abs(best.atSeconds - half) ? point : best,
  )
  const live = Math.max(1, (from.livePorts + to.livePorts) / 2)
  const seconds = to.atSeconds - from.atSeconds
  const hazardMost = takeCloses(from, to) / live
  const [older, newer] = [middle.atSeconds - from.atSeconds, to.atSeconds - middle.atSeconds]
  const piled = (to.livePorts - from.livePorts) / 2
  if (older <= 0 || newer <= 0 || piled <= 0) return { ...unknown, hazardMost }
  const bend =
    (middle.livePorts - from.livePorts) / older - (to.livePorts - middle.livePorts) / newer
  const noise = Math.min(2 * live, (churn * seconds) / 2)
  const bendDeviation = Math.sqrt(noise * (1 / older ** 2 + 1 / newer ** 2)) / piled
  const [slow, fast] = [takeCloses(from, middle), takeCloses(middle, to)]
  const rise = fast - slow
  const riseDeviation = Math.sqrt((slow + 1 / older) / older + (fast + 1 / newer) / newer) / piled
  return riseDeviation < bendDeviation
    ? { hazard: rise / piled, hazardDeviation: riseDeviation, hazardMost }
    : { hazard: bend / piled, hazardDeviation: bendDeviation, hazardMost }
}
