// Bursts end by themselves and new load stays: which of the two a sudden rise is, the past tells. Points -> the bursts that
// were seen to end, and from them the probability that the present rise is still there in t seconds.

import type { Arrivals } from './arrivals.ts'
import type { Point } from './points.ts'

export interface Surges {
  /** Newest last. */
  readonly ended: readonly Surge[]
  readonly running: RunningSurge | undefined
  readonly lookedUntilSeconds: number
}

/** A rise that was over soon. */
export interface Surge {
  readonly endedAtSeconds: number
  readonly seconds: number
  /** Openings per second before it, and above those. */
  readonly base: number
  readonly rise: number
}

/** The look that first saw the rise has what came before in it too: where in it the rise began follows from its rate. */
interface RunningSurge {
  readonly seenFromSeconds: number
  readonly seenToSeconds: number
  readonly seenRate: number
  readonly base: number
  readonly rate: number
}

export interface Staying {
  /** Probability that the present rate is still there after so many more seconds. */
  readonly lasting: (seconds: number) => number
  /** What it falls back to. */
  readonly rateBack: number
}

const MOST_SURGES = 16
const MEMORY_SECONDS = 3600
/** A rise that has lasted so long is the new load. */
const LONGEST_SECONDS = 180
const LOOK_SECONDS = 2.4
const BASE_SECONDS = 180
const RISE_RATIO = 0.3
const RISE_DEVIATIONS = 6
/** Before any burst was seen, a rise is one that stays with this probability... */
const STAY_RATIO = 0.85
/** ...which every similar burst that ended multiplies by this... */
const DISCOURAGED_RATIO = 0.22
/** ...and one that does not stay lasts so long on average. */
const MEAN_SECONDS = 20
/** A past burst speaks for rises of up to so many times its height... */
const SIMILAR_RATIO = 1.6
/** ...and says that the next may last so much longer than it did. */
const LONGER_RATIO = 1.1
const LONGER_SECONDS = 2
/** The last look of a burst averages over its end: a rate that is still high goes on falling, but for one time in so many. */
const FALLING_RATIO = 0.1

export function advanceSurges(surges: Surges | undefined, points: readonly Point[]): Surges {
  let running = surges?.running
  const ended = [...(surges?.ended ?? [])]
  let lookedUntilSeconds = surges?.lookedUntilSeconds ?? points[0]?.atSeconds ?? 0
  for (let i = 1; i < points.length; i++) {
    const now = points[i]
    if (now === undefined || now.atSeconds < lookedUntilSeconds + LOOK_SECONDS) continue
    const from = findBefore(points, i, now.atSeconds - LOOK_SECONDS)
    if (from === undefined) continue
    lookedUntilSeconds = now.atSeconds
    const rate = takeRate(from, now)
    if (running === undefined) {
      running = noticeSurge(points, from, now)
    } else if (rate < (running.base + running.rate) / 2) {
      ended.push(endSurge(running, from, now))
      running = undefined
    } else if (now.atSeconds - running.seenFromSeconds > LONGEST_SECONDS) {
      running = undefined
    } else {
      running = { ...running, rate: Math.max(running.rate, rate) }
    }
  }
  const now = points.at(-1)?.atSeconds ?? 0
  return {
    ended: ended.filter((one) => one.endedAtSeconds > now - MEMORY_SECONDS).slice(-MOST_SURGES),
    running,
    lookedUntilSeconds,
  }
}

export function takeStaying(surges: Surges, arrivals: Arrivals, atSeconds: number): Staying {
  const { running } = surges
  const last = surges.ended.at(-1)
  if (running === undefined && last !== undefined && last.endedAtSeconds === atSeconds) {
    return { lasting: (seconds) => (seconds > 0 ? FALLING_RATIO : 1), rateBack: last.base }
  }
  const base = running?.base ?? arrivals.rateBefore
  const rise = arrivals.rate - base
  if (rise <= 0) return { lasting: () => 1, rateBack: base }
  const age = running === undefined ? arrivals.ageSeconds : atSeconds - takeStart(running)
  const similar = surges.ended.filter((one) => one.rise * SIMILAR_RATIO > rise)
  // The rate before a rise that has no look of its own yet has the bursts before it in it.
  const rateBack = Math.min(base, running?.base ?? similar.at(-1)?.base ?? base)
  const stay = STAY_RATIO * DISCOURAGED_RATIO ** similar.length
  const lasting = (seconds: number) => {
    const longer = similar.filter((one) => one.seconds * LONGER_RATIO + LONGER_SECONDS > seconds)
    const burst = (Math.exp(-seconds / MEAN_SECONDS) + longer.length) / (1 + similar.length)
    return stay + (1 - stay) * burst
  }
  return { lasting: (seconds) => lasting(age + seconds) / lasting(age), rateBack }
}

function noticeSurge(points: readonly Point[], from: Point, now: Point): RunningSurge | undefined {
  const base = takeBase(points, from)
  if (base === undefined) return undefined
  const seconds = now.atSeconds - from.atSeconds
  const variance = Math.max(now.openedVariance - from.openedVariance, base * seconds)
  const chance = (RISE_DEVIATIONS * Math.sqrt(variance + 1)) / seconds
  const rate = takeRate(from, now)
  if (rate <= base + Math.max(RISE_RATIO * base, chance)) return undefined
  const [seenFromSeconds, seenToSeconds] = [from.atSeconds, now.atSeconds]
  return { seenFromSeconds, seenToSeconds, seenRate: rate, base, rate }
}

function endSurge(running: RunningSurge, from: Point, now: Point): Surge {
  const rise = running.rate - running.base
  const share = Math.max(0, (takeRate(from, now) - running.base) / rise)
  const end = from.atSeconds + share * (now.atSeconds - from.atSeconds)
  return {
    endedAtSeconds: now.atSeconds,
    seconds: end - takeStart(running),
    base: running.base,
    rise,
  }
}

function takeStart({ seenFromSeconds, seenToSeconds, ...running }: RunningSurge): number {
  const share = (running.seenRate - running.base) / Math.max(1e-9, running.rate - running.base)
  return seenToSeconds - Math.min(1, share) * (seenToSeconds - seenFromSeconds)
}

/** What the rate falls back to: the lower quartile of the last minutes, which bursts leave alone. */
function takeBase(points: readonly Point[], until: Point): number | undefined {
  const rates: number[] = []
  let to: Point | undefined
  for (let i = points.length - 1; i >= 0; i--) {
    const point = points[i]
    if (point === undefined || point.atSeconds > until.atSeconds) continue
    if (point.atSeconds < until.atSeconds - BASE_SECONDS) break
    if (to !== undefined && to.atSeconds - point.atSeconds < LOOK_SECONDS) continue
    if (to !== undefined) rates.push(takeRate(point, to))
    to = point
  }
  rates.sort((a, b) => a - b)
  return rates.length < 3 ? undefined : rates[Math.floor(rates.length / 4)]
}

function findBefore(points: readonly Point[], below: number, atSeconds: number): Point | undefined {
  for (let i = below - 1; i >= 0; i--) {
    const point = points[i]
    if (point !== undefined && point.atSeconds <= atSeconds) return point
  }
  return undefined
}

function takeRate(from: Point, to: Point): number {
  return Math.max(0, (to.openedPorts - from.openedPorts) / (to.atSeconds - from.atSeconds))
}
