// What is fuzzed: something that reads bytes which others have written, and may refuse them only in its own words.

import { DecodeError, SourceError } from '../../src/observation.ts'
import { PodListError } from '../../src/pods/answer.ts'

export interface Target {
  readonly name: string
  /** Takes many times as long as the others. */
  readonly costly?: boolean
  /** What is known to be read: recorded from real kernels, users and servers, or built as they write it. */
  readonly seeds: () => readonly Uint8Array[]
  /**
   * Reads the bytes. Throws what is documented, or whatever it should not. Returns a word for what came of it: an input
   * that gives a new word is worth mutating further.
   */
  readonly read: (bytes: Uint8Array) => unknown
}

export const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('utf8')
export const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))

/** The kind of what came of it, without numbers and quotations. Throws what nobody has documented. */
export function outcomeOf(target: Target, bytes: Uint8Array): string {
  try {
    return `read ${shapeOf(target.read(bytes))}`
  } catch (error) {
    const isDocumented =
      error instanceof DecodeError || error instanceof SourceError || error instanceof PodListError
    if (!isDocumented) throw error
    return error.message
      .replace(/"(?:[^"\\]|\\.)*"/g, '""')
      .replace(/\d+/g, '0')
      .slice(0, 120)
  }
}

/** Sizes by their powers of two. */
function shapeOf(value: unknown): string {
  if (typeof value === 'number') return String(Math.ceil(Math.log2(Math.abs(value) + 1)))
  if (Array.isArray(value)) return `[${value.slice(0, 6).map(shapeOf).join()}]`
  return typeof value === 'string' ? value.slice(0, 40) : typeof value
}

/** Throws where a value is no whole number of that range. */
export function demand(what: string, value: number, most: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= most) return value
  throw new RangeError(`${what} is ${value}`)
}
