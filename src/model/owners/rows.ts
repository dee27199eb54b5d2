// Which owners get a row: ports by owner id and names -> rows by name, the top N of each protocol, sticky as the
// destinations' (ranking.ts).

import type { Protocol } from '../../observation.ts'
import type { OwnerKind, OwnerName, OwnerRow } from '../../snapshot.ts'
import { keepMembers, type Sticky } from '../sticky.ts'
import { OWNERLESS_ID } from './ids.ts'
import type { PortsByOwner } from './ports.ts'

/** An owner with a row. Plain data. */
export interface OwnerMember extends OwnerName, Sticky {
  readonly protocol: Protocol
}

export interface RankedOwners {
  readonly rows: readonly OwnerRow[]
  readonly members: readonly OwnerMember[]
  /** Owners that hold ports and have no row. */
  readonly hidden: number
}

/** Undefined where the id cannot be resolved. */
export type NameOwner = (id: number) => OwnerName | undefined

const NONE: OwnerName = { owner: 'none', ownerKind: 'none' }
export const UNKNOWN_OWNER: OwnerName = { owner: 'unknown', ownerKind: 'unknown' }
/** These rows are sums and compete with nobody. */
const sums: readonly OwnerKind[] = ['none', 'unknown', 'other']

export interface RankingOptions {
  readonly protocol: Protocol
  readonly top: number
  readonly nameOwner: NameOwner
  /** Members of the last sample, of any protocol. */
  readonly members: readonly OwnerMember[]
}

/**
 * The best `top` enter; who was in stays until it was outside the best 2 x `top` for three samples, at most 2 x `top`
 * of them. Behind the members, without ports if need be, stand the rows `other`, `none` and `unknown`, absent at zero.
 */
export function rankOwners(ports: PortsByOwner, options: RankingOptions): RankedOwners {
  const { protocol, top } = options
  const named = sumByName(ports, options)
  const ranked = named.filter(({ ownerKind }) => !sums.includes(ownerKind)).sort(compareRows)

  const rank = new Map(ranked.map((row, position) => [keyOf(row), position]))
  const position = (member: OwnerName) => rank.get(keyOf(member)) ?? Number.POSITIVE_INFINITY
  const before = options.members.filter((member) => member.protocol === protocol)
  const kept = keepMembers(before, (member) => position(member) < 2 * top)
  const next = new Map(kept.map((member) => [keyOf(member), member]))
  for (const { owner, ownerKind } of ranked.slice(0, top)) {
    const key = keyOf({ owner, ownerKind })
    if (!next.has(key)) next.set(key, { protocol, owner, ownerKind, outside: 0 })
  }
  const members = [...next.values()]
    .sort((left, right) => compareNumbers(position(left), position(right)))
    .slice(0, 2 * top)

  const rows = members.map(
    (member): OwnerRow => ranked[position(member)] ?? { ...nameOf(member), protocol, usedPorts: 0 },
  )
  const other = sumPorts(ranked) - sumPorts(rows)
  return {
    rows: [
      ...rows,
      ...(other > 0
        ? [{ protocol, owner: 'other', ownerKind: 'other', usedPorts: other } as const]
        : []),
      ...named.filter(({ ownerKind }) => sums.includes(ownerKind)).sort(compareRows),
    ],
    members,
    hidden: ranked.length - rows.filter(({ usedPorts }) => usedPorts > 0).length,
  }
}

/** Several ids may have one name: cgroups of one container, or the instances of a unit before and after its restart. */
function sumByName(
  ports: PortsByOwner,
  { protocol, nameOwner }: RankingOptions,
): readonly OwnerRow[] {
  const rows = new Map<string, OwnerRow>()
  for (const [id, usedPorts] of ports) {
    const name = id === OWNERLESS_ID ? NONE : (nameOwner(id) ?? UNKNOWN_OWNER)
    const key = keyOf(name)
    const sum = usedPorts + (rows.get(key)?.usedPorts ?? 0)
    rows.set(key, { protocol, ...nameOf(name), usedPorts: sum })
  }
  return [...rows.values()]
}

function nameOf({ owner, ownerKind }: OwnerName): OwnerName {
  return { owner, ownerKind }
}

function keyOf({ owner, ownerKind }: OwnerName): string {
  return `${ownerKind} ${owner}`
}

function sumPorts(rows: readonly OwnerRow[]): number {
  return rows.reduce((sum, { usedPorts }) => sum + usedPorts, 0)
}

/** Compares rows: most ports first, ties in the order of names. */
function compareRows(left: OwnerRow, right: OwnerRow): number {
  return right.usedPorts - left.usedPorts || (keyOf(left) < keyOf(right) ? -1 : 1)
}

/** Infinities included, whose difference would be NaN. */
function compareNumbers(left: number, right: number): number {
  if (left === right) return 0
  return left < right ? -1 : 1
}
