// A whole number of things shared out in proportion to weights, none lost to rounding. Pure.

/** What a sum of fractions may be off by. */
const ROUNDING = 1e-6

/**
 * Shares by the largest remainder: whole numbers that add up to `whole`, in the order of `weights`. Of equal remainders
 * the first comes first. Weights that are all 0 share evenly.
 */
export function shareOut(whole: number, weights: readonly number[]): number[] {
  const sum = weights.reduce((total, weight) => total + weight, 0)
  const exact = weights.map(
    (weight) => (whole * (sum === 0 ? 1 : weight)) / (sum || weights.length),
  )
  const parts = exact.map((value) => Math.floor(value + ROUNDING))
  const left = whole - parts.reduce((total, part) => total + part, 0)
  const byRemainder = exact
    .map((value, index) => ({ index, remainder: value - (parts[index] ?? 0) }))
    .toSorted((a, b) => b.remainder - a.remainder || a.index - b.index)
  for (const { index } of byRemainder.slice(0, left)) parts[index] = (parts[index] ?? 0) + 1
  return parts
}
