// Accounts of a NAT: flows and ranges -> what each (NAT address, destination) has taken of its range, and what each
// client.

import type { PortRange } from '../../observation.ts'
import { type FlowTable, HOLD, KEY_WORDS } from '../flows.ts'
import { createPortSet } from './range-tree.ts'
import { type NatRange, sizeOf } from './ranges.ts'
import { type FittedRanges, fitRivals } from './rivals.ts'
import { judgeSearch, PORT, type Search } from './search.ts'

/** Row i of every column is destination i of the flow table. */
export interface NatColumns {
  /** Ports that are taken for it, also those outside of its range that another rule may have given. */
  readonly total: Uint32Array
  /** Ports of its range that are taken, those that the kernel may evict included. */
  readonly used: Uint32Array
  /**
   * Used ports in proportion to the widest range, but for destinations with fewer than ROW_LEAST_PORTS. Not less than
   * the total.
   */
  readonly burden: Uint32Array
  /** Ports of its range that only an entry that the kernel may evict takes. */
  readonly soft: Uint32Array
  /** Ports of its range that a closing entry takes for good. */
  readonly closing: Uint32Array
  /** Ports taken for good, in proportion to the widest range: what makes pools of different size comparable. */
  readonly taken: Uint32Array
  /** Ports taken for good, as `taken` has them: no timer of these entries is followed. */
  readonly takenLive: Uint32Array
  /** Total ports by client, by the index of the census. */
  readonly clients: Uint32Array
  /** The ports of the widest range. */
  readonly widestPorts: number
  /** The range of a destination; undefined where its NAT address translates nothing. */
  readonly rangeAt: (index: number) => PortRange | undefined
  /** Ranges that the ports of destinations show, for the next listing. */
  readonly fitted: FittedRanges
}

export interface NatAccountContext {
  /** The range of a NAT address that translates, undefined of any other. */
  readonly rangeOf: (address: number) => NatRange | undefined
  readonly clientCount: number
  /** The width of a range where no entry tells one. */
  readonly leastWidth: number
  /** Ranges that the ports of destinations showed in the last listing. */
  readonly fitted: FittedRanges
}

/** A destination or client with fewer ports has no row of its own, however small the range. */
export const ROW_LEAST_PORTS = 8

/** The word of a destination's key that is its NAT address. */
const KEY_ADDRESS = 3

/** Accounts every flow to its destination and its client. */
export function accountNat(flows: FlowTable, context: NatAccountContext): NatColumns {
  const { rangeOf, clientCount, leastWidth } = context
  const count = flows.destinationCount()
  const keys = flows.keys()
  const first = new Uint32Array(count)
  const last = new Uint32Array(count)
  const addressRangeOf = (index: number) => rangeOf(keys[index * KEY_WORDS + KEY_ADDRESS] ?? 0)
  const { fitting, fitted } = fitRivals(flows, addressRangeOf, context.fitted)
  const rangeAt = (index: number) => fitting.get(index) ?? addressRangeOf(index)
  let widestPorts = leastWidth
  for (let index = 0; index < count; index++) {
    const range = rangeAt(index)
    first[index] = range?.first ?? 1
    last[index] = range?.last ?? 0
    if (range !== undefined) widestPorts = Math.max(widestPorts, sizeOf(range))
  }

  const total = new Uint32Array(count)
  const used = new Uint32Array(count)
  const soft = new Uint32Array(count)
  const closing = new Uint32Array(count)
  const clients = new Uint32Array(clientCount)
  const mayBeGiven = createRivalPorts()
  const { destination, port, hold, owner } = flows.columns()
  for (let flow = 0; flow < flows.flowCount(); flow++) {
    const index = destination[flow] ?? 0
    const local = port[flow] ?? 0
    const isOutside = local < (first[index] ?? 0) || local > (last[index] ?? 0)
    if (isOutside && !mayBeGiven(addressRangeOf(index), local)) continue
    const client = owner[flow] ?? 0
    clients[client] = (clients[client] ?? 0) + 1
    total[index] = (total[index] ?? 0) + 1
    if (isOutside) continue
    used[index] = (used[index] ?? 0) + 1
    if (hold[flow] === HOLD.reclaimable) soft[index] = (soft[index] ?? 0) + 1
    if (hold[flow] === HOLD.timeWait) closing[index] = (closing[index] ?? 0) + 1
  }
  const scale = (ports: number, index: number) => {
    const size = (last[index] ?? 0) - (first[index] ?? 0) + 1
    return size === 0 ? 0 : Math.ceil((ports * widestPorts) / size)
  }
  const taken = used.map((ports, index) => scale(ports - (soft[index] ?? 0), index))
  const burden = used.map((ports, index) =>
    Math.max(ports < ROW_LEAST_PORTS ? ports : scale(ports, index), total[index] ?? 0),
  )
  return {
    ...{
      total,
      used,
      burden,
      soft,
      closing,
      taken,
      takenLive: taken,
      clients,
      widestPorts,
      rangeAt,
    },
    fitted,
  }
}

/**
 * Creates a function that says whether a port is in any of the rivals of a range. An own connection of the NAT node
 * from another port takes none that the NAT could have.
 */
function createRivalPorts(): (range: NatRange | undefined, port: number) => boolean {
  const known = new Map<readonly PortRange[], (port: number) => boolean>()
  return (range, port) => {
    if (range?.rivals === undefined) return false
    const has = known.get(range.rivals) ?? createPortSet(range.rivals)
    known.set(range.rivals, has)
    return has(port)
  }
}

/** Judges the search for a port for each of these destinations, by its range. */
export function judgeDestinations(
  flows: FlowTable,
  ranges: ReadonlyMap<number, PortRange>,
): ReadonlyMap<number, Search> {
  const ports = new Map<number, Uint8Array>()
  for (const [index, range] of ranges) ports.set(index, new Uint8Array(sizeOf(range)))
  const { destination, port, hold } = flows.columns()
  for (let flow = 0; flow < flows.flowCount(); flow++) {
    const index = destination[flow] ?? 0
    const map = ports.get(index)
    const offset = (port[flow] ?? 0) - (ranges.get(index)?.first ?? 0)
    if (map === undefined || offset < 0 || offset >= map.length) continue
    map[offset] = hold[flow] === HOLD.reclaimable ? PORT.soft : PORT.hard
  }
  return new Map([...ports].map(([index, map]) => [index, judgeSearch(map)]))
}
