// The books of a track, kept forward: rates as they are now -> expected margin at each moment ahead. Opened ports come in,
// closed ones stay in TIME_WAIT for its lifetime, and those that are in it now leave by the kernel's own timetable.

import { countClosed } from './schedule.ts'

export interface Course {
  /** Openings per second now, and its change per second, which fades at `fading` per second. */
  readonly rate: number
  readonly slope: number
  readonly fading: number
  /** Live ports piling up per second, ending by itself at `hazard` per second. */
  readonly growth: number
  readonly hazard: number
}

export interface Books {
  readonly availablePorts: number
  /** Live ports of a restart that are yet to come back. */
  readonly missingPorts: number
  /** TIME_WAIT ports by age in seconds. */
  readonly closed: readonly number[]
  readonly lifetimeSeconds: number
  /** Holding time of what the load explains, and the rate that live ports correspond to so far. */
  readonly holdSeconds: number
  readonly settledRate: number
  readonly dispersion: number
}

/** Free ports over standard deviation at each moment; the moments begin with 0. */
export type Projection = (course: Course) => Float64Array

/** Dense for the first minutes, then ever wider; `horizonSeconds` is one of them. */
export function listMoments(horizonSeconds: number, lastSeconds: number): readonly number[] {
  const moments = [0]
  for (let at = 0; at < lastSeconds; ) {
    const step = at < 30 ? 2.5 : at < 120 ? 5 : Math.max(5, at * (at < horizonSeconds ? 0.07 : 0.2))
    const next = Math.min(lastSeconds, at + step)
    at = at < horizonSeconds && next > horizonSeconds ? horizonSeconds : next
    moments.push(at)
  }
  return moments
}

/** Creates the projection of a track; what does not depend on the course is computed once. */
export function createProjection(books: Books, moments: readonly number[]): Projection {
  const { lifetimeSeconds: lifetime, holdSeconds } = books
  const count = moments.length
  const still = takeRelease(books, moments)
  const settling = moments.map((at, i) =>
    holdSeconds > 0 ? Math.exp(-(at - (moments[i - 1] ?? 0)) / holdSeconds) : 0,
  )
  const earlier = locateEarlier(moments, lifetime)
  const closedBy = new Float64Array(count)

  return ({ rate: start, slope, fading, growth, hazard }) => {
    const margins = new Float64Array(count)
    let settled = books.settledRate
    let opens = 0
    let closes = 0
    let live = books.missingPorts
    let piled = 0
    let last = 0
    for (let i = 0; i < count; i++) {
      const at = moments[i] ?? 0
      const step = at - last
      last = at
      if (step > 0) {
        const rate = Math.max(0, start + takeRise(slope, fading, at - step / 2))
        const next = rate + (settled - rate) * (settling[i] ?? 0)
        const pile = takeRise(growth, hazard, at)
        const rise = holdSeconds * (next - settled) + pile - piled
        settled = next
        piled = pile
        opens += rate * step
        live += rise
        closes += Math.max(0, rate * step - rise)
      }
      closedBy[i] = closes
      const position = earlier[i] ?? 0
      const below = Math.floor(position)
      const low = closedBy[below] ?? 0
      const gone =
        at <= lifetime ? 0 : low + (position - below) * ((closedBy[below + 1] ?? low) - low)
      const free = (still[i] ?? 0) - live - closes + gone
      const window = at > 0 ? Math.min(at, lifetime + holdSeconds) / at : 0
      margins[i] = free / Math.sqrt(books.dispersion * opens * window + 0.25)
    }
    return margins
  }
}

/** What `speed` adds up to by `at` when it ends at `ending` per second. */
function takeRise(speed: number, ending: number, at: number): number {
  return ending * at < 1e-6 ? speed * at : (speed * (1 - Math.exp(-ending * at))) / ending
}

/** Where in the list the moment one lifetime earlier lies: index below, plus the share of the way to the next. */
function locateEarlier(moments: readonly number[], lifetime: number): Float64Array {
  const positions = new Float64Array(moments.length)
  let below = 0
  moments.forEach((at, i) => {
    if (at <= lifetime) return
    while ((moments[below + 1] ?? Number.POSITIVE_INFINITY) <= at - lifetime) below++
    const [from, to] = [moments[below] ?? 0, moments[below + 1] ?? 0]
    positions[i] = below + (to > from ? (at - lifetime - from) / (to - from) : 0)
  })
  return positions
}

/** Free ports at each moment if nothing were opened any more: those free now and those TIME_WAIT has released by then. */
function takeRelease(books: Books, moments: readonly number[]): readonly number[] {
  const { closed, lifetimeSeconds } = books
  const all = { toSeconds: closed.length }
  return moments.map((at) => {
    const fromSeconds = Math.max(0, lifetimeSeconds - at)
    return books.availablePorts + countClosed(closed, { fromSeconds, ...all })
  })
}
