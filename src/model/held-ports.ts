// What holds the ports of a pool, port by port: census, ports and accounts -> counts by holder and by cause, with
// owners.

import { STATE } from '../observation.ts'
import { type Holder, holders, type PoolName } from '../snapshot-pools.ts'
import { type Census, USE } from './census.ts'
import { PORTS } from './columns.ts'
import type { DestinationColumns } from './destinations.ts'
import { type FlowColumns, HOLD } from './flows.ts'
import { FIXED, OWNERLESS } from './owners/ids.ts'
import { BLOCKING, type Ports } from './ports.ts'

/** Groups of holders that one and the same remedy helps against. */
export const heldGroups = [
  'closing',
  'close_wait',
  'open',
  'bound_idle',
  'bind_before_connect',
  'listeners',
  'udp',
] as const
export type HeldGroup = (typeof heldGroups)[number]

/** What holds the ports of one pool. */
export interface Held {
  /** Adds up to capacity less available. */
  readonly ports: Readonly<Record<Holder, number>>
  /** Ports by group, each port in one. */
  readonly groups: Readonly<Record<HeldGroup, number>>
  /** Ports of each group by the owner's index in the census; OWNERLESS where the kernel names none. */
  readonly owners: Readonly<Record<HeldGroup, ReadonlyMap<number, number>>>
}

export interface HeldContext {
  readonly census: Census
  readonly ports: Ports
  readonly columns: DestinationColumns
  /** 1 at each port in doubt that looks as if it was bound first; undefined where none does. */
  readonly boundInDoubt: Uint8Array | undefined
  readonly firstPort: number
  readonly lastPort: number
  /** Whether the wildcard is dual-stack: an IPv6-only socket then holds a port of the bind pools as well. */
  readonly ipv6: boolean
  /** The destination with the fewest ports left, by its index in the flow table, and its twin; -1 for none. */
  readonly worst: number
  readonly twin: number
}

/** Ports by holder, and by group and owner: numbers in columns, since this counts every port of every pool. */
interface Tally {
  readonly holders: Uint32Array
  readonly groups: Uint32Array
  /** Owners of the first group, then of the second, and so on. */
  readonly owners: Uint32Array
}

/** The most firmly held connection of each port, by port number. */
interface Ranking {
  /** An index of rankedStates, or NO_RANK at a port without a connection. */
  readonly rank: Uint8Array
  readonly owner: Uint32Array
}

/** A port counts for the socket that holds it most firmly: the lower of two ranks. */
const rankedStates: readonly (readonly [state: number, holder: Holder])[] = [
  [STATE.established, 'established'],
  [STATE.synSent, 'syn_sent'],
  [STATE.closeWait, 'close_wait'],
  [STATE.synRecv, 'other'],
  [STATE.lastAck, 'other'],
  [STATE.close, 'other'],
  [STATE.unknown, 'other'],
  [STATE.finWait1, 'fin_wait'],
  [STATE.finWait2, 'fin_wait'],
  [STATE.closing, 'fin_wait'],
  [STATE.timeWait, 'time_wait'],
]
const NO_RANK = 255
const groupOf: Readonly<Record<Holder, HeldGroup>> = {
  established: 'open',
  syn_sent: 'open',
  close_wait: 'close_wait',
  other: 'open',
  fin_wait: 'closing',
  time_wait: 'closing',
  bound: 'bound_idle',
  listener: 'listeners',
  hidden: 'bind_before_connect',
}

const code = nameAll(holders, (at) => at)
const groupCode = nameAll(heldGroups, (at) => at)
const groupOfCode = Uint8Array.from(holders, (holder) => groupCode[groupOf[holder]])
const codeOfRank = Uint8Array.from(rankedStates, ([, holder]) => code[holder])
const rankOf = new Uint8Array(16).fill(NO_RANK)
rankedStates.forEach(([state], at) => {
  rankOf[state] = at
})

