// Which destinations get a row: accounts and the last membership -> the next membership, worst first. Sticky, so that
// series do not come and go with the noise at the edge.

import type { Destination } from '../snapshot.ts'
import { renderAddress, renderEndpoint } from './addresses.ts'
import type { DestinationColumns } from './destinations.ts'
import { copyKey, type FlowTable, KEY_DEVICE, KEY_REMOTE_PORT, KEY_WORDS } from './flows.ts'
import { keepMembers, type Sticky } from './sticky.ts'

/** A destination with a row. Plain data that outlives the census. */
export interface Member extends Sticky {
  readonly key: Uint32Array
  readonly name: Destination
}

export interface RankedMember extends Member {
  /** Its row in the census' columns; -1 when it has no connection now. */
  readonly index: number
}

export interface RankLimits {
  readonly top: number
  /** Ports that a destination must use to enter; below half of that it leaves. 1 where all may. */
  readonly least: number
}

/**
 * The best `top` enter; who was in stays until it was outside the best 2 x `top`, or nearly idle, for three samples. At
 * most 2 x `top` members, ordered by ports taken.
 */
export function rankDestinations(
  flows: FlowTable,
  columns: Pick<DestinationColumns, 'taken' | 'used' | 'burden'>,
  { top, least }: RankLimits,
  members: readonly Member[],
): readonly RankedMember[] {
  const compare = createComparison(flows, [columns.taken, columns.used])
  // A destination of reclaimable ports alone is no burden.
  const best = takeBest(columns.burden, 2 * top, compare, least / 2)
  const rank = new Map(best.map((index, position) => [index, position]))

  const next = new Map<number, RankedMember>()
  const idle: RankedMember[] = []
  for (const member of keepMembers(findMembers(flows, members), ({ index }) => rank.has(index))) {
    if (member.index < 0) idle.push(member)
    else next.set(member.index, member)
  }
  for (const index of best.slice(0, top)) {
    const enters = (columns.burden[index] ?? 0) >= least
    if (enters && !next.has(index)) next.set(index, enterDestination(flows, index))
  }
  const ranked = [...next.values()].sort((left, right) => compare(left.index, right.index))
  return [...ranked, ...idle].slice(0, 2 * top)
}

/** Members as the census has them now. */
export function findMembers(flows: FlowTable, members: readonly Member[]): RankedMember[] {
  return members.map((member) => ({ ...member, index: flows.findDestination(member.key) }))
}

export function enterDestination(flows: FlowTable, index: number): RankedMember {
  const key = copyKey(flows, index)
  return { key, name: nameDestination(key), outside: 0, index }
}

/** A device stands behind the source as `%<interface index>`, in the zone notation of RFC 4007 that ss uses too. */
function nameDestination(key: Uint32Array): Destination {
  const device = key[KEY_DEVICE] ?? 0
  const source = renderAddress(key, 0)
  return {
    source: device === 0 ? source : `${source}%${device}`,
    destination: renderEndpoint(key, 4, key[KEY_REMOTE_PORT] ?? 0),
  }
}

type Comparison = (left: number, right: number) => number

/** Compares most first. The key breaks ties, so that the order of sockets never matters. */
export function createComparison(flows: FlowTable, criteria: readonly Uint32Array[]): Comparison {
  const keys = flows.keys()
  return (left, right) => {
    for (const column of criteria) {
      const difference = (column[right] ?? 0) - (column[left] ?? 0)
      if (difference !== 0) return difference
    }
    for (let word = 0; word < KEY_WORDS; word++) {
      const difference =
        (keys[left * KEY_WORDS + word] ?? 0) - (keys[right * KEY_WORDS + word] ?? 0)
      if (difference !== 0) return difference
    }
    return 0
  }
}

/** The destination that has taken the most ports; -1 where none holds any. */
export function findWorst(flows: FlowTable, { taken, used }: DestinationColumns): number {
  return takeBest(used, 1, createComparison(flows, [taken, used]))[0] ?? -1
}

/** The first `limit` of all destinations that hold `least` ports or more, without sorting the rest. */
export function takeBest(
  held: Uint32Array,
  limit: number,
  compare: Comparison,
  least = 1,
): number[] {
  const best: number[] = []
  for (let index = 0; index < held.length; index++) {
    const ports = held[index] ?? 0
    if (ports === 0 || ports < least) continue
    const last = best[best.length - 1]
    if (best.length === limit && last !== undefined && compare(last, index) <= 0) continue
    best.splice(insertionPoint(best, index, compare), 0, index)
    if (best.length > limit) best.pop()
  }
  return best
}

function insertionPoint(sorted: readonly number[], value: number, compare: Comparison): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compare(sorted[middle] ?? 0, value) <= 0) low = middle + 1
    else high = middle
  }
  return low
}
