// Seeded pseudo-random numbers (mulberry32), so that a failing test can be repeated from its seed.

export interface Random {
  /** A whole number, both ends included. */
  between(least: number, most: number): number
  pick<T>(choices: readonly T[]): T
  chance(probability: number): boolean
}

/** Creates a function that draws from [0, 1). */
export function createUniform(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

export function createRandom(seed: number): Random {
  const next = createUniform(seed)
  const between = (least: number, most: number) => least + Math.floor(next() * (most - least + 1))
  return {
    between,
    pick<T>(choices: readonly T[]): T {
      const choice = choices[between(0, choices.length - 1)]
      if (choice === undefined) throw new Error('Cannot pick from nothing')
      return choice
    },
    chance: (probability) => next() < probability,
  }
}
