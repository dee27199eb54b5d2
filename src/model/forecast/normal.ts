// The normal distribution: density, distribution function, and points that stand for it in a sum.

export function takeNormalDensity(z: number): number {
  return Math.exp(-0.5 * z * z) / Math.sqrt(2 * Math.PI)
}

export function takeNormalShare(z: number): number {
  const tail = takeNormalDensity(z) * takeMillsRatio(Math.abs(z))
  return z >= 0 ? 1 - tail : tail
}

/** The tail beyond z >= 0 over the density there (Abramowitz and Stegun 26.2.17: absolute error of the tail below 7.5e-8). */
export function takeMillsRatio(z: number): number {
  const t = 1 / (1 + 0.2316419 * z)
  const series = -0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))
  return t * (0.31938153 + t * series)
}

/** The inverse of takeNormalShare(), by bisection: exact enough for a handful of points. */
export function takeNormalQuantile(share: number): number {
  let low = -8
  let high = 8
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2
    if (takeNormalShare(middle) < share) low = middle
    else high = middle
  }
  return (low + high) / 2
}

/** Middles of `count` equally likely parts of the standard normal distribution. */
export function listNormalPoints(count: number): readonly number[] {
  return Array.from({ length: count }, (_, i) => takeNormalQuantile((2 * i + 1) / (2 * count)))
}

/** The same for a normal distribution cut to [low, high]. */
export function listCutNormalPoints(
  { mean, deviation }: { mean: number; deviation: number },
  { low, high, count }: { low: number; high: number; count: number },
): readonly number[] {
  const from = takeNormalShare((low - mean) / deviation)
  const to = takeNormalShare((high - mean) / deviation)
  return Array.from({ length: count }, (_, i) => {
    const share = (2 * i + 1) / (2 * count)
    if (!(to - from > 1e-6)) return mean < low ? low : Math.min(high, low + share * (high - low))
    const z = takeNormalQuantile(from + share * (to - from))
    return Math.min(high, Math.max(low, mean + z * deviation))
  })
}
