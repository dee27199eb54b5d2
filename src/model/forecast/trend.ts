// Where a track is heading: points -> a straight line through what its demand was over the last seconds, minutes or
// hour, and how far the demand strays from that line. Nothing is presumed of the noise: it is read off what the line
// leaves over.
//
// Demand is what the pool would hold if connections went on closing as they do: live ports + rate of closing x life of
// a TIME_WAIT. It follows a change of load at once, while the ports in use take a minute to.

import type { Point } from './points.ts'

export interface Trend {
  /** Ports, now, by the line. */
  readonly demand: number
  /** Ports per second. */
  readonly demandSlope: number
  readonly livePorts: number
  readonly liveSlope: number
  /** Variance of the ports in use around the line: what the load does, and what counting alone makes. */
  readonly variance: number
  /** Standard error of the slope. */
  readonly slopeDeviation: number
  /** Standard error of the mean of the demand. */
  readonly meanDeviation: number
  /** The middle of what the line was drawn through lies so long ago. */
  readonly middleSeconds: number
}

/** What happened between two points. */
interface Span {
  readonly atSeconds: number
  readonly seconds: number
  readonly livePorts: number
  /** Closes per second. */
  readonly rate: number
  readonly demand: number
}

interface Line {
  readonly level: number
  readonly slope: number
}

interface Fit {
  readonly live: Line
  readonly demand: Line
  readonly middle: number
  /** Squares of time around its middle, weighted by seconds. */
  readonly spread: number
  readonly seconds: number
  /** Squares that the line of the demand leaves over, weighted by seconds. */
  readonly left: number
}

/** What strays stays away for about so long: what closer moments show is the same once more. */
const MEMORY_SECONDS = 60
/** A step that leaves less than this share of the squares that a line leaves is a step: the line begins after it. */
const STEP_SHARE = 0.5
const STEP_LEAST_SPANS = 3
const MOST_STEPS = 2
/** Standard errors apart at which two times contradict each other. */
const CONTRARY_DEVIATIONS = 2
/** Error of the end of a line, in errors of its slope over half of its length (2 / sqrt(3)). */
const LEVEL_ERROR = 1.155
/** With so few spans the strays are as much guessed as seen. */
const FEW_SPANS = 2

export interface Known {
  readonly lifetimeSeconds: number
  readonly seenFromSeconds: number
  /** Destinations that were looked at: the one that stands out of many strays farther by chance than one alone. */
  readonly destinations: number
}

export function takeTrend(
  points: readonly Point[],
  windowSeconds: number,
  parts: Known,
): Trend | undefined {
  const unseenSeconds = parts.seenFromSeconds - (points.at(-1)?.atSeconds ?? 0)
  const presumed = presumeLive(listSpans(points, windowSeconds, parts), unseenSeconds)
  const trend = drawTrend(presumed.spans, parts.lifetimeSeconds)
  if (trend === undefined) return undefined
  // The largest of n standard normal variables is about sqrt(2 ln n): two deviations become as many as that and two.
  const chosen = Math.sqrt(1 + Math.log(Math.max(1, parts.destinations)))
  return {
    ...trend,
    variance: trend.variance * chosen ** 2,
    slopeDeviation: chosen * Math.hypot(trend.slopeDeviation, presumed.slopeDeviation),
    meanDeviation: chosen * trend.meanDeviation,
  }
}

function drawTrend(all: readonly Span[], lifetimeSeconds: number): Trend | undefined {
  if (all.length === 0) return undefined
  let spans = all
  let fit = fitLine(spans)
  for (let steps = 0; steps < MOST_STEPS; steps++) {
    const step = findStep(spans, STEP_SHARE * fit.left)
    if (step === undefined) break
    spans = spans.slice(0, step)
    fit = fitLine(spans)
  }
  const { live, demand, spread, seconds, left } = fit
  let counting = 0
  for (const { rate } of spans) counting += lifetimeSeconds ** 2 * Math.max(0, rate)
  const strays = Math.max(0, (left - counting) / seconds)
  const held = Math.max(0, demand.level - live.level)
  return {
    demand: Math.max(0, demand.level),
    demandSlope: demand.slope,
    livePorts: Math.max(0, live.level),
    liveSlope: live.slope,
    variance: strays + held,
    slopeDeviation:
      (1 + FEW_SPANS / spans.length) *
      Math.sqrt((strays * MEMORY_SECONDS + counting / spans.length) / Math.max(1, spread)),
    meanDeviation: Math.sqrt(
      strays * Math.min(1, MEMORY_SECONDS / seconds) + counting / spans.length / seconds,
    ),
    middleSeconds: -fit.middle,
  }
}

/** What a shorter time shows is chance while it does not contradict a longer one: its line, or the longer one. */
export function preferLonger(shorter: Trend, longer: Trend): Trend {
  const slope = Math.abs(shorter.demandSlope - longer.demandSlope)
  const level = Math.abs(shorter.demand - longer.demand)
  const levelDeviation = LEVEL_ERROR * shorter.slopeDeviation * shorter.middleSeconds
  const contradicts =
    slope > CONTRARY_DEVIATIONS * shorter.slopeDeviation ||
    level > CONTRARY_DEVIATIONS * levelDeviation
  return contradicts ? shorter : longer
}

