// Who holds the most of a pool: counts -> the one that is named, sticky, and the shares of owners. Pure.

import type { OwnerName, OwnerShare } from '../snapshot.ts'
import { UNKNOWN_OWNER } from './owners/rows.ts'

/** Share of all that another must hold more before it replaces what was named last. */
const MARGIN_RATIO = 0.1
export const MOST_OWNERS = 3

/** The name with the highest count, or the one before it as long as none has a tenth of `total` more. */
export function keepLeader<K>(
  counts: readonly (readonly [name: K, count: number])[],
  before: K | undefined,
  total: number,
): K | undefined {
  const best = counts.reduce<readonly [K, number] | undefined>(
    (high, one) => (one[1] > (high?.[1] ?? 0) ? one : high),
    undefined,
  )
  const last = counts.find(([name]) => name === before)
  if (best === undefined) return undefined
  const margin = MARGIN_RATIO * total
  return last !== undefined && last[1] > 0 && last[1] + margin >= best[1] ? last[0] : best[0]
}

/** Sums the ports of one name, most ports first. What has no name is unknown. */
export function shareByName(
  counts: Iterable<readonly [name: OwnerName | undefined, ports: number]>,
): readonly OwnerShare[] {
  const shares = new Map<string, OwnerShare>()
  for (const [name, ports] of counts) {
    const { owner, ownerKind } = name ?? UNKNOWN_OWNER
    const key = `${ownerKind} ${owner}`
    shares.set(key, { owner, ownerKind, ports: ports + (shares.get(key)?.ports ?? 0) })
  }
  return [...shares.values()].sort((a, b) => b.ports - a.ports || (a.owner < b.owner ? -1 : 1))
}
