// Two hash tables over columns: destinations, i.e. distinct (source, destination, port, device), and flows, i.e.
// distinct (destination, local port). A dump may list a socket twice (docs/development/port-model.md#what-can-be-seen),
// a table lists it once.
// Open addressing over typed arrays: 100,000 sockets make no object.

import type { SocketBatch } from '../observation.ts'
import { createKeyTable } from './key-table.ts'
import { createSeededHash, createSeededPortHash } from './seeded-hash.ts'

/** Words of a destination's key: source 4, destination 4, remote port, device. */
export const KEY_WORDS = 10
export const KEY_REMOTE_PORT = 8
export const KEY_DEVICE = 9

/** What holds the port of a flow, weakest first; of two rows of one flow the stronger counts. */
export const HOLD = {
  /** TIME_WAIT that connect() may recycle now. */
  reclaimable: 0,
  /** FIN_WAIT2 whose owner has gone: ends by itself, is never recycled. */
  finWait2: 1,
  timeWait: 2,
  /** Ends only when an application closes it. */
  live: 3,
} as const

export interface FlowTable {
  /** Empties the table, keeping its memory. */
  clear(): void
  destinationCount(): number
  flowCount(): number
  /** The index of the destination whose key stands in `key`, added when new. */
  destination(key: Uint32Array): number
  /** The index of the destination whose key stands in `key`, -1 when it is not there. */
  findDestination(key: Uint32Array): number
  /** Notes a flow, which counts once flows are settled. */
  addFlow(destination: number, port: number, use: FlowUse): void
  /** Merges what was noted twice, the stronger hold winning. NB: no flow can be found or counted before. */
  settleFlows(): void
  /** The index of a flow, -1 when it is not there. */
  findFlow(destination: number, port: number): number
  /** A hash of the destination's key, by its index; the same in every table of the process. */
  hashOf(destination: number): number
  /** KEY_WORDS words a destination. NB: growing replaces the columns, so read them afresh after adding. */
  keys(): Uint32Array
  columns(): FlowColumns
}

/** How a flow uses its port. */
export interface FlowUse {
  /** One of HOLD. */
  hold: number
  /** Index of socketStates. */
  state: number
  /** Whole seconds until a minisock is gone, 0 for others. */
  expirySeconds: number
  /** An index of the table of owners. */
  owner: number
  /** Whether the application chose the port. */
  explicit: boolean
}

/** Row i of every column is flow i. */
export interface FlowColumns {
  readonly destination: Uint32Array
  readonly port: Uint16Array
  readonly hold: Uint8Array
  readonly state: Uint8Array
  readonly expirySeconds: Uint8Array
  /** 1 where the application chose the port. */
  readonly explicit: Uint8Array
  /** Empty in a table without owners. */
  readonly owner: Uint32Array
}

/** Whether of two owners that one flow was listed with the first counts; any order, as long as it is a total one. */
export type PreferOwner = (owner: number, other: number) => boolean

export const INITIAL_ROWS = 1024
/** Slots a row, as in a key table. */
export const SLOTS_PER_ROW = 2
/** Destinations that are found again without their hash: a host has few, and its rows name them in any order. */
const RECENT = 1024

/** One for the whole process, so that what is remembered of a destination by its hash can be found again. */
export const hashKey = createSeededHash(KEY_WORDS)

/** Creates a table, which holds owners if it is told which of two to prefer. */
export function createFlowTable(preferOwner?: PreferOwner): FlowTable {
  const destinations = createKeyTable(KEY_WORDS, sameKey, hashKey)
  const hashPort = createSeededPortHash()
  const recent = new Int32Array(RECENT)
  const owned = preferOwner !== undefined
  let columns = createColumns(INITIAL_ROWS, owned)
  let flowSlots = new Int32Array(INITIAL_ROWS * SLOTS_PER_ROW)
  /** The mask of the slots in use, which are as many as the flows need. */
  let mask = flowSlots.length - 1
  let flows = 0

  /** The slot that holds the flow, or the free one where it belongs. */
  function flowSlot(destination: number, port: number): number {
    const { port: ports, destination: known } = columns
    const hash = destinations.hashOf(destination) ^ hashPort(port)
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const index = (flowSlots[slot] ?? 0) - 1
      if (index < 0 || (ports[index] === port && known[index] === destination)) return slot
    }
  }

  /** Numbers a destination. Keys that meet in `recent`, as a user may choose them, cost a look-up in the table only. */
  function destination(key: Uint32Array): number {
    const at = mixKey(key)
    const known = recent[at] ?? 0
    if (known < destinations.count() && sameKey(destinations.keys(), known * KEY_WORDS, key, 0)) {
      return known
    }
    const index = destinations.index(key)
    recent[at] = index
    return index
  }

  return {
    clear() {
      destinations.clear()
      flows = 0
    },
    destinationCount: destinations.count,
    flowCount: () => flows,
    destination,
    findDestination: destinations.find,
    addFlow(destination, port, use) {
      const index = flows++
      columns.destination[index] = destination
      columns.port[index] = port
      setUse(columns, index, use)
      if (owned) columns.owner[index] = use.owner
      if (flows === columns.port.length) columns = growColumns(columns)
    },
    settleFlows() {
      const { length } = columns.port
      if (flowSlots.length < length * SLOTS_PER_ROW) {
        flowSlots = new Int32Array(length * SLOTS_PER_ROW)
      }
      const noted = flows
      mask = 2 ** Math.ceil(Math.log2(SLOTS_PER_ROW * (noted + 1))) - 1
      flowSlots.fill(0, 0, mask + 1)
      flows = 0
      for (let row = 0; row < noted; row++) {
        const slot = flowSlot(columns.destination[row] ?? 0, columns.port[row] ?? 0)
        const found = (flowSlots[slot] ?? 0) - 1
        if (found < 0) {
          if (flows < row) copyFlow(columns, flows, row)
          flowSlots[slot] = ++flows
        } else if (isStronger(columns, row, found, preferOwner)) copyFlow(columns, found, row)
      }
    },
    findFlow: (destination, port) => (flowSlots[flowSlot(destination, port)] ?? 0) - 1,
    hashOf: destinations.hashOf,
    keys: destinations.keys,
    columns: () => columns,
  }
}

