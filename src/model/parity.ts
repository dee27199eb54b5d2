// What the parity of ports tells of connections whose bind history no listing shows: which were surely made by
// connect() alone. connect() begins with the ports that have the parity of the first port of the range, bind(0) with
// the others (docs/development/port-model.md#what-listings-do-not-tell). A destination whose connections have far more
// ports of connect()'s parity than chance could give them is used by clients that do not bind, as long as bind(0) finds
// ports of its own parity. The reverse proves nothing: after a rush that filled the first half, connections that close
// in the order in which they were opened leave those of the other half; and programs that confine themselves to a part
// of the range use both alike. What was there while bind(0) had no port of its parity, or came until the next sample,
// proves nothing as long as it lasts, and neither does what was there when the range became another. One case deceives
// it: a rush between two samples takes every early port of bind(0), and one of them is free again when the second
// sample is taken. What was bound meanwhile then looks like the ports of clients that do not bind.

import type { NetSettings } from '../observation.ts'
import { type Census, USE } from './census.ts'
import { increment } from './columns.ts'
import { HOLD } from './flows.ts'
import { nameRange, type Ports } from './ports.ts'

/** What one sample leaves for the next. */
export interface ParityMemory {
  /** The range and what is reserved of it. */
  readonly range: string
  /**
   * Ports of which bind(0) may have taken some although they have connect()'s parity. Each is left until no socket has
   * it.
   */
  readonly mixed: Uint16Array
  /** Whether bind(0) had no port of its parity: until the next sample it may have taken any. */
  readonly isFull: boolean
}

/** Learns from a census at which ports parity proves nothing. Of what was before the first one it knows nothing. */
export function advanceParity(
  before: ParityMemory | undefined,
  { census, ports, settings }: { census: Census; ports: Ports; settings: NetSettings },
): ParityMemory {
  const range = nameRange(settings)
  const { first, last } = settings.range
  const isUsed = (port: number) => ((census.portUse[port] ?? 0) & USE.tcp) !== 0
  const isFull = !hasEarlyBindPort(census, ports, { firstPort: first, lastPort: last })
  const isChanged = before !== undefined && (before.range !== range || before.isFull)
  if (!isChanged && !isFull) {
    return { range, mixed: before?.mixed.filter(isUsed) ?? new Uint16Array(0), isFull }
  }
  const all = Uint16Array.from({ length: last - first + 1 }, (_, at) => first + at)
  return { range, mixed: all.filter(isUsed), isFull }
}

export interface DoubtInput {
  readonly census: Census
  readonly ports: Ports
  readonly firstPort: number
  readonly lastPort: number
  /** Ports at which parity proves nothing. */
  readonly mixed: Uint16Array
  /** 1 at each port with connections of which nothing else is known, by port number. */
  readonly unknown: Uint8Array
}

/** Standard deviations of a binomial count that are no chance, however often it is looked at. */
const NO_CHANCE = 4

/** Leaves 1 in `unknown` at the ports that stay in doubt, and 0 at the others. */
export function settleDoubt(input: DoubtInput): void {
  const { census, firstPort, lastPort, mixed, unknown } = input
  for (const local of mixed) {
    if (unknown[local] === 1) unknown[local] = IN_DOUBT
  }
  const plain = findPlainDestinations(input)
  const { destination, port, hold } = census.flows.columns()
  const flows = census.flows.flowCount()
  for (let flow = 0; flow < flows; flow++) {
    const local = port[flow] ?? 0
    if (unknown[local] !== 1) continue
    const isFirst = ((local - firstPort) & 1) === 0
    // A TIME_WAIT may be of a connection whose port the application chose.
    const isClear = isFirst && hold[flow] === HOLD.live && plain[destination[flow] ?? 0] === 1
    if (!isClear) unknown[local] = IN_DOUBT
  }
  for (let local = firstPort; local <= lastPort; local++) {
    unknown[local] = unknown[local] === IN_DOUBT ? 1 : 0
  }
}

/** Marks a port that stays in doubt, while others are still to be looked at. */
const IN_DOUBT = 2

/**
 * Marks with 1 the destinations whose clients do not bind: their connections have far too many first ports for chance.
 */
function findPlainDestinations(input: DoubtInput): Uint8Array {
  const { census, ports, firstPort, unknown } = input
  const { destination, port } = census.flows.columns()
  const flows = census.flows.flowCount()
  const all = new Uint32Array(census.flows.destinationCount())
  const first = new Uint32Array(all.length)
  for (let flow = 0; flow < flows; flow++) {
    const local = port[flow] ?? 0
    if (unknown[local] !== 1) continue
    const to = destination[flow] ?? 0
    increment(all, to)
    if (((local - firstPort) & 1) === 0) increment(first, to)
  }
  const share = firstShare(census, ports, input)
  const plain = new Uint8Array(all.length)
  for (let index = 0; index < all.length; index++) {
    const count = all[index] ?? 0
    const deviation = Math.sqrt(count * share * (1 - share))
    plain[index] = (first[index] ?? 0) - count * share > NO_CHANCE * deviation ? 1 : 0
  }
  return plain
}

interface Range {
  readonly firstPort: number
  readonly lastPort: number
}

/** The part of the ports open to connect() that has the parity it begins with. */
function firstShare({ portUse }: Census, { usable }: Ports, { firstPort, lastPort }: Range) {
  const open = [0, 0]
  for (let local = firstPort; local <= lastPort; local++) {
    if (usable[local] === 0 || ((portUse[local] ?? 0) & (USE.listener | USE.bound)) !== 0) continue
    const half = (local - firstPort) & 1
    open[half] = (open[half] ?? 0) + 1
  }
  const [first = 0, second = 0] = open
  return first / Math.max(1, first + second)
}

/**
 * Whether bind(0) finds a port of its own parity still: with SO_REUSEADDR it takes the lower half of the range first,
 * of both parities (net/ipv4/inet_connection_sock.c:inet_csk_find_open_port).
 */
function hasEarlyBindPort({ portUse }: Census, { usable }: Ports, { firstPort, lastPort }: Range) {
  const size = lastPort - firstPort + 1
  const end = size < 4 ? lastPort : firstPort + ((size >> 2) << 1) - 1
  for (let local = firstPort + 1; local <= end; local += 2) {
    if (usable[local] === 1 && ((portUse[local] ?? 0) & USE.tcp) === 0) return true
  }
  return false
}
