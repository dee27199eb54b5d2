// From an expected path of used ports and the chance around it to the probability that it has met the limit.

import { takeMillsRatio, takeNormalDensity, takeNormalShare } from './normal.ts'

/** Standard deviations that chance does not overcome. */
export const CERTAIN = 8

/** An expected path at the first `count` of the moments. */
export interface Path {
  readonly moments: readonly number[]
  readonly count: number
  /** Free ports, in standard deviations. */
  readonly margins: Float64Array
  /** Free ports at the start, in the standard deviations of each moment. */
  readonly starts: Float64Array
  /** How often a second the fluctuations around the path forget themselves. */
  readonly paces: Float64Array
}

/**
 * Probability of a failure by the last moment. Two ways to fail: the chance of one moment (the worst so far), and
 * fluctuations that renew themselves at `pace` and meet the limit meanwhile. Before they have renewed themselves once, what is
 * known of now wears off like a random walk: its first passage is Phi(-z) + phi(z) Mills(2 start - z).
 * `byMoment` takes the probability by each moment, added with its weight.
 */
export function takePassage(
  { moments, count, margins, starts, paces }: Path,
  byMoment?: { readonly sums: Float64Array; readonly weight: number },
): number {
  let worst = 0
  let crossings = 0
  let last = 0
  for (let i = 0; i < count; i++) {
    const z = margins[i] ?? 0
    const now = moments[i] ?? 0
    if (z < CERTAIN) {
      let chance = 1 - takeNormalShare(z)
      const pace = paces[i] ?? 0
      if (now * pace <= 1) {
        const mirrored = 2 * (starts[i] ?? 0) - z
        if (mirrored > 0) chance += takeNormalDensity(z) * takeMillsRatio(mirrored)
      } else if (z > 0) {
        crossings += (now - last) * pace * takeRenewalHazard(z)
      }
      if (chance > worst) worst = Math.min(1, chance)
    }
    last = now
    if (byMoment === undefined) continue
    const by = 1 - (1 - worst) * Math.exp(-crossings)
    byMoment.sums[i] = (byMoment.sums[i] ?? 0) + byMoment.weight * by
  }
  return 1 - (1 - worst) * Math.exp(-crossings)
}

/**
 * How often, per renewal, a count over a sliding window exceeds its mean by z standard deviations or more, given that it did
 * not just before: Slepian's process W(t + 1) - W(t) stays below z for one window with probability
 * Phi^2 - phi (z Phi + phi) (D. Slepian, 1961).
 */
function takeRenewalHazard(z: number): number {
  const [share, density] = [takeNormalShare(z), takeNormalDensity(z)]
  return -Math.log((share * share - density * (z * share + density)) / share)
}
