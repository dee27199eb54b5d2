// Census of a NAT: conntrack entries -> which ports of which NAT address are taken for which destination, and by whom.
// A port is taken by the tuple destination -> NAT address:port in either direction of any entry, translated or not
// (docs/development/nat-model.md#the-pool). Independent of the order of entries.

import {
  type ConntrackBatch,
  type ConntrackTuples,
  type NatReading,
  type Protocol,
  SourceError,
} from '../../observation.ts'
import { V4_MAPPED } from '../addresses.ts'
import {
  createFlowTable,
  type FlowTable,
  type FlowUse,
  HOLD,
  KEY_DEVICE,
  KEY_REMOTE_PORT,
  KEY_WORDS,
} from '../flows.ts'
import { createNumberTable, type NumberTable } from '../owners/ids.ts'
import { mayTranslateTo } from './ranges.ts'

/** A Census is valid until the next is taken. */
export interface NatCensus {
  /**
   * A destination's source is the NAT address and its device the conntrack zone. A closing flow is reclaimable
   * where the kernel evicts it, else timeWait. Its owner is an index of `clients`.
   */
  readonly flows: Readonly<Record<Protocol, FlowTable>>
  /** Original source addresses, IPv4 as numbers. */
  readonly clients: NumberTable
  /**
   * NAT addresses: those that some entry has in place of its original source, and those of the NAT node's own
   * connections that a rule gave another port.
   */
  readonly addresses: readonly number[]
}

const IPPROTO_UDP = 17
/**
 * Bounds the work: each address has a range and pools of its own. A namespace that translates to more addresses has no
 * pools on the page.
 */
const MOST_ADDRESSES = 4096

/**
 * Creates a function that takes one census after another in the same memory. Throws SourceError where there are too
 * many NAT addresses. What the batches throw passes through.
 */
export function createNatCensusTaker(): (reading: NatReading) => NatCensus {
  const clients = createNumberTable()
  const known = createNumberTable()
  /** Addresses that have kept their own connections, which have another port. */
  const own = createNumberTable()
  // Tuples are unique: a port that was listed twice is one entry, listed twice.
  const preferClient = (client: number, other: number) =>
    clients.value(client) < clients.value(other)
  const flows = { tcp: createFlowTable(preferClient), udp: createFlowTable(preferClient) }
  const key = new Uint32Array(KEY_WORDS)
  key[2] = V4_MAPPED
  key[6] = V4_MAPPED
  const use: FlowUse = { hold: 0, state: 0, explicit: false, expirySeconds: 0, owner: 0 }

  /** Notes the tuple of a row, unless it must be of a destination that is known and is not. */
  function note(
    batch: ConntrackBatch,
    tuples: ConntrackTuples,
    row: number,
    existing: boolean,
  ): void {
    const table = batch.protocol[row] === IPPROTO_UDP ? flows.udp : flows.tcp
    key[3] = tuples.destination[row] ?? 0
    key[7] = tuples.source[row] ?? 0
    key[KEY_REMOTE_PORT] = tuples.sourcePort[row] ?? 0
    key[KEY_DEVICE] = tuples.zone[row] ?? 0
    const destination = existing ? table.findDestination(key) : table.destination(key)
    if (destination < 0) return
    use.owner = clients.index(batch.original.source[row] ?? 0)
    table.addFlow(destination, tuples.destinationPort[row] ?? 0, use)
  }

  return ({ rules = [], translated, others, evicts }) => {
    clients.clear()
    flows.tcp.clear()
    flows.udp.clear()
    known.clear()
    own.clear()
    const closing = evicts ? HOLD.reclaimable : HOLD.timeWait
    let lastAddress = -1
    for (const batch of translated) {
      const { original, reply } = batch
      for (let row = 0; row < batch.length; row++) {
        if (batch.sourceNat[row] === 0) continue
        use.hold = batch.evictable[row] === 0 ? HOLD.live : closing
        note(batch, reply, row, false)
        const address = reply.destination[row] ?? 0
        if (address === lastAddress) continue
        if (address === original.source[row]) {
          own.index(address)
        } else {
          known.index(address)
          lastAddress = address
        }
        if (Math.max(known.count(), own.count()) > MOST_ADDRESSES) refuseAddresses()
      }
    }
    // Without a rule it was the kernel that gave them another port, because another connection had theirs.
    for (let index = 0; index < own.count(); index++) {
      const address = own.value(index)
      if (rules.some((rule) => mayTranslateTo(rule, address))) known.index(address)
    }
    if (known.count() > MOST_ADDRESSES) refuseAddresses()
    use.hold = HOLD.live
    const addresses = Array.from({ length: known.count() }, (_, index) => known.value(index))
    const list = (direction: 'reply' | 'original') =>
      addresses.length === 0 ? [] : others(direction, addresses)
    for (const batch of list('reply')) {
      for (let row = 0; row < batch.length; row++) {
        const isKnown = known.find(batch.reply.destination[row] ?? 0) >= 0
        if (batch.sourceNat[row] === 0 && isKnown) note(batch, batch.reply, row, false)
      }
    }
    // What comes in from everywhere makes no pool, but takes a port of those there are.
    for (const batch of list('original')) {
      for (let row = 0; row < batch.length; row++) {
        const isKnown = known.find(batch.original.destination[row] ?? 0) >= 0
        if (isKnown) note(batch, batch.original, row, true)
      }
    }
    flows.tcp.settleFlows()
    flows.udp.settleFlows()
    return { flows, clients, addresses }
  }
}

function refuseAddresses(): never {
  throw new SourceError(
    'unsupported',
    `Cannot tell the NAT pools apart: there are more than ${MOST_ADDRESSES} NAT addresses`,
  )
}
