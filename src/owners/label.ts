// Values of labels that a tenant chooses, cut to a length that a Prometheus with a limit (label_value_length_limit) takes: it
// drops the whole scrape where one is longer. Pure.

import { createHash } from 'node:crypto'

/** The path of a cgroup has up to 4,095. */
const MOST_BYTES = 256
const HASH_DIGITS = 16

/** The text itself, or where it has more bytes of UTF-8 its beginning, a tilde and a hash of all of it. */
export function shortenLabel(text: string, mostBytes = MOST_BYTES): string {
  if (Buffer.byteLength(text) <= mostBytes) return text
  const hash = createHash('sha256').update(text).digest('hex').slice(0, HASH_DIGITS)
  const room = new Uint8Array(mostBytes - 1 - HASH_DIGITS)
  const { read } = new TextEncoder().encodeInto(text, room)
  return `${text.slice(0, read)}~${hash}`
}
