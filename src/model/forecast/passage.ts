// From an expected path of used ports and the chance around it to the probability that it has met the limit by each moment.

import { takeNormalDensity, takeNormalShare } from './normal.ts'

/** Standard deviations that chance does not overcome. */
export const CERTAIN = 8

/**
 * `margins[i]`: ports still free at `times[i]` on the expected path, in standard deviations. Two ways to fail: the path and
 * the chance of one moment (the worst so far), and, once the first lifetime is over, fluctuations that renew themselves
 * every `memorySeconds` and cross a high level z at the rate z x density(z) / memory (Pickands, for a covariance that falls
 * off linearly as that of a Poisson count over a window does).
 */
export function takePassage(
  times: readonly number[],
  margins: Float64Array,
  memorySeconds: number,
): Float64Array {
  const chances = new Float64Array(times.length)
  let worst = 0
  let crossings = 0
  for (let i = 0; i < times.length; i++) {
    const z = margins[i] ?? 0
    const now = times[i] ?? 0
    const step = now - (times[i - 1] ?? now)
    if (z < CERTAIN) worst = Math.max(worst, 1 - takeNormalShare(z))
    if (now > memorySeconds && z > 0 && z < CERTAIN)
      crossings += (step * z * takeNormalDensity(z)) / memorySeconds
    chances[i] = 1 - (1 - worst) * Math.exp(-crossings)
  }
  return chances
}