/** Creates columns of so many rows, with owners or without. */
export function createColumns(rows: number, owned: boolean): FlowColumns {
  return {
    destination: new Uint32Array(rows),
    port: new Uint16Array(rows),
    hold: new Uint8Array(rows),
    state: new Uint8Array(rows),
    expirySeconds: new Uint8Array(rows),
    explicit: new Uint8Array(rows),
    owner: new Uint32Array(owned ? rows : 0),
  }
}

/** Returns columns of twice as many rows, which begin with those that there are. */
export function growColumns(columns: FlowColumns): FlowColumns {
  const grown = createColumns(columns.port.length * 2, columns.owner.length > 0)
  grown.destination.set(columns.destination)
  grown.port.set(columns.port)
  grown.hold.set(columns.hold)
  grown.state.set(columns.state)
  grown.expirySeconds.set(columns.expirySeconds)
  grown.explicit.set(columns.explicit)
  grown.owner.set(columns.owner)
  return grown
}

/** Whether of two rows of one flow the first counts. */
export function isStronger(
  columns: FlowColumns,
  row: number,
  found: number,
  preferOwner: PreferOwner | undefined,
): boolean {
  const difference = strengthAt(columns, row) - strengthAt(columns, found)
  if (difference !== 0 || preferOwner === undefined) return difference > 0
  return preferOwner(columns.owner[row] ?? 0, columns.owner[found] ?? 0)
}

/** A total order, so that the same rows in another order give the same flow. */
function strengthAt(columns: FlowColumns, index: number): number {
  const hold = columns.hold[index] ?? 0
  const state = ((columns.explicit[index] ?? 0) << 7) | (columns.state[index] ?? 0)
  return (hold << 16) | ((columns.expirySeconds[index] ?? 0) << 8) | state
}

/** Copies a row onto another. */
export function copyFlow(columns: FlowColumns, to: number, from: number): void {
  columns.destination[to] = columns.destination[from] ?? 0
  columns.port[to] = columns.port[from] ?? 0
  columns.hold[to] = columns.hold[from] ?? 0
  columns.state[to] = columns.state[from] ?? 0
  columns.expirySeconds[to] = columns.expirySeconds[from] ?? 0
  columns.explicit[to] = columns.explicit[from] ?? 0
  if (columns.owner.length > 0) columns.owner[to] = columns.owner[from] ?? 0
}

/** Notes in a row how the flow uses its port, but for its owner. */
export function setUse(columns: FlowColumns, index: number, use: FlowUse): void {
  columns.hold[index] = use.hold
  columns.state[index] = use.state
  columns.expirySeconds[index] = use.expirySeconds
  columns.explicit[index] = use.explicit ? 1 : 0
}

/** Writes the key of a row's destination to `key`, from the word `at` on. */
export function takeKey(batch: SocketBatch, row: number, key: Uint32Array, at: number): void {
  const { localAddress, remoteAddress } = batch
  const from = row * 4
  key[at] = localAddress[from] ?? 0
  key[at + 1] = localAddress[from + 1] ?? 0
  key[at + 2] = localAddress[from + 2] ?? 0
  key[at + 3] = localAddress[from + 3] ?? 0
  key[at + 4] = remoteAddress[from] ?? 0
  key[at + 5] = remoteAddress[from + 1] ?? 0
  key[at + 6] = remoteAddress[from + 2] ?? 0
  key[at + 7] = remoteAddress[from + 3] ?? 0
  key[at + KEY_REMOTE_PORT] = batch.remotePort[row] ?? 0
  key[at + KEY_DEVICE] = batch.device[row] ?? 0
}

/** Copies the key of a destination, KEY_WORDS words: what the table holds itself is overwritten by the next sample. */
export function copyKey(flows: FlowTable, index: number): Uint32Array {
  return flows.keys().slice(index * KEY_WORDS, (index + 1) * KEY_WORDS)
}

/** Mixes what differs most often into an index of the recent ones. */
function mixKey(key: Uint32Array): number {
  const mixed = (key[7] ?? 0) ^ (key[3] ?? 0) ^ ((key[KEY_REMOTE_PORT] ?? 0) << 16)
  return (Math.imul(mixed, 0x9e3779b1) >>> 16) % RECENT
}

/** Compares the keys of two destinations. What differs most often comes first. */
export function sameKey(left: Uint32Array, at: number, right: Uint32Array, from: number): boolean {
  return (
    left[at + 7] === right[from + 7] &&
    left[at + 8] === right[from + 8] &&
    left[at + 3] === right[from + 3] &&
    left[at + 6] === right[from + 6] &&
    left[at + 5] === right[from + 5] &&
    left[at + 4] === right[from + 4] &&
    left[at + 2] === right[from + 2] &&
    left[at + 1] === right[from + 1] &&
    left[at] === right[from] &&
    left[at + 9] === right[from + 9]
  )
}
