// Mutations of bytes in the manner of AFL's havoc stage: a few at once, each at a random place of what a real kernel, user
// or server has said. The same generator gives the same mutations.

export interface Random {
  /** A whole number from 0 up to `below`, which is at least 1. */
  below(below: number): number
}

/** xorshift32: small, fast, and the same everywhere. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0 || 1
  return {
    below(below) {
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      return (state >>> 0) % below
    },
  }
}

export const LONGEST_INPUT = 65_536
const MOST_AT_ONCE = 6
/** Where lengths, counts and indexes go wrong. */
const INTERESTING = [0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 100, 127, 128, 255, 256, 1000]
const WIDE = [0x7fff, 0x8000, 0xffff, 0x10000, 0x7fff_ffff, 0x8000_0000, 0xffff_fffc, 0xffff_ffff]

type Mutation = (bytes: Buffer, random: Random, other: Buffer) => Buffer

const at = (bytes: Buffer, random: Random, width = 1) =>
  random.below(Math.max(1, bytes.length - width + 1))

function splice(bytes: Buffer, from: number, to: number, middle: Uint8Array): Buffer {
  return Buffer.concat([bytes.subarray(0, from), middle, bytes.subarray(to)])
}

function block(bytes: Buffer, random: Random): readonly [from: number, to: number] {
  const from = at(bytes, random)
  const most = Math.min(bytes.length - from, 1 << random.below(10))
  return [from, from + random.below(most + 1)]
}

/** Numbers are little-endian in most of what the kernel says, and big-endian in the rest. */
function writeNumber(bytes: Buffer, random: Random, value: number): Buffer {
  const width = [1, 2, 4][random.below(3)] ?? 1
  if (bytes.length < width) return bytes
  const place = at(bytes, random, width)
  const cut = width === 4 ? value >>> 0 : value & (2 ** (8 * width) - 1)
  if (random.below(2) === 0) bytes.writeUIntLE(cut, place, width)
  else bytes.writeUIntBE(cut, place, width)
  return bytes
}

const mutations: readonly Mutation[] = [
  (bytes, random) => {
    if (bytes.length === 0) return bytes
    const place = at(bytes, random)
    bytes[place] = (bytes[place] ?? 0) ^ (1 << random.below(8))
    return bytes
  },
  (bytes, random) => {
    if (bytes.length > 0) bytes[at(bytes, random)] = random.below(256)
    return bytes
  },
  (bytes, random) => {
    if (bytes.length === 0) return bytes
    const place = at(bytes, random)
    bytes[place] = ((bytes[place] ?? 0) + random.below(71) - 35) & 0xff
    return bytes
  },
  (bytes, random) => writeNumber(bytes, random, INTERESTING[random.below(INTERESTING.length)] ?? 0),
  (bytes, random) => writeNumber(bytes, random, WIDE[random.below(WIDE.length)] ?? 0),
  (bytes, random) => splice(bytes, ...block(bytes, random), Buffer.alloc(0)),
  (bytes, random) => {
    const [from, to] = block(bytes, random)
    const place = at(bytes, random)
    return splice(bytes, place, place, Buffer.from(bytes.subarray(from, to)))
  },
  (bytes, random) => {
    const [from, to] = block(bytes, random)
    bytes.copyWithin(at(bytes, random), from, to)
    return bytes
  },
  (bytes, random) => bytes.subarray(0, at(bytes, random)),
  (bytes, random, other) => {
    const [from, to] = block(other, random)
    const place = at(bytes, random)
    return splice(bytes, place, place, other.subarray(from, to))
  },
  (bytes, random, other) =>
    Buffer.concat([bytes.subarray(0, at(bytes, random)), other.subarray(at(other, random))]),
]

/** A mutant of `seed`, at most LONGEST_INPUT bytes long; `other` is where it takes parts from. */
export function mutate(seed: Uint8Array, other: Uint8Array, random: Random): Uint8Array {
  let bytes = Buffer.from(seed)
  for (let left = 1 + random.below(MOST_AT_ONCE); left > 0; left--) {
    const mutation = mutations[random.below(mutations.length)]
    bytes = Buffer.from(mutation?.(bytes, random, Buffer.from(other)) ?? bytes)
  }
  return new Uint8Array(bytes.subarray(0, LONGEST_INPUT))
}
