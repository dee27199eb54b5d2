// Lines of a seq_file under /proc/net that arrives in chunks: where each begins and ends, none copied but those that a
// chunk's end cuts in two.

import { DecodeError } from '../observation.ts'

/** A row of tcp6 has about 180; more without a line feed is something else. */
const LONGEST_LINE_BYTES = 512
const LINE_FEED = 10

export interface Line {
  bytes: Uint8Array
  from: number
  /** The index of the line feed. */
  to: number
}

/**
 * Yields one object again and again, to make none a line; chunks may be overwritten once the next is asked for. Throws
 * DecodeError when a line is too long or the last has no end.
 */
export function* splitLines(chunks: Iterable<Uint8Array>, table: string): Generator<Line> {
  const line: Line = { bytes: new Uint8Array(0), from: 0, to: 0 }
  let rest: Uint8Array = new Uint8Array(0)
  for (const chunk of chunks) {
    let from = 0
    if (rest.length > 0) {
      const to = chunk.indexOf(LINE_FEED)
      const end = to < 0 ? chunk.length : to + 1
      rest = join(rest, chunk.subarray(0, end))
      from = end
      if (to >= 0) {
        line.bytes = rest
        line.from = 0
        line.to = rest.length - 1
        checkLength(line.to, table)
        yield line
        rest = new Uint8Array(0)
      }
    }
    for (;;) {
      const to = chunk.indexOf(LINE_FEED, from)
      if (to < 0) break
      line.bytes = chunk
      line.from = from
      line.to = to
      checkLength(to - from, table)
      yield line
      from = to + 1
    }
    // NB: not slice(), which copies a Uint8Array but shares the memory of a Buffer.
    if (from < chunk.length) rest = new Uint8Array(chunk.subarray(from))
    checkLength(rest.length, table)
  }
  if (rest.length > 0) {
    throw new DecodeError(
      `${cannotDecode(table)}: the last line has no end, ${quoteBytes(rest, 0, rest.length)}`,
      rest.length,
    )
  }
}

function join(head: Uint8Array, tail: Uint8Array): Uint8Array {
  const joined = new Uint8Array(head.length + tail.length)
  joined.set(head)
  joined.set(tail, head.length)
  return joined
}

function checkLength(length: number, table: string): void {
  if (length <= LONGEST_LINE_BYTES) return
  throw new DecodeError(
    `${cannotDecode(table)}: expected a line of at most ${LONGEST_LINE_BYTES} bytes`,
    LONGEST_LINE_BYTES,
  )
}

/** The start of an error message. */
export function cannotDecode(table: string): string {
  return `Cannot decode /proc/net/${table}`
}

/** The start of a line, for an error message. */
export function quoteBytes(bytes: Uint8Array, from: number, to: number): string {
  const text = Buffer.from(bytes.subarray(from, Math.min(to, from + 100))).toString('latin1')
  return JSON.stringify(text)
}
