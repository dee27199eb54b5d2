// The points of a track seen from now, newest first, as columns: how long ago, and what was opened since.

import type { Point } from './points.ts'

export interface Look {
  readonly count: number
  readonly ago: Float64Array
  /** Opened between then and now. */
  readonly opened: Float64Array
  /** Variance of that count. */
  readonly variance: Float64Array
  /** Connections that open together, as it seems. */
  readonly dispersion: number
}

/** A time up to now through which the rate was one level, or one line. */
export interface Stretch {
  /** Index, in the look, of its beginning. */
  readonly first: number
  /** Openings per second now, with its standard error. */
  readonly rate: number
  readonly rateDeviation: number
  /** Change of the rate per second; 0 for a level. */
  readonly slope: number
  readonly slopeDeviation: number
  /** How fast the slope itself fades, per second: a rise that is bending down may never arrive. */
  readonly fading: number
  readonly ageSeconds: number
}

export function lookBack(points: readonly Point[], dispersion: number): Look {
  const count = points.length
  const now = points[count - 1]
  const ago = new Float64Array(count)
  const opened = new Float64Array(count)
  const variance = new Float64Array(count)
  for (let i = 0; i < count; i++) {
    const point = points[count - 1 - i]
    if (point === undefined || now === undefined) break
    ago[i] = now.atSeconds - point.atSeconds
    opened[i] = now.openedPorts - point.openedPorts
    variance[i] = dispersion * (now.openedVariance - point.openedVariance)
  }
  return { count, ago, opened, variance, dispersion }
}
