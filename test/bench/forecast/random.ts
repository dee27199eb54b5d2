// Seeded random numbers for the simulation: seed text -> the same stream on every machine (sfc32, seeded by FNV-1a).

export interface Random {
  /** Uniform in [0, 1). */
  next(): number
  /** Uniform in [low, high). */
  between(low: number, high: number): number
  /** Uniform in the logarithm, for ranges of several magnitudes. */
  betweenLog(low: number, high: number): number
  /** Exponential with that mean. */
  exponential(mean: number): number
  /** How many of `count` survive when each does with `chance`. */
  binomial(count: number, chance: number): number
  pick<T>(items: readonly T[]): T
}

export function createRandom(seed: string): Random {
  let a = hashText(seed, 0x811c9dc5)
  let b = hashText(seed, 0x01234567)
  let c = hashText(seed, 0x9e3779b9)
  let counter = 1

  function next(): number {
    const sum = (a + b + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (c << 21) | (c >>> 11)
    c = (c + sum) | 0
    return (sum >>> 0) / 4294967296
  }

  for (let i = 0; i < 15; i++) next()
  const between = (low: number, high: number) => low + (high - low) * next()
  return {
    next,
    between,
    betweenLog: (low, high) => Math.exp(between(Math.log(low), Math.log(high))),
    exponential: (mean) => -mean * Math.log(1 - next()),
    binomial(count, chance) {
      let survivors = 0
      for (let i = 0; i < count; i++) if (next() < chance) survivors++
      return survivors
    },
    pick<T>(items: readonly T[]): T {
      const item = items[Math.floor(next() * items.length)]
      if (item === undefined) throw new RangeError('Cannot pick from an empty list')
      return item
    },
  }
}

function hashText(text: string, basis: number): number {
  let hash = basis
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash | 0
}