/**
 * Creates the function, which keeps memory for its tables and nothing that one call leaves for the next.
 * An answer is valid until the next call.
 */
export function createHeldCounter(): (context: HeldContext) => (pool: PoolName) => Held {
  const [all, worst] = [createRanking(), createRanking()]

  return (context) => {
    rankFlows(all, context)
    return (pool) => {
      if (pool === 'udp') return countUdp(context)
      if (pool === 'tcp_bind') return countBind(context, all)
      rankFlowsOfWorst(worst, context)
      return countConnect(context, all, worst)
    }
  }
}

function createRanking(): Ranking {
  return { rank: new Uint8Array(PORTS), owner: new Uint32Array(PORTS) }
}

function rankFlows(ranking: Ranking, { census: { flows }, firstPort, lastPort }: HeldContext) {
  ranking.rank.fill(NO_RANK, firstPort, lastPort + 1)
  const columns = flows.columns()
  const count = flows.flowCount()
  for (let flow = 0; flow < count; flow++) rankFlow(ranking, columns, flow)
}

/** Ranks what the worst destination has taken, twin included. */
function rankFlowsOfWorst(ranking: Ranking, context: HeldContext): void {
  const { worst, twin, firstPort, lastPort } = context
  const { flows } = context.census
  ranking.rank.fill(NO_RANK, firstPort, lastPort + 1)
  const columns = flows.columns()
  const { destination, hold } = columns
  const count = worst < 0 ? 0 : flows.flowCount()
  for (let flow = 0; flow < count; flow++) {
    const to = destination[flow]
    if (to !== worst && to !== twin) continue
    if (hold[flow] !== HOLD.reclaimable) rankFlow(ranking, columns, flow)
  }
}

function rankFlow({ rank, owner }: Ranking, columns: FlowColumns, flow: number): void {
  const port = columns.port[flow] ?? 0
  const found = rankOf[columns.state[flow] ?? 0] ?? NO_RANK
  if (found >= (rank[port] ?? NO_RANK)) return
  rank[port] = found
  owner[port] = columns.owner[flow] ?? OWNERLESS
}

/** The ports that connect() cannot have: closed to all, then those that the worst destination has taken. */
function countConnect(context: HeldContext, all: Ranking, worst: Ranking): Held {
  const tally = createTally(context)
  const { census, ports, firstPort, lastPort } = context
  const { portUse } = census
  // Where connections close no port, none of them can own one that is closed.
  const connected = ports.blockedByBound > 0 ? all : undefined
  let blocked = ports.blockedByListener + ports.blockedByBound
  for (let port = firstPort; blocked > 0 && port <= lastPort; port++) {
    const use = portUse[port] ?? 0
    if ((use & BLOCKING) === 0 || !isCounted(ports, port)) continue
    blocked--
    addBlocked(tally, context, port, connected)
  }
  if (context.worst < 0) return renderTally(tally)
  const { rank } = worst
  for (let port = firstPort; port <= lastPort; port++) {
    if (rank[port] === NO_RANK || ((portUse[port] ?? 0) & BLOCKING) !== 0) continue
    if (isCounted(ports, port)) addFlow(tally, worst, port, false)
  }
  return renderTally(tally)
}

/** The ports that bind() to port 0 of a wildcard address cannot have. */
function countBind(context: HeldContext, all: Ranking): Held {
  const tally = createTally(context)
  const { census, ports, firstPort, lastPort, ipv6, boundInDoubt } = context
  const { portUse } = census
  const collision = ipv6 ? USE.tcp : USE.tcpIpv4
  let left = ports.tcp.capacity - ports.tcp.available
  for (let port = firstPort; left > 0 && port <= lastPort; port++) {
    const use = portUse[port] ?? 0
    if ((use & collision) === 0 || !isCounted(ports, port)) continue
    left--
    if ((use & BLOCKING) !== 0) addBlocked(tally, context, port, all)
    else if (all.rank[port] === NO_RANK) add(tally, code.other, groupCode.open, OWNERLESS)
    else addFlow(tally, all, port, boundInDoubt?.[port] === 1)
  }
  return renderTally(tally)
}

