// Which owner each used port counts for: census, ports and what is remembered -> ports by owner id, for each protocol.

import { type Census, USE } from '../census.ts'
import { PORTS } from '../columns.ts'
import type { Listener } from '../listeners.ts'
import type { Ports } from '../ports.ts'
import { shareOut } from '../share-out.ts'
import type { CensusOwners } from './holders.ts'
import { claimOn, FIXED, hashNumber, OWNERLESS, OWNERLESS_ID, outclaims } from './ids.ts'

/** Ports by owner id; ids without a port are not in it. */
export type PortsByOwner = ReadonlyMap<number, number>

/** The owners that a destination's minisocks stand for. */
export interface MinisockOwners {
  /** Names the destination in claims. */
  readonly salt: number
  /** Weights by owner id, in the order of ids. */
  readonly weights: ReadonlyMap<number, number>
}

export interface SharingContext {
  readonly census: Census
  readonly owners: CensusOwners
  readonly ports: Ports
  readonly firstPort: number
  readonly lastPort: number
  /** Number of the remembered destination by index in the flow table, -1 for all others. */
  readonly slots: Int32Array
  /** The owners of each such number. */
  readonly minisocks: readonly MinisockOwners[]
  /** Listeners, gone ones included that may have left accepted connections behind. */
  readonly listeners: readonly Listener[]
}

/**
 * Creates the function that shares out the TCP ports, in memory of its own. A port with a listener, a bound socket or
 * one of the application's choice counts for that socket's owner. Any other goes to one of the owners of its
 * connections, the one with the highest claim. A minisock stands for the owner of its destination's sockets; where
 * there are several, the ports of all such minisocks are divided by their weights. An ownerless one has no claim.
 */
export function createTcpSharing(): (context: SharingContext) => PortsByOwner {
  const holder = new Uint32Array(PORTS)

  return (context) => {
    const { census, owners, ports, slots, firstPort, lastPort } = context
    const ownersLeft = listOwnersLeft(context)
    const claimants = listClaimants(context)
    const salts = Uint32Array.from(claimants.salts)
    const { destination, port, owner } = census.flows.columns()

    holder.set(owners.tcpHolder.subarray(firstPort, lastPort + 1), firstPort)
    const flowCount = census.flows.flowCount()
    for (let flow = 0; flow < flowCount; flow++) {
      const local = port[flow] ?? 0
      const rival = holder[local] ?? OWNERLESS
      if ((rival & FIXED) !== 0) continue
      let claimant = owner[flow] ?? OWNERLESS
      if (claimant === OWNERLESS) {
        const slot = slots[destination[flow] ?? 0] ?? -1
        if (slot >= 0) claimant = claimants.ofSlot[slot] ?? OWNERLESS
        else if (ownersLeft.size > 0) claimant = ownersLeft.get(local) ?? OWNERLESS
      }
      if (claimant === rival || claimant === OWNERLESS) continue
      if (rival === OWNERLESS) holder[local] = claimant
      else {
        const difference = claimOn(local, salts[claimant] ?? 0) - claimOn(local, salts[rival] ?? 0)
        if (difference > 0 || (difference === 0 && claimants.isFirst(claimant, rival))) {
          holder[local] = claimant
        }
      }
    }

    const counts = countHeld(context, salts.length, { use: USE.tcp, used: ports.tcpUsed, holder })
    return divideCounts(context, counts)
  }
}

/** No UDP socket outlives its owner; of several at one port the one with the highest claim counts. */
export function shareUdpPorts(context: SharingContext): PortsByOwner {
  const { owners, ports } = context
  const { table, udpHolder } = owners
  const counts = countHeld(context, table.count(), {
    use: USE.udp,
    used: ports.udpUsed,
    holder: udpHolder,
  })
  const shares = new Map<number, number>()
  counts.forEach((count, owner) => {
    if (count > 0) shares.set(table.value(owner), count)
  })
  return shares
}

