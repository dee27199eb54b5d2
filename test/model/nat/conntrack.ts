// Conntrack entries for tests of the NAT model, as text: `tcp 10.1.0.5:4000 -> 9.9.9.9:443 via 203.0.113.7:40000`.

import {
  type ConntrackBatch,
  createConntrackBatch,
  type NatReading,
} from '../../../src/observation.ts'

export interface Entry {
  readonly protocol?: 'tcp' | 'udp'
  /** `address:port` of the client, of the destination that it asked for, and of the one that answers. */
  readonly client: string
  readonly asked?: string
  readonly answers: string
  /** What the answer is sent to: the NAT address, or the client where nothing is translated. */
  readonly nat: string
  /** Whether the source was rewritten; by default where `nat` is not the client. */
  readonly sourceNat?: boolean
  readonly evictable?: boolean
  readonly zone?: number
}

const split = (endpoint: string): readonly [number, number] => {
  const [host = '', port = ''] = endpoint.split(':')
  return [host.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0), Number(port)]
}

export const addressOf = (host: string): number => split(`${host}:0`)[0]

/** In batches of at most `size`, each of which overwrites the one before, as a reader does. */
export function* batchesOf(entries: readonly Entry[], size = 3): Generator<ConntrackBatch> {
  const batch = createConntrackBatch(size)
  for (let at = 0; at < entries.length; at += size) {
    batch.length = 0
    for (const entry of entries.slice(at, at + size)) {
      const row = batch.length++
      const [client, clientPort] = split(entry.client)
      const [asked, askedPort] = split(entry.asked ?? entry.answers)
      const [answers, answersPort] = split(entry.answers)
      const [nat, natPort] = split(entry.nat)
      batch.protocol[row] = entry.protocol === 'udp' ? 17 : 6
      batch.sourceNat[row] = Number(entry.sourceNat ?? entry.nat !== entry.client)
      batch.evictable[row] = Number(entry.evictable ?? false)
      batch.original.source[row] = client
      batch.original.sourcePort[row] = clientPort
      batch.original.destination[row] = asked
      batch.original.destinationPort[row] = askedPort
      batch.reply.source[row] = answers
      batch.reply.sourcePort[row] = answersPort
      batch.reply.destination[row] = nat
      batch.reply.destinationPort[row] = natPort
      for (const side of [batch.original, batch.reply]) side.zone[row] = entry.zone ?? 0
    }
    yield batch
  }
}

/** A kernel without filters: every dump lists everything. */
export function readingOf(
  entries: readonly Entry[],
  changes: Partial<Pick<NatReading, 'rules' | 'unreadRules' | 'evicts'>> = {},
): NatReading {
  return {
    rules: undefined,
    unreadRules: false,
    evicts: true,
    translated: batchesOf(entries),
    others: () => batchesOf(entries),
    ...changes,
  }
}
