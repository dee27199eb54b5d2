// Probe steps of tables whose keys somebody has chosen, counted by the hashes that the table has given them.

import { describe, expect, test } from 'vitest'
import { KEY_WORDS } from '../../src/model/flows.ts'
import { createKeyTable } from '../../src/model/key-table.ts'
import { createInboundTest } from '../../src/model/listeners.ts'
import { createNumberTable } from '../../src/model/owners/ids.ts'

const KEYS = 12_000

/** Of all these keys, by a table of its own. */
function hashAll(keys: readonly Uint32Array[], words: number): readonly number[] {
  const table = createKeyTable(words, (left, at, right, from) => {
    for (let word = 0; word < words; word++) {
      if (left[at + word] !== right[from + word]) return false
    }
    return true
  })
  const indexes = keys.map((_, index) => index)
  expect(keys.map((key) => table.index(key))).toEqual(indexes)
  expect(keys.map((key) => table.find(key))).toEqual(indexes)
  return indexes.map((index) => table.hashOf(index))
}

/** Slots looked at while all of these keys are put in, at twice as many slots as keys. */
function countSteps(keys: readonly Uint32Array[], words: number): number {
  const slots = new Uint8Array(2 ** Math.ceil(Math.log2(2 * keys.length)))
  let steps = 0
  for (const hash of hashAll(keys, words)) {
    let slot = (hash >>> 0) % slots.length
    for (; slots[slot] === 1; slot = (slot + 1) % slots.length) steps++
    slots[slot] = 1
    steps++
  }
  return steps
}

const draw = (words: number) => crypto.getRandomValues(new Uint32Array(words))
const list = (make: (at: number) => Uint32Array) =>
  Array.from({ length: KEYS }, (_, at) => make(at))

/** Odd multipliers that the hash once had, for all to read. */
const PUBLISHED = [
  0x9e3779b1, 0x85ebca77, 0xc2b2ae3d, 0x27d4eb2f, 0x165667b1, 0xd3a2646d, 0xfd7046c5, 0xb55a4f09,
  0x8da6b343, 0xd8163841,
]

/** The number whose product with an odd one is 1 modulo 2^32 (Newton). */
function invert(odd: number): number {
  let inverse = odd
  for (let round = 0; round < 5; round++) inverse = Math.imul(inverse, 2 - Math.imul(odd, inverse))
  return inverse
}

/** Connections from one address of a tenant to IPv6 destinations of its choice, whose sum of products is always 0. */
function collideInPublished(): Uint32Array {
  const key = new Uint32Array(KEY_WORDS)
  key.set([0xfd000000, 0, 0, 5])
  key.set(draw(3), 4)
  key[8] = 443
  const sum = key.reduce((total, word, at) => (total + Math.imul(word, PUBLISHED[at] ?? 0)) | 0, 0)
  key[7] = Math.imul(-sum, invert(PUBLISHED[7] ?? 1))
  return key
}

describe('a table of keys takes no more than twice the steps of random keys, of keys', () => {
  const random = countSteps(
    list(() => draw(KEY_WORDS)),
    KEY_WORDS,
  )

  /** One bit of each word, by the bits of a number: the highest ones cancel each other in sums of products. */
  const scatter = (at: number, bit: number) =>
    Uint32Array.from({ length: KEY_WORDS }, (_, word) => ((at >>> word) & 1) << bit)

  test.each<readonly [string, (at: number) => Uint32Array]>([
    ['whose published hash is one and the same', collideInPublished],
    ['that differ in the last word only', (at) => new Uint32Array(KEY_WORDS).fill(at, 9)],
    [
      'that differ in the high half of a word',
      (at) => new Uint32Array(KEY_WORDS).fill(at << 16, 7, 8),
    ],
    [
      'that differ in the two highest bits of each word',
      (at) => {
        const low = scatter(at, 30)
        const high = scatter(at >>> KEY_WORDS, 31)
        return low.map((word, index) => word | (high[index] ?? 0))
      },
    ],
    [
      'of an arithmetic progression in every word',
      (at) => Uint32Array.from({ length: KEY_WORDS }, (_, word) => at * (2 * word + 1) * 65_537),
    ],
  ])('%s', (_what, make) => {
    expect(countSteps(list(make), KEY_WORDS)).toBeLessThan(2 * random)
  })
})

test('two tables put the same keys in other places', () => {
  const keys = list(() => draw(2))
  const placesOf = () => hashAll(keys, 2).map((hash) => (hash >>> 0) % 2 ** 15)
  expect(placesOf()).not.toEqual(placesOf())
})

test('a table of numbers tells all of them apart, found or not', () => {
  const numbers = list((at) => Uint32Array.of(at)).map(([at = 0], index) =>
    index % 2 === 0 ? at * 2 ** 32 : -1 - at,
  )
  const table = createNumberTable()
  expect(table.find(numbers[0] ?? 0)).toBe(-1)
  expect(numbers.map((number) => table.index(number))).toEqual(numbers.map((_, index) => index))
  expect(numbers.map((number) => table.find(number))).toEqual(numbers.map((_, index) => index))
  expect([table.find(0.5 * 2 ** 32), table.count()]).toEqual([-1, KEYS])
})

test('thousands of listeners on the addresses of one port each accept what comes to them, and nothing else', () => {
  const address = (at: number) => [0, 0, 0xffff, 0x7f000000 + at] as const
  const accepts = createInboundTest(
    Array.from({ length: KEYS }, (_, at) => {
      return {
        protocol: 'tcp',
        port: 40_000,
        address: address(2 * at),
        explicit: true,
        inode: at,
        ipv6Only: false,
        ownerId: 1,
      }
    }),
  )
  const key = new Uint32Array(KEY_WORDS)
  const answers = Array.from({ length: 2 * KEYS }, (_, at) => {
    key.set(address(at))
    return accepts(key, 0, 40_000)
  })
  expect(answers).toEqual(answers.map((_, at) => at % 2 === 0))
  expect(accepts(key, 0, 40_001)).toBe(false)
})
