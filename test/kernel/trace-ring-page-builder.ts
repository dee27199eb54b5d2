// Builds pages of a trace ring, apart from the decoder: what the kernel's reserve and commit would have written.

import type { EventFormat, PageFormat } from '../../src/kernel/trace-event-format.ts'

export interface PlannedRecord {
  readonly kind: 'failure'
  readonly pid: number
  readonly remotePort: number
  readonly local: readonly number[]
  readonly remote: readonly number[]
}

export type PlannedEvent =
  | PlannedRecord
  /** Another event's record, of so many words. */
  | { readonly kind: 'stranger'; readonly words: number }
  | { readonly kind: 'time' }
  /** A record that was discarded after others had been written behind it. */
  | { readonly kind: 'discarded'; readonly words: number }

/** Whole pages, zeros behind the data; `flags` are the top bits of the commit word. */
export function buildRingPage(
  events: readonly PlannedEvent[],
  { event, layout }: { readonly event: EventFormat; readonly layout: PageFormat },
  flags = 0,
): Uint8Array {
  const data = Buffer.concat(events.map((planned) => buildEvent(planned, event)))
  const page = Buffer.alloc(layout.bytes)
  if (data.length > layout.dataBytes) throw new Error('Cannot fit the events into one page')
  page.writeUInt32LE((data.length | flags) >>> 0, layout.commitAt)
  data.copy(page, layout.dataAt)
  return page
}

function buildEvent(planned: PlannedEvent, event: EventFormat): Buffer {
  const delta = 77 << 5
  switch (planned.kind) {
    case 'time':
      return Buffer.from(Uint32Array.of(30 | delta, 5).buffer)
    case 'discarded':
      return withLength(29 | delta, Buffer.alloc(planned.words * 4))
    case 'stranger': {
      const record = Buffer.alloc(planned.words * 4)
      record.writeUInt16LE(event.id + 1, event.typeAt)
      // More than 28 words do not fit into type_len.
      if (planned.words > 28) return withLength(delta, record)
      return Buffer.concat([Buffer.from(Uint32Array.of(planned.words | delta).buffer), record])
    }
    case 'failure': {
      const record = Buffer.alloc(Math.ceil(event.bytes / 4) * 4)
      record.writeUInt16LE(event.id, event.typeAt)
      record.writeInt32LE(planned.pid, event.pidAt)
      record.writeUInt16LE(planned.remotePort, event.remotePortAt)
      for (const [index, word] of planned.local.entries()) {
        record.writeUInt32BE(word, event.localAddressAt + 4 * index)
      }
      for (const [index, word] of planned.remote.entries()) {
        record.writeUInt32BE(word, event.remoteAddressAt + 4 * index)
      }
      const head = Buffer.from(Uint32Array.of((record.length / 4) | delta).buffer)
      return Buffer.concat([head, record])
    }
  }
}

function withLength(header: number, record: Buffer): Buffer {
  const head = Buffer.from(Uint32Array.of(header, record.length + 4).buffer)
  return Buffer.concat([head, record])
}
