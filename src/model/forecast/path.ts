// The books of a track, kept forward: rates as they are now -> expected margin at each moment ahead. Opened ports come in,
// closed ones stay in TIME_WAIT for its lifetime, and those that are in it now leave by the kernel's own timetable.

import type { Noise } from './growth.ts'
import type { Path } from './passage.ts'

export interface Course {
  /** Openings per second now, and its change per second, which fades at `fading` per second. */
  readonly rate: number
  readonly slope: number
  readonly fading: number
  /** Live ports piling up per second, ending by themselves at `hazard` per second. */
  readonly growth: number
  readonly hazard: number
  /** Share of them that are openings of their own and end with the pile. */
  readonly growthLeaks: number
  /** How long the rate stays, and what it falls back to; how long it goes on changing; how long ports go on piling up. */
  readonly staysSeconds: number
  readonly rateBack: number
  readonly trendsSeconds: number
  readonly pilesSeconds: number
}

export interface Books {
  readonly availablePorts: number
  /** Live ports of a restart that are yet to come back. */
  readonly missingPorts: number
  /** TIME_WAIT ports by age in seconds. */
  readonly closed: readonly number[]
  readonly lifetimeSeconds: number
  /** Share of that life that ports owe to other connections that took them while they were held: these open no new port. */
  readonly renewedRatio: number
  /** Holding time of what the load explains, and the rate that live ports correspond to so far. */
  readonly holdSeconds: number
  readonly settledRate: number
  /** False where connections leave no TIME_WAIT. */
  readonly timeWait: boolean
  readonly dispersion: number
  /** Of live ports, around their level. */
  readonly noise: Noise
}

/** The expected path over the first `count` moments; the moments begin with 0. */
export type Projection = (course: Course, count?: number) => Path

/** Dense for the first minutes, then ever wider; `horizonSeconds` is one of them. Up to `width` times as far apart. */
export function listMoments(
  horizonSeconds: number,
  lastSeconds: number,
  width = 1,
): readonly number[] {
  const moments = [0]
  for (let at = 0; at < lastSeconds; ) {
    const step = Math.max(2.5, at * (at < horizonSeconds ? 0.1 : 0.25))
    const next = Math.min(lastSeconds, at + step * width)
    at = at < horizonSeconds && next > horizonSeconds ? horizonSeconds : next
    moments.push(at)
  }
  return moments
}

/**
 * Creates the projection of a track; what does not depend on the course is computed once. Each result is overwritten by the
 * next.
 */
