// Values of labels that a tenant chooses, without the control characters C1, which act on a terminal, and cut to a
// length that a Prometheus with a limit (label_value_length_limit) takes: it drops the whole scrape where one is
// longer. Pure.

import { createHash } from 'node:crypto'

/** The path of a cgroup has up to 4,095. */
const MOST_BYTES = 256
const HASH_DIGITS = 16

/**
 * The text itself, or where it has more bytes of UTF-8 its beginning, a tilde and a hash of all of it. C1 become
 * `\x9b`.
 */
export function shortenLabel(text: string, mostBytes = MOST_BYTES): string {
  const shown = text.replace(/[\u0080-\u009f]/g, (one) => `\\x${one.charCodeAt(0).toString(16)}`)
  if (Buffer.byteLength(shown) <= mostBytes) return shown
  const hash = createHash('sha256').update(shown).digest('hex').slice(0, HASH_DIGITS)
  const room = new Uint8Array(mostBytes - 1 - HASH_DIGITS)
  const { read } = new TextEncoder().encodeInto(shown, room)
  return `${shown.slice(0, read)}~${hash}`
}
