// What holds the ports of a pool, port by port: census, ports and accounts -> counts by holder and by cause, with owners.

import { STATE } from '../observation.ts'
import { type Holder, holders, type PoolName } from '../snapshot-pools.ts'
import { type Census, PORTS, USE } from './census.ts'
import type { DestinationColumns } from './destinations.ts'
import { HOLD } from './flows.ts'
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
  /** The same ports, each in one group. */
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

type Tally = {
  readonly ports: Record<Holder, number>
  readonly groups: Record<HeldGroup, number>
  readonly owners: Record<HeldGroup, Map<number, number>>
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

/** Creates the function, which keeps memory for its tables and nothing that one call leaves for the next. */
export function createHeldCounter(): (pool: PoolName, context: HeldContext) => Held {
  const rank = new Uint8Array(PORTS)
  const owner = new Uint32Array(PORTS)
  const rankOf = new Uint8Array(16).fill(NO_RANK)
  rankedStates.forEach(([state], at) => {
    rankOf[state] = at
  })

  /** Notes at each port the flow that holds it most firmly, of those that `counts` accepts. */
  function rankFlows(
    { census: { flows }, firstPort, lastPort }: HeldContext,
    counts: (destination: number, hold: number) => boolean,
  ): void {
    rank.fill(NO_RANK, firstPort, lastPort + 1)
    const columns = flows.columns()
    for (let flow = 0; flow < flows.flowCount(); flow++) {
      if (!counts(columns.destination[flow] ?? 0, columns.hold[flow] ?? 0)) continue
      const port = columns.port[flow] ?? 0
      const found = rankOf[columns.state[flow] ?? 0] ?? NO_RANK
      if (found >= (rank[port] ?? NO_RANK)) continue
      rank[port] = found
      owner[port] = columns.owner[flow] ?? OWNERLESS
    }
  }

  /** The ports that connect() cannot have: closed to all, then those that the worst destination has taken. */
  function countConnect(context: HeldContext): Held {
    const tally = createTally()
    const { census, ports, worst, twin } = context
    rankFlows(context, () => ports.blockedByBound > 0)
    let blocked = ports.blockedByListener + ports.blockedByBound
    for (let port = context.firstPort; blocked > 0; port++) {
      const use = census.portUse[port] ?? 0
      if ((use & BLOCKING) === 0 || !isCounted(context, port)) continue
      blocked--
      addBlocked(tally, context, port, flowOwner(port))
    }
    if (worst < 0) return tally
    rankFlows(
      context,
      (destination, hold) =>
        (destination === worst || destination === twin) && hold !== HOLD.reclaimable,
    )
    for (let port = context.firstPort; port <= context.lastPort; port++) {
      if (rank[port] === NO_RANK || !isCounted(context, port)) continue
      if (((census.portUse[port] ?? 0) & BLOCKING) === 0) addFlow(tally, port)
    }
    return tally
  }

  /** The ports that bind() to port 0 of a wildcard address cannot have. */
  function countBind(context: HeldContext): Held {
    const tally = createTally()
    const { census, firstPort, lastPort, ipv6, boundInDoubt } = context
    const collision = ipv6 ? USE.tcp : USE.tcpIpv4
    rankFlows(context, () => true)
    for (let port = firstPort; port <= lastPort; port++) {
      const use = census.portUse[port] ?? 0
      if ((use & collision) === 0 || !isCounted(context, port)) continue
      const connected = rank[port] !== NO_RANK
      if ((use & BLOCKING) !== 0) addBlocked(tally, context, port, flowOwner(port))
      else if (connected) addFlow(tally, port, boundInDoubt?.[port] === 1)
      else add(tally, { holder: 'other', group: 'open', owner: OWNERLESS })
    }
    return tally
  }

  /** Undefined at a port without a connection. */
  function flowOwner(port: number): number | undefined {
    return rank[port] === NO_RANK ? undefined : (owner[port] ?? OWNERLESS)
  }

  function addFlow(tally: Tally, port: number, bound = false): void {
    const holder = rankedStates[rank[port] ?? 0]?.[1] ?? 'other'
    const group = bound ? 'bind_before_connect' : groupOf[holder]
    add(tally, { holder, group, owner: owner[port] ?? OWNERLESS })
  }

  return (pool, context) => {
    if (pool === 'udp') return countUdp(context)
    return pool === 'tcp_connect' ? countConnect(context) : countBind(context)
  }
}

function countUdp({ census, ports, firstPort, lastPort, ipv6 }: HeldContext): Held {
  const tally = createTally()
  const collision = ipv6 ? USE.udp : USE.udpIpv4
  for (let port = firstPort; port <= lastPort; port++) {
    const use = census.portUse[port] ?? 0
    if ((use & collision) === 0 || ports.usable[port] === 0) continue
    const holder = (use & USE.udpConnected) === 0 ? 'bound' : 'established'
    add(tally, { holder, group: 'udp', owner: holderOf(census.owners?.udpHolder, port) })
  }
  return tally
}

/** `flow` owns the connection at the port, where there is one. */
function addBlocked(
  tally: Tally,
  context: HeldContext,
  port: number,
  flow: number | undefined,
): void {
  const { census } = context
  const use = census.portUse[port] ?? 0
  const holder = use & USE.listener ? 'listener' : use & USE.bound ? 'bound' : 'hidden'
  // Bound, and yet with a connection: the port was asked for first.
  const group = holder === 'bound' && flow !== undefined ? 'bind_before_connect' : groupOf[holder]
  const bound = holderOf(census.owners?.tcpHolder, port)
  add(tally, { holder, group, owner: bound === OWNERLESS ? (flow ?? OWNERLESS) : bound })
}

/** The index without the mark that no connection may contend. */
function holderOf(column: Uint32Array | undefined, port: number): number {
  return (column?.[port] ?? OWNERLESS) % FIXED
}

function isCounted({ ports }: HeldContext, port: number): boolean {
  return ports.usable[port] !== 0 && port !== ports.neverVisited
}

function add(
  { ports, groups, owners }: Tally,
  {
    holder,
    group,
    owner,
  }: { readonly holder: Holder; readonly group: HeldGroup; readonly owner: number },
): void {
  ports[holder]++
  groups[group]++
  owners[group].set(owner, (owners[group].get(owner) ?? 0) + 1)
}

function createTally(): Tally {
  const zeros = <K extends string>(names: readonly K[]) =>
    Object.fromEntries(names.map((name) => [name, 0])) as Record<K, number>
  const maps = heldGroups.map((group) => [group, new Map<number, number>()])
  return {
    ports: zeros(holders),
    groups: zeros(heldGroups),
    owners: Object.fromEntries(maps) as Record<HeldGroup, Map<number, number>>,
  }
}