/** A trend as a level: the mean of the demand, of the shorter time only where it contradicts the longer one. */
export function takeLevel(shorter: Trend, longer?: Trend): Trend {
  const demand = Math.max(0, shorter.demand - shorter.demandSlope * shorter.middleSeconds)
  if (longer && Math.abs(demand - longer.demand) <= CONTRARY_DEVIATIONS * shorter.meanDeviation) {
    return longer
  }
  const livePorts = Math.max(0, shorter.livePorts - shorter.liveSlope * shorter.middleSeconds)
  return { ...shorter, demand, livePorts, demandSlope: 0, liveSlope: 0 }
}

/** Newest first; times are before now, so negative. */
function listSpans(points: readonly Point[], windowSeconds: number, parts: Known): readonly Span[] {
  const now = points.at(-1)?.atSeconds ?? 0
  const { seenFromSeconds, lifetimeSeconds } = parts
  // What TIME_WAIT tells of the time before is needed only until as much was seen.
  const first =
    now - seenFromSeconds < lifetimeSeconds ? seenFromSeconds - lifetimeSeconds : seenFromSeconds
  const spans: Span[] = []
  for (let i = points.length - 1; i > 0; i--) {
    const [from, to] = [points[i - 1], points[i]]
    if (from === undefined || to === undefined) break
    const seconds = to.atSeconds - from.atSeconds
    if (seconds <= 0) continue
    if (spans.length > 0 && now - from.atSeconds > windowSeconds * 1.2) break
    if (to.atSeconds <= first) break
    const livePorts = (from.livePorts + to.livePorts) / 2
    const rate = (to.closedPorts - from.closedPorts) / seconds
    const demand = livePorts + parts.lifetimeSeconds * rate
    const atSeconds = (from.atSeconds + to.atSeconds) / 2 - now
    spans.push({ atSeconds, seconds, livePorts, rate, demand })
  }
  return spans
}

/** What live ports held before anybody saw them is presumed to lie on the line of those that were seen. */
function presumeLive(
  spans: readonly Span[],
  unseenSeconds: number,
): { readonly spans: readonly Span[]; readonly slopeDeviation: number } {
  const seen = spans.filter(({ atSeconds }) => atSeconds >= unseenSeconds)
  if (seen.length === spans.length || seen.length === 0) return { spans, slopeDeviation: 0 }
  // Where nothing closed there was nothing to tell of the time before.
  if (spans.every(({ rate }) => rate === 0)) return { spans: seen, slopeDeviation: 0 }
  const { live, seconds } = fitLine(seen)
  return {
    spans: spans.map((span) => {
      if (span.atSeconds >= unseenSeconds) return span
      const livePorts = Math.max(0, live.level + live.slope * span.atSeconds)
      return { ...span, livePorts, demand: span.demand - span.livePorts + livePorts }
    }),
    slopeDeviation: Math.sqrt(2 * Math.max(0, live.level) + 1) / seconds,
  }
}

function fitLine(spans: readonly Span[]): Fit {
  let [seconds, times, squares, lives, liveTimes, demands, demandTimes] = [0, 0, 0, 0, 0, 0, 0]
  for (const span of spans) {
    const moment = span.seconds * span.atSeconds
    seconds += span.seconds
    times += moment
    squares += moment * span.atSeconds
    lives += span.seconds * span.livePorts
    liveTimes += moment * span.livePorts
    demands += span.seconds * span.demand
    demandTimes += moment * span.demand
  }
  const middle = times / seconds
  const spread = squares - times * middle
  const draw = (sum: number, product: number): Line => {
    const slope = spans.length < 3 ? 0 : (product - sum * middle) / spread
    return { slope, level: sum / seconds - slope * middle }
  }
  const live = draw(lives, liveTimes)
  const demand = draw(demands, demandTimes)
  let left = 0
  for (const span of spans) {
    left += span.seconds * (span.demand - demand.level - demand.slope * span.atSeconds) ** 2
  }
  return { live, demand, middle, spread, seconds, left }
}

/** How many of the newest spans lie after the best of all single steps, if it leaves less than `most`. */
function findStep(spans: readonly Span[], most: number): number | undefined {
  let [seconds, sum, squares] = [0, 0, 0]
  for (const span of spans) {
    seconds += span.seconds
    sum += span.seconds * span.demand
    squares += span.seconds * span.demand ** 2
  }
  let found: number | undefined
  let least = most
  let [newSeconds, newSum] = [0, 0]
  for (let i = 0; i < spans.length - STEP_LEAST_SPANS; i++) {
    const span = spans[i]
    if (span === undefined) break
    newSeconds += span.seconds
    newSum += span.seconds * span.demand
    if (i + 1 < STEP_LEAST_SPANS) continue
    const left = squares - newSum ** 2 / newSeconds - (sum - newSum) ** 2 / (seconds - newSeconds)
    if (left < least) {
      least = left
      found = i + 1
    }
  }
  return found
}
