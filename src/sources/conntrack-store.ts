// Conntrack entries that are looked at once all were listed: rows of a batch that the next datagram overwrites -> a
// batch of their own.

import { type ConntrackBatch, createConntrackBatch } from '../observation.ts'

export interface ConntrackStore {
  add(batch: ConntrackBatch, row: number): void
  /** All that was added, as one batch. */
  readonly batch: ConntrackBatch
}

const INITIAL_ROWS = 1024

export function createConntrackStore(): ConntrackStore {
  let capacity = INITIAL_ROWS
  let kept = createConntrackBatch(capacity)

  function grow(): void {
    capacity *= 2
    const grown = createConntrackBatch(capacity)
    const before = columnsOf(kept)
    columnsOf(grown).forEach((column, at) => {
      column.set(before[at] ?? [])
    })
    grown.length = kept.length
    kept = grown
  }

  return {
    add({ protocol, sourceNat, evictable, original, reply }, row) {
      if (kept.length === capacity) grow()
      const to = kept.length++
      kept.protocol[to] = protocol[row] ?? 0
      kept.sourceNat[to] = sourceNat[row] ?? 0
      kept.evictable[to] = evictable[row] ?? 0
      kept.original.source[to] = original.source[row] ?? 0
      kept.original.destination[to] = original.destination[row] ?? 0
      kept.original.sourcePort[to] = original.sourcePort[row] ?? 0
      kept.original.destinationPort[to] = original.destinationPort[row] ?? 0
      kept.original.zone[to] = original.zone[row] ?? 0
      kept.reply.source[to] = reply.source[row] ?? 0
      kept.reply.destination[to] = reply.destination[row] ?? 0
      kept.reply.sourcePort[to] = reply.sourcePort[row] ?? 0
      kept.reply.destinationPort[to] = reply.destinationPort[row] ?? 0
      kept.reply.zone[to] = reply.zone[row] ?? 0
    },
    get batch() {
      return kept
    },
  }
}

function columnsOf({ protocol, sourceNat, evictable, original, reply }: ConntrackBatch) {
  const tuples = [original, reply].flatMap((one) => [
    one.source,
    one.destination,
    one.sourcePort,
    one.destinationPort,
    one.zone,
  ])
  return [protocol, sourceNat, evictable, ...tuples]
}
