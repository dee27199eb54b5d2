// Connections that a listener of this census has accepted. They take no port from connect(), and each is mostly a
// destination of its own: kept apart they need no table of destinations, which a proxy would fill with tens of
// thousands.

import type { SocketBatch } from '../observation.ts'
import { PORTS } from './columns.ts'
import {
  copyFlow,
  createColumns,
  type FlowColumns,
  type FlowTable,
  type FlowUse,
  growColumns,
  hashKey,
  INITIAL_ROWS,
  isStronger,
  KEY_REMOTE_PORT,
  KEY_WORDS,
  type PreferOwner,
  SLOTS_PER_ROW,
  sameKey,
  setUse,
  takeKey,
} from './flows.ts'

export interface AcceptedFlows {
  /** Forgets all, keeping the memory. */
  clear(): void
  /** Notes the connection in a row of a batch, whose port the application did not choose. */
  add(batch: SocketBatch, row: number, use: FlowUse): void
  /**
   * Gives to a table that is not settled yet what has the same destination as a connection there, and merges what was
   * noted twice of the rest, of which the functions below tell.
   */
  settle(flows: FlowTable): void
  count(): number
  /** Hashes a connection as FlowTable.hashOf() does, by its row. */
  hashOf(row: number): number
  columns(): Pick<FlowColumns, 'port' | 'hold' | 'state'>
}

/** Creates an empty set; `preferOwner` as for a table of flows. */
export function createAcceptedFlows(preferOwner?: PreferOwner): AcceptedFlows {
  const owned = preferOwner !== undefined
  const key = new Uint32Array(KEY_WORDS)
  let columns = createColumns(INITIAL_ROWS, owned)
  let keys = new Uint32Array(INITIAL_ROWS * KEY_WORDS)
  let hashes = new Int32Array(INITIAL_ROWS)
  /** Row + 1 by hash, 0 where there is none. */
  let slots = new Int32Array(0)
  /** 1 at the remote ports of destinations. */
  const isServer = new Uint8Array(PORTS)
  let count = 0

  function grow(): void {
    columns = growColumns(columns)
    const grown = new Uint32Array(keys.length * 2)
    grown.set(keys)
    keys = grown
  }

  function copyKey(row: number): Uint32Array {
    for (let word = 0; word < KEY_WORDS; word++) key[word] = keys[row * KEY_WORDS + word] ?? 0
    return key
  }

  function give(flows: FlowTable, row: number): void {
    const { hold, state, expirySeconds, owner } = columns
    const use: FlowUse = {
      hold: hold[row] ?? 0,
      state: state[row] ?? 0,
      expirySeconds: expirySeconds[row] ?? 0,
      owner: owner[row] ?? 0,
      explicit: false,
    }
    flows.addFlow(flows.destination(copyKey(row)), columns.port[row] ?? 0, use)
  }

  function keep(row: number, from: number): void {
    if (row === from) return
    copyFlow(columns, row, from)
    keys.copyWithin(row * KEY_WORDS, from * KEY_WORDS, (from + 1) * KEY_WORDS)
  }

  /**
   * Marks the remote ports of destinations: those of accepted connections are mostly others, so that few are looked up.
   */
  function markServers({ keys, destinationCount }: FlowTable): void {
    const known = keys()
    isServer.fill(0)
    const destinations = destinationCount()
    for (let index = 0; index < destinations; index++) {
      isServer[known[index * KEY_WORDS + KEY_REMOTE_PORT] ?? 0] = 1
    }
  }

  /** The slot that holds the same connection as the row, or the free one where it belongs. */
  function slotOf(row: number, hash: number, mask: number): number {
    const { port } = columns
    const at = row * KEY_WORDS
    for (
      let slot = (hash ^ Math.imul(port[row] ?? 0, 0x9e3779b1)) & mask;
      ;
      slot = (slot + 1) & mask
    ) {
      const found = (slots[slot] ?? 0) - 1
      if (found < 0) return slot
      const isAlike = hashes[found] === hash && port[found] === port[row]
      if (isAlike && sameKey(keys, found * KEY_WORDS, keys, at)) return slot
    }
  }

  /** Makes room for the hashes of all rows, and returns the mask of the slots that are used. */
  function clearSlots(): number {
    const { length } = columns.port
    if (hashes.length < length) hashes = new Int32Array(length)
    if (slots.length < length * SLOTS_PER_ROW) slots = new Int32Array(length * SLOTS_PER_ROW)
    const mask = 2 ** Math.ceil(Math.log2(SLOTS_PER_ROW * (count + 1))) - 1
    slots.fill(0, 0, mask + 1)
    return mask
  }

  return {
    clear() {
      count = 0
    },
    add(batch, from, use) {
      const row = count++
      takeKey(batch, from, keys, row * KEY_WORDS)
      columns.port[row] = batch.localPort[from] ?? 0
      setUse(columns, row, use)
      if (owned) columns.owner[row] = use.owner
      if (count === columns.port.length) grow()
    },
    settle(flows) {
      if (count === 0) return
      markServers(flows)
      const mask = clearSlots()
      const noted = count
      count = 0
      for (let row = 0; row < noted; row++) {
        const at = row * KEY_WORDS
        const isKnown =
          isServer[keys[at + KEY_REMOTE_PORT] ?? 0] === 1 &&
          flows.findDestination(copyKey(row)) >= 0
        if (isKnown) {
          give(flows, row)
          continue
        }
        const hash = hashKey(keys, at)
        const slot = slotOf(row, hash, mask)
        const found = (slots[slot] ?? 0) - 1
        if (found < 0) {
          keep(count, row)
          hashes[count] = hash
          slots[slot] = ++count
        } else if (isStronger(columns, row, found, preferOwner)) copyFlow(columns, found, row)
      }
    },
    count: () => count,
    hashOf: (row) => hashes[row] ?? 0,
    columns: () => columns,
  }
}
