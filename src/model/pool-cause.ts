// What fills a pool: the group of holders that has most of its ports, sticky, and who owns them.

import type { Cause, CauseName, OwnerShare, PoolName } from '../snapshot.ts'
import { type Held, type HeldGroup, heldGroups } from './held-ports.ts'
import { OWNERLESS, OWNERLESS_ID } from './owners/ids.ts'
import { apportion } from './owners/ports.ts'
import type { NameOwner } from './owners/rows.ts'
import { keepLeader, MOST_OWNERS, shareByName } from './shares.ts'

/** What one sample leaves for the next. */
export interface CauseMemory {
  readonly group: HeldGroup
  /** The owner that was named. */
  readonly owner: string | undefined
}

export interface CauseContext {
  readonly pool: PoolName
  /** Undefined where that is not known yet. */
  readonly pilingUp: boolean | undefined
  /** Owner ids behind the sockets of the pool that name none, by weight; undefined where nothing is remembered. */
  readonly remembered: ReadonlyMap<number, number> | undefined
  /** Turns an owner's index in the census into its id. */
  readonly idOf: (owner: number) => number
  /** Undefined where nothing tells owners. */
  readonly nameOwner: NameOwner | undefined
}

/** Undefined while nothing is held. */
export function judgeCause(
  held: Held,
  before: CauseMemory | undefined,
  context: CauseContext,
): { readonly cause: Cause; readonly memory: CauseMemory } | undefined {
  const total = heldGroups.reduce((sum, group) => sum + held.groups[group], 0)
  if (total === 0) return undefined
  const group = keepLeader(
    heldGroups.map((name) => [name, held.groups[name]] as const),
    before?.group,
    total,
  )
  if (group === undefined) return undefined
  const owners = nameOwners(held.owners[group], before?.owner, context)
  return {
    cause: { cause: nameCause(group, context), ports: held.groups[group], owners },
    memory: { group, owner: owners[0]?.owner },
  }
}

const causes: Readonly<Record<HeldGroup, CauseName>> = {
  closing: 'churn',
  close_wait: 'close_wait',
  open: 'many_connections',
  bound_idle: 'bound_idle',
  bind_before_connect: 'bind_before_connect',
  listeners: 'listeners',
  udp: 'udp_sockets',
}

function nameCause(group: HeldGroup, { pool, pilingUp }: CauseContext): CauseName {
  const leaks = group === 'open' && pool === 'tcp_connect' && pilingUp === true
  return leaks ? 'open_leak' : causes[group]
}

function nameOwners(
  ports: ReadonlyMap<number, number>,
  before: string | undefined,
  { idOf, nameOwner, remembered }: CauseContext,
): readonly OwnerShare[] {
  if (nameOwner === undefined) return []
  const byId = new Map<number, number>()
  const addTo = (id: number, count: number) => byId.set(id, (byId.get(id) ?? 0) + count)
  for (const [owner, count] of ports) {
    if (owner === OWNERLESS && remembered !== undefined && remembered.size > 0) {
      for (const [id, share] of divide(count, remembered)) addTo(id, share)
    } else addTo(owner === OWNERLESS ? OWNERLESS_ID : idOf(owner), count)
  }
  const shares = shareByName(
    [...byId]
      .filter(([id, count]) => count > 0 && id !== OWNERLESS_ID)
      .map(([id, count]) => [nameOwner(id), count]),
  )
  const first = keepLeader(
    shares.map((share) => [share.owner, share.ports] as const),
    before,
    shares.reduce((sum, share) => sum + share.ports, 0),
  )
  return shares
    .toSorted((a, b) => Number(b.owner === first) - Number(a.owner === first))
    .slice(0, MOST_OWNERS)
}

function divide(count: number, weights: ReadonlyMap<number, number>): ReadonlyMap<number, number> {
  const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0)
  return apportion(
    count,
    new Map([...weights].map(([id, weight]) => [id, (count * weight) / total])),
  )
}
