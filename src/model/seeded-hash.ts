// Hashes that nobody can foresee: a table whose keys a tenant chooses (addresses, ports, owners) would else be slow for
// all as soon as one tenant chooses keys that collide. Secret multipliers of whole words would not do: the highest bits
// of two words cancel each other in a sum modulo 2^32, whatever odd numbers they are multiplied by.

/** Hashes the words of `key` from `at` on to 32 bits, signed: such a number takes no memory in V8. */
export type SeededHash = (key: Uint32Array | readonly number[], at: number) => number

const BYTE_VALUES = 256

/**
 * Creates the hash of keys of so many words; no two hashes are alike. Two sums of half words with random multipliers,
 * of which the upper halves count: two keys have both in common once in 2^30 hashes (Lemire and Kaser, "Strongly
 * universal string hashing is fast", 2014). Their four bytes then choose random words (simple tabulation), which keeps
 * the probes of open addressing short (Patrascu and Thorup, "The power of simple tabulation hashing", 2012).
 */
export function createSeededHash(words: number): SeededHash {
  const factors = crypto.getRandomValues(new Int32Array(4 * words))
  const random = crypto.getRandomValues(new Int32Array(4 * BYTE_VALUES))

  return (key, at) => {
    let first = 0
    let second = 0
    for (let word = 0, factor = 0; word < words; word++, factor += 4) {
      const value = key[at + word] ?? 0
      const low = value & 0xffff
      const high = value >>> 16
      // Of the words of an IPv4 destination half are zero, which adds nothing.
      if (value === 0) continue
      first = (first + Math.imul(low, factors[factor] ?? 0)) | 0
      second = (second + Math.imul(low, factors[factor + 1] ?? 0)) | 0
      if (high === 0) continue
      first = (first + Math.imul(high, factors[factor + 2] ?? 0)) | 0
      second = (second + Math.imul(high, factors[factor + 3] ?? 0)) | 0
    }
    return (
      (random[first >>> 24] ?? 0) ^
      (random[BYTE_VALUES + ((first >>> 16) & 255)] ?? 0) ^
      (random[2 * BYTE_VALUES + (second >>> 24)] ?? 0) ^
      (random[3 * BYTE_VALUES + ((second >>> 16) & 255)] ?? 0)
    )
  }
}

/** Creates a hash of port numbers that can be added bit by bit to another: simple tabulation again. */
export function createSeededPortHash(): (port: number) => number {
  const random = crypto.getRandomValues(new Int32Array(2 * BYTE_VALUES))
  return (port) => (random[port & 255] ?? 0) ^ (random[BYTE_VALUES + (port >>> 8)] ?? 0)
}
