// Whom the sockets to a destination belonged to while they were alive, since TIME_WAIT does not tell: memory x census
// -> memory. In a storm of short connections a sample sees few of them alive, so that two minutes are added up.

import { type FlowTable, HOLD } from '../flows.ts'
import type { NumberTable, OwnersBy } from './ids.ts'

/** What is known of the owners of one destination. Plain data. */
export interface RememberedDestination {
  /** The destination's key in the flow table. */
  readonly key: readonly number[]
  /** Owners of the sockets that the last sample saw alive, in the order of their ids. */
  readonly alive: readonly AliveSockets[]
  /** `alive` lists one of so many sockets. */
  readonly every: number
  /** Sockets once seen alive that are no more, oldest first. */
  readonly ended: readonly EndedSockets[]
}

export interface AliveSockets {
  readonly ownerId: number
  /** The local ports of those that are listed. */
  readonly ports: readonly number[]
}

export interface EndedSockets {
  readonly ownerId: number
  /** When they were last seen alive, on the clock that never steps. */
  readonly atSeconds: number
  readonly sockets: number
  /** Sockets of this owner that were seen in TIME_WAIT afterwards. */
  readonly timeWait: number
}

/** What one sample leaves for the next; ids mean something together with `by` only. */
export interface OwnerMemory {
  readonly by: OwnersBy
  readonly seenAtSeconds: number
  readonly destinations: readonly RememberedDestination[]
}

/** Bounds of the memory: what lies beyond counts for nobody, or for the others. */
export const MOST_DESTINATIONS = 128
const MOST_OWNERS = 8
/** About a destination's ports that are listed; a ratio of many counts is precise enough. */
export const MOST_PORTS = 128

const WINDOW_SECONDS = 120
/** Endings closer together are kept as one: the list is bounded for any sampling interval. */
const MERGE_SECONDS = 4

export interface EndingContext {
  readonly flows: FlowTable
  readonly owners: NumberTable
  readonly lastSeenSeconds: number
  readonly atSeconds: number
}

/**
 * `index` is the destination's in the flow table, -1 when no socket is left to it.
 * Adds the sockets that the last sample saw alive and this one does not, and drops what the window leaves behind. An
 * ending in TIME_WAIT is told from one that leaves nothing: only the former says whose the TIME_WAITs are.
 */
export function advanceEnded(
  remembered: RememberedDestination,
  index: number,
  context: EndingContext,
): readonly EndedSockets[] {
  const { lastSeenSeconds, atSeconds } = context
  const added = [...remembered.ended]
  for (const { ownerId, ports } of remembered.alive) {
    const { sockets, timeWait } = countEnded(index, ownerId, ports, context)
    if (sockets === 0) continue
    const ended = {
      ownerId,
      atSeconds: lastSeenSeconds,
      sockets: sockets * remembered.every,
      timeWait: timeWait * remembered.every,
    }
    const at = added.findLastIndex((earlier) => earlier.ownerId === ownerId)
    const earlier = added[at]
    if (earlier !== undefined && lastSeenSeconds - earlier.atSeconds < MERGE_SECONDS) {
      added[at] = {
        ...earlier,
        sockets: earlier.sockets + ended.sockets,
        timeWait: earlier.timeWait + ended.timeWait,
      }
    } else added.push(ended)
  }
  return added.filter((ended) => atSeconds - ended.atSeconds <= WINDOW_SECONDS)
}

function countEnded(
  destination: number,
  ownerId: number,
  ports: readonly number[],
  { flows, owners }: EndingContext,
): { readonly sockets: number; readonly timeWait: number } {
  const { hold, owner } = flows.columns()
  let [sockets, timeWait] = [0, 0]
  for (const port of ports) {
    const flow = destination < 0 ? -1 : flows.findFlow(destination, port)
    const alive = flow >= 0 && hold[flow] === HOLD.live
    if (alive && owners.value(owner[flow] ?? 0) === ownerId) continue
    sockets++
    if (flow >= 0 && !alive) timeWait++
  }
  return { sockets, timeWait }
}

/**
 * The owners of a destination's TIME_WAITs with the weight of each: sockets that went to TIME_WAIT, where some were
 * seen to, since a crowd of connections that stay open causes none; otherwise all that were seen alive. Ordered by id.
 */
export function weighOwners(destination: RememberedDestination): ReadonlyMap<number, number> {
  const closed = sumByOwner(destination.ended.map(({ ownerId, timeWait }) => [ownerId, timeWait]))
  return closed.size > 0 ? closed : sumSockets(destination)
}

/** Leaves out the owners beyond the bound; of those with as many sockets the highest ids. */
export function boundOwners(destination: RememberedDestination): RememberedDestination {
  const sockets = sumSockets(destination)
  if (sockets.size <= MOST_OWNERS) return destination
  const ranked = [...sockets].sort(([, left], [, right]) => right - left)
  const kept = new Set(ranked.slice(0, MOST_OWNERS).map(([ownerId]) => ownerId))
  return {
    ...destination,
    alive: destination.alive.filter(({ ownerId }) => kept.has(ownerId)),
    ended: destination.ended.filter(({ ownerId }) => kept.has(ownerId)),
  }
}

function sumSockets({ alive, every, ended }: RememberedDestination): ReadonlyMap<number, number> {
  return sumByOwner([
    ...alive.map(({ ownerId, ports }) => [ownerId, ports.length * every] as const),
    ...ended.map(({ ownerId, sockets }) => [ownerId, sockets] as const),
  ])
}

/** Sums the counts by owner and leaves out each owner that has none. */
function sumByOwner(
  counts: readonly (readonly [ownerId: number, count: number])[],
): ReadonlyMap<number, number> {
  const sums = new Map<number, number>()
  for (const [ownerId, count] of counts) {
    if (count > 0) sums.set(ownerId, (sums.get(ownerId) ?? 0) + count)
  }
  return new Map([...sums].sort(([left], [right]) => left - right))
}

/** Every id that the memory holds. */
export function* listOwnerIds({ destinations }: OwnerMemory): Generator<number, void, void> {
  for (const { alive, ended } of destinations) {
    for (const { ownerId } of alive) yield ownerId
    for (const { ownerId } of ended) yield ownerId
  }
}
