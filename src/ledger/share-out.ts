// A whole number of things shared out in proportion to weights, none lost to rounding. Pure.

/** By the largest remainder; all weights 0 is an even split. Whole numbers that add up to `whole`. */
export function shareOut(whole: number, weights: readonly number[]): number[] {
  const sum = weights.reduce((total, weight) => total + weight, 0)
  const exact = weights.map(
    (weight) => (whole * (sum === 0 ? 1 : weight)) / (sum || weights.length),
  )
  const parts = exact.map(Math.floor)
  const left = whole - parts.reduce((total, part) => total + part, 0)
  const byRemainder = exact
    .map((value, index) => ({ index, remainder: value - Math.floor(value) }))
    .toSorted((a, b) => b.remainder - a.remainder || a.index - b.index)
  for (const { index } of byRemainder.slice(0, left)) parts[index] = (parts[index] ?? 0) + 1
  return parts
}
