// Who holds the ports of one namespace: memory x census -> rows, and the memory for the next sample.

import type { OwnerName, OwnerRow } from '../../snapshot.ts'
import type { Census } from '../census.ts'
import type { DestinationColumns } from '../destinations.ts'
import { type FlowTable, KEY_WORDS } from '../flows.ts'
import type { Listener } from '../listeners.ts'
import type { Ports } from '../ports.ts'
import { createComparison, takeBest } from '../ranking.ts'
import type { CensusOwners } from './holders.ts'
import { claimOn, KERNEL_ID, type OwnersBy, uidOf } from './ids.ts'
import {
  advanceEnded,
  boundOwners,
  listOwnerIds,
  MOST_DESTINATIONS,
  type OwnerMemory,
  type RememberedDestination,
  weighOwners,
} from './memory.ts'
import { createTcpSharing, type SharingContext, shareUdpPorts } from './ports.ts'
import { type NameOwner, type OwnerMember, rankOwners, UNKNOWN_OWNER } from './rows.ts'
import { sightOwners } from './sightings.ts'

const KERNEL: OwnerName = { owner: 'kernel', ownerKind: 'kernel' }

/** What one sample leaves for the next. Plain data. */
export interface OwnersState {
  readonly memory: OwnerMemory
  readonly members: readonly OwnerMember[]
}

/**
 * Called once a sample with every id in use, those of remembered sockets included; and once more with uids where there
 * are sockets in the root cgroup.
 */
export type NameOwners = (
  by: OwnersBy,
  ids: ReadonlySet<number>,
) => (id: number) => OwnerName | undefined

export interface OwnersInput {
  readonly census: Census
  readonly owners: CensusOwners
  readonly ports: Ports
  readonly columns: DestinationColumns
  readonly firstPort: number
  readonly lastPort: number
  readonly listeners: readonly Listener[]
  readonly protocols: readonly OwnerRow['protocol'][]
  readonly top: number
  readonly atSeconds: number
  readonly nameOwners: NameOwners
}

export interface OwnersNow {
  readonly state: OwnersState
  readonly rows: readonly OwnerRow[]
  /** Owners that hold ports and have no row. */
  readonly hidden: number
  /** Also of the sockets that are in no row. */
  readonly nameOwner: NameOwner
}

export type AdvanceOwners = (state: OwnersState | undefined, input: OwnersInput) => OwnersNow

/** Creates the function; it keeps memory for its tables, nothing that a call leaves for the next. */
export function createOwnersModel(): AdvanceOwners {
  const shareTcpPorts = createTcpSharing()

  return (state, input) => {
    const { owners, protocols, top, atSeconds } = input
    // Ids of cgroups mean nothing among uids.
    const memory = state?.memory.by === owners.by ? state.memory : undefined
    const { slots, remembered } = rememberOwners(input, memory)
    const sharing: SharingContext = {
      ...input,
      slots,
      minisocks: remembered.map((destination) => ({
        salt: destination.key.reduce((salt, word) => claimOn(word, salt), 0),
        weights: weighOwners(destination),
      })),
      listeners: memory === undefined ? [] : input.listeners,
    }
    const shares = { tcp: shareTcpPorts(sharing), udp: shareUdpPorts(sharing) }

    const destinations = remembered.filter(({ alive, ended }) => alive.length + ended.length > 0)
    const next = { by: owners.by, seenAtSeconds: atSeconds, destinations }
    const nameId = nameIds(input, listIds(owners, next))
    const nameOwner: NameOwner = (id) => (id === KERNEL_ID ? KERNEL : nameId(id))
    const ranked = protocols.map((protocol) =>
      rankOwners(shares[protocol], { protocol, top, nameOwner, members: state?.members ?? [] }),
    )
    return {
      state: { memory: next, members: ranked.flatMap(({ members }) => members) },
      rows: ranked.flatMap(({ rows }) => rows),
      hidden: ranked.reduce((sum, { hidden }) => sum + hidden, 0),
      nameOwner,
    }
  }
}

