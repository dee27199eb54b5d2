// Accounts of a NAT: flows and ranges -> what each (NAT address, destination) has taken of its range, and what each client.

import type { PortRange } from '../../observation.ts'
import { type FlowTable, HOLD, KEY_WORDS } from '../flows.ts'
import { LOW_NAT_RANGES, type NatRange, sizeOf } from './ranges.ts'
import { judgeSearch, PORT, type Search } from './search.ts'

/** Row i of every column is destination i of the flow table. */
export interface NatColumns {
  /** Ports of its range that are taken, those that the kernel may evict included. */
  readonly used: Uint32Array
  /** The same in proportion to the widest range, but for destinations with fewer than ROW_LEAST_PORTS. */
  readonly burden: Uint32Array
  /** Ports of its range that only an entry that the kernel may evict takes. */
  readonly soft: Uint32Array
  /** Ports of its range that a closing entry takes for good. */
  readonly closing: Uint32Array
  /** Ports taken for good, in proportion to the widest range: what makes pools of different size comparable. */
  readonly taken: Uint32Array
  /** The same as taken: no timer of these entries is followed. */
  readonly takenLive: Uint32Array
  /** Ports by client, by the index of the census. */
  readonly clients: Uint32Array
  /** The ports of the widest range. */
  readonly widestPorts: number
  /** The range of a destination; undefined where its NAT address translates nothing. */
  readonly rangeAt: (index: number) => PortRange | undefined
}

export interface NatAccountContext {
  /** The range of a NAT address that translates, undefined of any other. */
  readonly rangeOf: (address: number) => NatRange | undefined
  readonly clientCount: number
  /** Where no entry tells one. */
  readonly leastWidth: number
}

/** A destination or client with fewer ports has no row of its own, however small the range. */
export const ROW_LEAST_PORTS = 8

/** Below this share of its range no search fails: every window would have to lie within the ports that are taken. */
export const SEARCHED_SHARE = 0.2

/** The word of a destination's key that is its NAT address. */
const KEY_ADDRESS = 3

/** Accounts every flow to its destination and its client. */
export function accountNat(flows: FlowTable, context: NatAccountContext): NatColumns {
  const { rangeOf, clientCount, leastWidth } = context
  const total = flows.destinationCount()
  const keys = flows.keys()
  const first = new Uint32Array(total)
  const last = new Uint32Array(total)
  const addressRangeOf = (index: number) => rangeOf(keys[index * KEY_WORDS + KEY_ADDRESS] ?? 0)
  const fitting = fitRivals(flows, addressRangeOf)
  const rangeAt = (index: number) => fitting.get(index) ?? addressRangeOf(index)
  let widestPorts = leastWidth
  for (let index = 0; index < total; index++) {
    const range = rangeAt(index)
    first[index] = range?.first ?? 1
    last[index] = range?.last ?? 0
    if (range !== undefined) widestPorts = Math.max(widestPorts, sizeOf(range))
  }

  const used = new Uint32Array(total)
  const soft = new Uint32Array(total)
  const closing = new Uint32Array(total)
  const clients = new Uint32Array(clientCount)
  const { destination, port, hold, owner } = flows.columns()
  for (let flow = 0; flow < flows.flowCount(); flow++) {
    const index = destination[flow] ?? 0
    const local = port[flow] ?? 0
    if (local < (first[index] ?? 0) || local > (last[index] ?? 0)) continue
    used[index] = (used[index] ?? 0) + 1
    if (hold[flow] === HOLD.reclaimable) soft[index] = (soft[index] ?? 0) + 1
    if (hold[flow] === HOLD.timeWait) closing[index] = (closing[index] ?? 0) + 1
    const client = owner[flow] ?? 0
    clients[client] = (clients[client] ?? 0) + 1
  }
  const scale = (ports: number, index: number) => {
    const size = (last[index] ?? 0) - (first[index] ?? 0) + 1
    return size === 0 ? 0 : Math.ceil((ports * widestPorts) / size)
  }
  const taken = used.map((ports, index) => scale(ports - (soft[index] ?? 0), index))
  const burden = used.map((ports, index) => (ports < ROW_LEAST_PORTS ? ports : scale(ports, index)))
  return { used, burden, soft, closing, taken, takenLive: taken, clients, widestPorts, rangeAt }
}