function countUdp(context: HeldContext): Held {
  const { census, ports, firstPort, lastPort, ipv6 } = context
  const tally = createTally(context)
  const { portUse } = census
  const { usable } = ports
  const collision = ipv6 ? USE.udp : USE.udpIpv4
  let left = ports.udp.live
  for (let port = firstPort; left > 0 && port <= lastPort; port++) {
    const use = portUse[port] ?? 0
    if ((use & collision) === 0 || usable[port] === 0) continue
    left--
    const holder = (use & USE.udpConnected) === 0 ? code.bound : code.established
    add(tally, holder, groupCode.udp, holderOf(census.owners?.udpHolder, port))
  }
  return renderTally(tally)
}

function addFlow(tally: Tally, { rank, owner }: Ranking, port: number, bound: boolean): void {
  const holder = codeOfRank[rank[port] ?? 0] ?? code.other
  const group = bound ? groupCode.bind_before_connect : (groupOfCode[holder] ?? 0)
  add(tally, holder, group, owner[port] ?? OWNERLESS)
}

/** `connected` knows the connection at the port, and its owner, where there is one. */
function addBlocked(
  tally: Tally,
  { census }: HeldContext,
  port: number,
  connected: Ranking | undefined,
): void {
  const use = census.portUse[port] ?? 0
  const holder = use & USE.listener ? code.listener : use & USE.bound ? code.bound : code.hidden
  const isConnected = connected !== undefined && connected.rank[port] !== NO_RANK
  // Bound, and yet with a connection: the port was asked for first.
  const isBoundFirst = holder === code.bound && isConnected
  const group = isBoundFirst ? groupCode.bind_before_connect : (groupOfCode[holder] ?? 0)
  const bound = holderOf(census.owners?.tcpHolder, port)
  const flow = isConnected ? (connected.owner[port] ?? OWNERLESS) : OWNERLESS
  add(tally, holder, group, bound === OWNERLESS ? flow : bound)
}

/** The index without the mark that no connection may contend. */
function holderOf(column: Uint32Array | undefined, port: number): number {
  return (column?.[port] ?? OWNERLESS) & ~FIXED
}

function isCounted({ usable, neverVisited }: Ports, port: number): boolean {
  return usable[port] !== 0 && port !== neverVisited
}

function add({ holders, groups, owners }: Tally, holder: number, group: number, owner: number) {
  holders[holder] = (holders[holder] ?? 0) + 1
  groups[group] = (groups[group] ?? 0) + 1
  const at = group * (owners.length / heldGroups.length) + owner
  owners[at] = (owners[at] ?? 0) + 1
}

function createTally({ census: { owners } }: HeldContext): Tally {
  return {
    holders: new Uint32Array(holders.length),
    groups: new Uint32Array(heldGroups.length),
    owners: new Uint32Array(heldGroups.length * Math.max(1, owners?.table.count() ?? 0)),
  }
}

function renderTally(tally: Tally): Held {
  const known = tally.owners.length / heldGroups.length
  const ownersOf = (group: number) => {
    const counts = new Map<number, number>()
    for (let owner = 0; owner < known; owner++) {
      const count = tally.owners[group * known + owner] ?? 0
      if (count > 0) counts.set(owner, count)
    }
    return counts
  }
  return {
    ports: nameAll(holders, (at) => tally.holders[at] ?? 0),
    groups: nameAll(heldGroups, (at) => tally.groups[at] ?? 0),
    owners: nameAll(heldGroups, ownersOf),
  }
}

function nameAll<K extends string, V>(
  names: readonly K[],
  ask: (at: number) => V,
): Readonly<Record<K, V>> {
  return Object.fromEntries(names.map((name, at) => [name, ask(at)])) as Record<K, V>
}