/**
 * The memory after this sample: of the destinations with the most sockets, TIME_WAIT included, and behind them, where
 * there is room, of those that have none left. `slots` numbers the former by their index in the flow table.
 */
function rememberOwners(
  { census: { flows }, owners, columns, atSeconds }: OwnersInput,
  memory: OwnerMemory | undefined,
): { readonly slots: Int32Array; readonly remembered: readonly RememberedDestination[] } {
  const { used, timeWait, reclaimable } = columns
  // Recyclable or not: each holds its port, if nothing else closes it.
  const held = used.slice()
  for (let index = 0; index < held.length; index++) {
    held[index] = (held[index] ?? 0) + (reclaimable[index] ?? 0)
  }
  const { present, absent } = recallDestinations(flows, held, memory)
  const best = takeBest(held, MOST_DESTINATIONS, createComparison(flows, [held]))
  const slots = new Int32Array(flows.destinationCount()).fill(-1)
  best.forEach((index, slot) => {
    slots[index] = slot
  })

  const mostAlive = best.map((index) => (used[index] ?? 0) - (timeWait[index] ?? 0))
  const sightings = sightOwners(flows, owners.table, { slots, mostAlive })
  const context = { flows, owners: owners.table, atSeconds }
  const ended = (earlier: RememberedDestination, index: number) =>
    advanceEnded(earlier, index, {
      ...context,
      lastSeenSeconds: memory?.seenAtSeconds ?? atSeconds,
    })
  const here = best.map((index, slot): RememberedDestination => {
    const earlier = present.get(index)
    return boundOwners({
      key:
        earlier?.key ??
        Array.from(flows.keys().subarray(index * KEY_WORDS, (index + 1) * KEY_WORDS)),
      alive: sightings[slot]?.alive ?? [],
      every: sightings[slot]?.every ?? 1,
      ended: earlier === undefined ? [] : ended(earlier, index),
    })
  })
  const left = absent.map((earlier) =>
    boundOwners({ ...earlier, alive: [], ended: ended(earlier, -1) }),
  )
  return { slots, remembered: [...here, ...left].slice(0, MOST_DESTINATIONS) }
}

/**
 * What of the memory belongs to this census, by index in the flow table, and what holds no port in it. The table may
 * have a destination that holds none, for what a listener accepted or for reserved ports.
 */
function recallDestinations(
  flows: FlowTable,
  held: Uint32Array,
  memory: OwnerMemory | undefined,
): {
  readonly present: ReadonlyMap<number, RememberedDestination>
  readonly absent: readonly RememberedDestination[]
} {
  const present = new Map<number, RememberedDestination>()
  const absent: RememberedDestination[] = []
  const key = new Uint32Array(KEY_WORDS)
  for (const remembered of memory?.destinations ?? []) {
    key.set(remembered.key)
    const index = flows.findDestination(key)
    if (index < 0 || held[index] === 0) absent.push(remembered)
    else present.set(index, remembered)
  }
  return { present, absent }
}

/** Cgroups and users have names of their own. */
function nameIds({ owners: { by }, nameOwners }: OwnersInput, ids: ReadonlySet<number>): NameOwner {
  const nameId = nameOwners(by, new Set([...ids].filter((id) => id >= 0)))
  const uids = new Set([...ids].flatMap((id) => uidOf(id) ?? []))
  if (uids.size === 0) return (id) => (id < 0 ? undefined : nameId(id))
  const nameUid = nameOwners('user', uids)
  return (id) => {
    const uid = uidOf(id)
    if (uid !== undefined) return nameUid(uid)
    return id < 0 ? undefined : nameId(id)
  }
}

function listIds({ table }: CensusOwners, memory: OwnerMemory): ReadonlySet<number> {
  const ids = new Set(listOwnerIds(memory))
  for (let owner = 0; owner < table.count(); owner++) ids.add(table.value(owner))
  return ids
}

/** Names the owner of a listener. The name says nothing of its kind. */
export function nameListener(ownerId: number | undefined, nameOwner: NameOwner): string {
  const name = ownerId === undefined ? undefined : nameOwner(ownerId)
  return (name ?? UNKNOWN_OWNER).owner
}