export function createProjection(books: Books, moments: readonly number[]): Projection {
  const { lifetimeSeconds: lifetime, holdSeconds, noise } = books
  const still = takeRelease(books, moments)
  const settling = new Float64Array(moments.length)
  const noticed = new Float64Array(moments.length)
  for (let i = 0; i < moments.length; i++) {
    const at = moments[i] ?? 0
    const step = at - (moments[i - 1] ?? 0)
    settling[i] = holdSeconds > 0 ? Math.exp(-step / holdSeconds) : 0
    noticed[i] = Math.exp(-at / noise.seconds)
  }
  const earlier = locateEarlier(moments, lifetime)
  const closedBy = new Float64Array(moments.length)
  const margins = new Float64Array(moments.length)
  const starts = new Float64Array(moments.length)
  const paces = new Float64Array(moments.length)
  const life = holdSeconds + (books.timeWait ? lifetime : 0)

  return (course, count = moments.length) => {
    let settled = books.settledRate
    let opens = 0
    let closes = 0
    let live = books.missingPorts
    let piled = 0
    let last = 0
    let fresh = 1
    // Where new ports become rarer as ports become fewer, chance is called back the sooner.
    const recall = (course.rate * books.renewedRatio) / Math.max(1, books.availablePorts)
    const memory = life / (1 + life * recall)
    for (let i = 0; i < count; i++) {
      const at = moments[i] ?? 0
      const step = at - last
      last = at
      if (step > 0) {
        const rate = fresh * takeRate(course, at - step / 2)
        const next = rate + (settled - rate) * (settling[i] ?? 0)
        const pile =
          course.growth === 0
            ? 0
            : takeRise(course.growth, course.hazard, Math.min(at, course.pilesSeconds))
        const rise = holdSeconds * (next - settled) + pile - piled
        settled = next
        piled = pile
        opens += rate * step
        live += rise
        if (books.timeWait) closes += Math.max(0, rate * step - rise)
      }
      closedBy[i] = closes
      let gone = 0
      if (at > lifetime) {
        const position = earlier[i] ?? 0
        const below = Math.floor(position)
        const low = closedBy[below] ?? 0
        gone = low + (position - below) * ((closedBy[below + 1] ?? low) - low)
      }
      const known = noticed[i] ?? 0
      const free = (still[i] ?? 0) - live - closes + gone + noise.offsetPorts * (1 - known)
      // The fewer ports are free, the more of the connections meet one that is held already.
      if (books.renewedRatio > 0) {
        const share = Math.min(1, Math.max(0, free) / Math.max(1, books.availablePorts))
        fresh = 1 - books.renewedRatio * (1 - share)
      }
      const flow = books.dispersion * opens * (at > memory ? memory / at : 1)
      const restless = noise.variance * (1 - known * known)
      const variance = flow + restless + Math.max(0, piled) + 0.25
      const deviation = Math.sqrt(variance)
      margins[i] = free / deviation
      starts[i] = books.availablePorts / deviation
      paces[i] = (flow / Math.max(1, memory) + restless / Math.max(1, noise.seconds)) / variance
    }
    return { moments, count, margins, starts, paces }
  }
}

function takeRate(course: Course, at: number): number {
  let rate = course.rateBack
  if (at < course.staysSeconds) {
    rate = course.rate
    if (course.slope !== 0) {
      rate += takeRise(course.slope, course.fading, Math.min(at, course.trendsSeconds))
    }
  }
  if (at >= course.pilesSeconds) rate -= Math.max(0, course.growth * course.growthLeaks)
  return Math.max(0, rate)
}

/** What `speed` adds up to by `at` when it ends at `ending` per second. */
function takeRise(speed: number, ending: number, at: number): number {
  return ending * at < 1e-6 ? speed * at : (speed * (1 - Math.exp(-ending * at))) / ending
}

/** Where in the list the moment one lifetime earlier lies: index below, plus the share of the way to the next. */
function locateEarlier(moments: readonly number[], lifetime: number): Float64Array {
  const positions = new Float64Array(moments.length)
  let below = 0
  for (let i = 0; i < moments.length; i++) {
    const earlier = (moments[i] ?? 0) - lifetime
    if (earlier <= 0) continue
    while ((moments[below + 1] ?? Number.POSITIVE_INFINITY) <= earlier) below++
    const [from, to] = [moments[below] ?? 0, moments[below + 1] ?? 0]
    positions[i] = below + (to > from ? (earlier - from) / (to - from) : 0)
  }
  return positions
}

/** Free ports at each moment if nothing were opened any more: those free now and those TIME_WAIT has released by then. */
function takeRelease(books: Books, moments: readonly number[]): Float64Array {
  const { closed, lifetimeSeconds } = books
  const older = new Float64Array(closed.length + 1)
  for (let age = closed.length - 1; age >= 0; age--) {
    older[age] = (older[age + 1] ?? 0) + (closed[age] ?? 0)
  }
  const release = new Float64Array(moments.length)
  for (let i = 0; i < moments.length; i++) {
    const from = Math.min(closed.length, Math.max(0, lifetimeSeconds - (moments[i] ?? 0)))
    const age = Math.floor(from)
    release[i] = books.availablePorts + (older[age] ?? 0) - (from - age) * (closed[age] ?? 0)
  }
  return release
}
