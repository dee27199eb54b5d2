// From an expected path of used ports and the chance around it to the probability that it has met the limit by each moment.

import { takeNormalDensity, takeNormalShare } from './normal.ts'

/** Standard deviations that chance does not overcome. */
export const CERTAIN = 8

/**
 * Adds, with `weight`, the probability of a failure by each moment. `margins[i]`: ports still free at `moments[i]` on the
 * expected path, in standard deviations. Two ways to fail: the path and the chance of one moment (the worst so far), and,
 * once the first lifetime is over, fluctuations that renew themselves every `memory` seconds and cross a high level z at the
 * rate z x density(z) / memory (Pickands, for a covariance that falls off linearly, as that of a Poisson count over a
 * sliding window does).
 */
export function addPassage(
  sums: Float64Array,
  moments: readonly number[],
  path: { readonly margins: Float64Array; readonly memory: number; readonly weight: number },
): void {
  const { margins, memory, weight } = path
  let worst = 0
  let crossings = 0
  let last = 0
  for (let i = 0; i < moments.length; i++) {
    const z = margins[i] ?? 0
    const now = moments[i] ?? 0
    if (z < CERTAIN) {
      worst = Math.max(worst, 1 - takeNormalShare(z))
      if (now > memory && z > 0) crossings += ((now - last) * z * takeNormalDensity(z)) / memory
    }
    last = now
    sums[i] = (sums[i] ?? 0) + weight * (1 - (1 - worst) * Math.exp(-crossings))
  }
}