interface Holders {
  /** The bit of USE that a used port has. */
  readonly use: number
  /** How many such ports there are. */
  readonly used: number
  /** Owner id by port number. */
  readonly holder: Uint32Array
}

/** Used ports by who holds them. */
function countHeld(
  { census: { portUse }, ports: { usable }, firstPort, lastPort }: SharingContext,
  claimants: number,
  { use, used, holder }: Holders,
): Uint32Array {
  const counts = new Uint32Array(claimants)
  let left = used
  for (let port = firstPort; left > 0 && port <= lastPort; port++) {
    if (((portUse[port] ?? 0) & use) === 0 || usable[port] === 0) continue
    const claimant = (holder[port] ?? OWNERLESS) & ~FIXED
    counts[claimant] = (counts[claimant] ?? 0) + 1
    left--
  }
  return counts
}

interface Claimants {
  readonly salts: readonly number[]
  /** Who claims for the minisocks of a remembered destination. */
  readonly ofSlot: readonly number[]
  /** Decides between equal claims, by nothing that the order of sockets could change. */
  isFirst(claimant: number, rival: number): boolean
}

/** The owners, and behind them each remembered destination for those of its minisocks that may be of several owners. */
function listClaimants({ owners: { table }, minisocks }: SharingContext): Claimants {
  for (const { weights } of minisocks) for (const ownerId of weights.keys()) table.index(ownerId)
  const known = table.count()
  const ids = Array.from({ length: known }, (_, owner) => table.value(owner))
  const order = (claimant: number) => ids[claimant] ?? Number.MAX_SAFE_INTEGER - claimant
  return {
    salts: [...ids.map(hashNumber), ...minisocks.map(({ salt }) => salt)],
    ofSlot: minisocks.map(({ weights }, slot) => {
      const [ownerId = OWNERLESS_ID] = weights.keys()
      return weights.size > 1 ? known + slot : table.index(ownerId)
    }),
    isFirst: (claimant, rival) => order(claimant) > order(rival),
  }
}

/** Maps a port to the owner of the listener that accepted what is left. */
function listOwnersLeft({ owners, listeners }: SharingContext): ReadonlyMap<number, number> {
  const { table, tcpHolder } = owners
  const left = new Map<number, number>()
  for (const { port, ownerId } of listeners) {
    if (ownerId === undefined || tcpHolder[port] !== OWNERLESS) continue
    const rival = left.get(port)
    if (rival !== undefined && !outclaims(port, ownerId, table.value(rival))) continue
    left.set(port, table.index(ownerId))
  }
  return left
}

/** Counts by claimant -> ports by owner id, those of the destinations with several owners divided. */
function divideCounts(
  { owners: { table }, minisocks }: SharingContext,
  counts: Uint32Array,
): PortsByOwner {
  const known = counts.length - minisocks.length
  const shares = new Map<number, number>()
  for (let owner = 0; owner < known; owner++) addTo(shares, table.value(owner), counts[owner] ?? 0)

  const quotas = new Map<number, number>()
  let divided = 0
  minisocks.forEach(({ weights }, slot) => {
    const count = counts[known + slot] ?? 0
    const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0)
    for (const [ownerId, weight] of weights) addTo(quotas, ownerId, (count * weight) / total)
    divided += count
  })
  for (const [ownerId, count] of apportion(divided, quotas)) addTo(shares, ownerId, count)
  return shares
}

/** Whole numbers that add up to `total`, as the quotas do; of equal remainders the lowest owner comes first. */
export function apportion(
  total: number,
  quotas: ReadonlyMap<number, number>,
): ReadonlyMap<number, number> {
  const owners = [...quotas].toSorted(([left], [right]) => left - right)
  const parts = shareOut(
    total,
    owners.map(([, quota]) => quota),
  )
  return new Map(owners.map(([ownerId], at) => [ownerId, parts[at] ?? 0]))
}

function addTo(sums: Map<number, number>, ownerId: number, amount: number): void {
  if (amount > 0) sums.set(ownerId, (sums.get(ownerId) ?? 0) + amount)
}
