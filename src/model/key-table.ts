// Distinct keys of a fixed number of words -> small indexes, by the order in which they first came. Open addressing
// over typed arrays: 100,000 look-ups make no object.

import { createSeededHash, type SeededHash } from './seeded-hash.ts'

export interface KeyTable {
  /** Empties the table, keeping its memory. */
  clear(): void
  count(): number
  /** The index of the key, added when new. */
  index(key: Uint32Array): number
  /** The index of the key, -1 when it is not there. */
  find(key: Uint32Array): number
  /** The hash of a key, by its index. */
  hashOf(index: number): number
  /** `words` words a key. NB: growing replaces the array, so read it afresh after adding. */
  keys(): Uint32Array
}

/** Whether two keys are equal, `left` from the word `at` and `right` from the word `from` on. */
export type SameKey = (left: Uint32Array, at: number, right: Uint32Array, from: number) => boolean

const INITIAL_ROWS = 1024
/** Slots a row: a load factor of at most one half keeps the probes short. */
const SLOTS_PER_ROW = 2

export function createKeyTable(
  words: number,
  sameKey: SameKey,
  hash: SeededHash = createSeededHash(words),
): KeyTable {
  let keys = new Uint32Array(INITIAL_ROWS * words)
  let hashes = new Int32Array(INITIAL_ROWS)
  let slots = new Int32Array(INITIAL_ROWS * SLOTS_PER_ROW)
  let count = 0

  /** The slot that holds the key, or the free one where it belongs. Slots hold index + 1, 0 is free. */
  function slotOf(key: Uint32Array, hashed: number): number {
    const mask = slots.length - 1
    for (let slot = hashed & mask; ; slot = (slot + 1) & mask) {
      const index = (slots[slot] ?? 0) - 1
      if (index < 0 || (hashes[index] === hashed && sameKey(keys, index * words, key, 0))) {
        return slot
      }
    }
  }

  function grow(): void {
    const grown = new Uint32Array(keys.length * 2)
    grown.set(keys)
    keys = grown
    const grownHashes = new Int32Array(hashes.length * 2)
    grownHashes.set(hashes)
    hashes = grownHashes
    slots = new Int32Array(slots.length * 2)
    const mask = slots.length - 1
    for (let index = 0; index < count; index++) {
      let slot = (hashes[index] ?? 0) & mask
      while (slots[slot] !== 0) slot = (slot + 1) & mask
      slots[slot] = index + 1
    }
  }

  return {
    clear() {
      slots.fill(0)
      count = 0
    },
    count: () => count,
    index(key) {
      const hashed = hash(key, 0)
      const slot = slotOf(key, hashed)
      const found = (slots[slot] ?? 0) - 1
      if (found >= 0) return found
      const index = count++
      // For so few words quicker than set().
      for (let word = 0; word < words; word++) keys[index * words + word] = key[word] ?? 0
      hashes[index] = hashed
      slots[slot] = index + 1
      if ((count + 1) * words > keys.length) grow()
      return index
    },
    find: (key) => (slots[slotOf(key, hash(key, 0))] ?? 0) - 1,
    hashOf: (index) => hashes[index] ?? 0,
    keys: () => keys,
  }
}