/** The range of each destination whose ports show another one than that of its address. */
function fitRivals(
  flows: FlowTable,
  addressRangeOf: (index: number) => NatRange | undefined,
): ReadonlyMap<number, PortRange> {
  const fitting = new Map<number, PortRange>()
  const open = findOpen(flows, addressRangeOf)
  if (open === undefined) return fitting
  const { ends, order } = groupFlows(flows)
  const { port, hold } = flows.columns()
  for (let index = 0; index < ends.length; index++) {
    if (open[index] === 0) continue
    const { rivals = [] } = addressRangeOf(index) ?? {}
    const used = new Uint32Array(rivals.length)
    const hard = new Uint32Array(rivals.length)
    for (let at = ends[index - 1] ?? 0; at < (ends[index] ?? 0); at++) {
      const flow = order[at] ?? 0
      const local = port[flow] ?? 0
      for (let rival = 0; rival < rivals.length; rival++) {
        const { first = 0, last = 0 } = rivals[rival] ?? {}
        if (local < first || last < local) continue
        used[rival] = (used[rival] ?? 0) + 1
        if (hold[flow] !== HOLD.reclaimable) hard[rival] = (hard[rival] ?? 0) + 1
      }
    }
    const fullest = chooseFullest(rivals, used, hard)
    if (fullest !== undefined && fullest !== rivals[0]) fitting.set(index, fullest)
  }
  return fitting
}

/**
 * 1 for each destination that may have another range than that of its address: some of its ports are outside of that, or
 * another range has ports of it. Undefined where there is none, as on most nodes.
 */
function findOpen(
  flows: FlowTable,
  addressRangeOf: (index: number) => NatRange | undefined,
): Uint8Array | undefined {
  const open = new Uint8Array(flows.destinationCount())
  const overlapping = new Map<NatRange, boolean>()
  const isOverlapping = (range: NatRange): boolean => {
    const [, ...others] = range.rivals ?? []
    const known = overlapping.get(range) ?? others.some((other) => !areApart(range, other))
    overlapping.set(range, known)
    return known
  }
  let count = 0
  const { destination, port } = flows.columns()
  for (let flow = 0; flow < flows.flowCount(); flow++) {
    const index = destination[flow] ?? 0
    if (open[index] === 1) continue
    const range = addressRangeOf(index)
    if (range?.rivals === undefined) continue
    const local = port[flow] ?? 0
    if (range.first <= local && local <= range.last && !isOverlapping(range)) continue
    open[index] = 1
    count++
  }
  return count > 0 ? open : undefined
}

function areApart(left: PortRange, right: PortRange): boolean {
  return left.last < right.first || right.last < left.first
}

/** The flows of each destination, one destination after another: those of i begin where those of i - 1 end. */
function groupFlows(flows: FlowTable): {
  readonly ends: Uint32Array
  readonly order: Uint32Array
} {
  const { destination } = flows.columns()
  const count = flows.flowCount()
  const counts = new Uint32Array(flows.destinationCount())
  for (let flow = 0; flow < count; flow++) {
    const index = destination[flow] ?? 0
    counts[index] = (counts[index] ?? 0) + 1
  }
  let total = 0
  const ends = counts.map((ports) => {
    total += ports
    return total - ports
  })
  const order = new Uint32Array(count)
  for (let flow = 0; flow < count; flow++) {
    const index = destination[flow] ?? 0
    const at = ends[index] ?? 0
    order[at] = flow
    ends[index] = at + 1
  }
  return { ends, order }
}

/**
 * Of the ranges of one destination the one with the largest share of ports taken for good, or taken at all where that is the
 * same, or the smallest. Ports that are in two ranges may be of either rule: beside the range that most ports are in, one
 * that overlaps it counts only from a share on where its searches begin to matter. So does one of low ports, where a single
 * connection of a program that asks for such a port is no pool that fills.
 */
function chooseFullest(
  rivals: readonly PortRange[],
  used: Uint32Array,
  hard: Uint32Array,
): PortRange | undefined {
  const most = rivals[used.indexOf(Math.max(...used))]
  let fullest = most
  let [hardShare, usedShare] = [-1, -1]
  rivals.forEach((range, at) => {
    const size = sizeOf(range)
    const share = (used[at] ?? 0) / size
    const isApart = most === undefined || areApart(range, most)
    const isLow = LOW_NAT_RANGES.includes(range)
    if (share < SEARCHED_SHARE && (isLow || (range !== most && !isApart))) return
    const taken = (hard[at] ?? 0) / size
    if (taken < hardShare || (taken === hardShare && share <= usedShare)) return
    fullest = range
    hardShare = taken
    usedShare = share
  })
  return fullest
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
