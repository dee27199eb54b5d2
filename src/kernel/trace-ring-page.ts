// A page of a trace ring as trace_pipe_raw hands it out: bytes -> records. Mirrors include/linux/ring_buffer.h and
// kernel/trace/ring_buffer.c:rb_event_length. Pure. Little-endian, as every platform with a koffi build is.
//
//   page: timestamp u64 | commit long: bytes of data in its low bits, flags about lost events in bits 30 and 31 | data
//   event:  u32 = type_len in bits 0-4, time delta in bits 5-31 | then by type_len
//     0        length u32, itself included | the record
//     1..28    the record, of 4 * type_len bytes
//     29       padding: to the end of the page when the delta is 0, else length u32, itself included
//     30, 31   a timestamp: 4 more bytes

import { DecodeError } from '../observation.ts'
import type { EventFormat, PageFormat } from './trace-event-format.ts'

/** One failed allocation. */
export interface FailureRecord {
  readonly pid: number
  readonly remotePort: number
  /** Four words, most significant first, IPv4 as ::ffff:a.b.c.d. */
  readonly localAddress: Uint32Array
  readonly remoteAddress: Uint32Array
}

export interface DecodedPage {
  readonly records: readonly FailureRecord[]
  /** Records of other events. */
  readonly strangers: number
}

const HEADER_BYTES = 4
/** RB_MISSED_EVENTS and RB_MISSED_STORED; per_cpu/cpu<n>/stats says how many. */
const COMMIT_MASK = 0x3fff_ffff
const TYPE = { padding: 29, timeExtend: 30, timestamp: 31 } as const

/** Throws DecodeError when the page does not say what it must. */
export function decodeRingPage(
  page: Uint8Array,
  { event, layout }: { readonly event: EventFormat; readonly layout: PageFormat },
): DecodedPage {
  if (page.length < layout.dataAt) {
    throw new DecodeError(`Cannot decode a ring page of ${page.length} bytes`, 0)
  }
  const view = new DataView(page.buffer, page.byteOffset, page.length)
  const dataBytes = view.getUint32(layout.commitAt, true) & COMMIT_MASK
  const end = layout.dataAt + dataBytes
  if (end > page.length) {
    throw new DecodeError(`Cannot decode a ring page: it claims ${dataBytes} bytes of data`, 0)
  }
  const records: FailureRecord[] = []
  let strangers = 0

  for (let at = layout.dataAt; at < end; ) {
    if (at + HEADER_BYTES > end) throw cutShort(at)
    const header = view.getUint32(at, true)
    const typeLength = header & 0x1f
    if (typeLength === TYPE.padding && header >>> 5 === 0) break
    if (typeLength === TYPE.timeExtend || typeLength === TYPE.timestamp) {
      at += HEADER_BYTES + 4
      continue
    }
    const long = typeLength === 0 || typeLength === TYPE.padding
    if (long && at + HEADER_BYTES + 4 > end) throw cutShort(at)
    const bytes = long ? view.getUint32(at + HEADER_BYTES, true) : typeLength * 4
    const next = at + HEADER_BYTES + bytes
    if (next > end || (long && bytes < 4)) throw cutShort(at)
    if (typeLength !== TYPE.padding) {
      const from = at + HEADER_BYTES + (long ? 4 : 0)
      if (typeOf(view, { from, next, event }) !== event.id) strangers++
      else if (next - from < event.bytes) throw cutShort(at)
      else records.push(decodeRecord(view, from, event))
    }
    at = next
  }
  return { records, strangers }
}

/** Reads the type of a record, -1 of one that is too short to have a type. */
function typeOf(
  view: DataView,
  { from, next, event }: { from: number; next: number; event: EventFormat },
): number {
  return next - from < event.typeAt + 2 ? -1 : view.getUint16(from + event.typeAt, true)
}

function decodeRecord(view: DataView, from: number, event: EventFormat): FailureRecord {
  return {
    pid: view.getInt32(from + event.pidAt, true),
    remotePort: view.getUint16(from + event.remotePortAt, true),
    localAddress: readWords(view, from + event.localAddressAt),
    remoteAddress: readWords(view, from + event.remoteAddressAt),
  }
}

function readWords(view: DataView, at: number): Uint32Array {
  return Uint32Array.of(
    view.getUint32(at),
    view.getUint32(at + 4),
    view.getUint32(at + 8),
    view.getUint32(at + 12),
  )
}

function cutShort(offset: number): DecodeError {
  return new DecodeError('Cannot decode a ring page: a record is cut short', offset)
}
