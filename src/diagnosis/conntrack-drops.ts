// Why conntrack dropped packets since the sample before: counters and listings of both samples -> causes. Pure.

import type { Namespace, NatPoolName } from '../snapshot.ts'

/** What is judged of a namespace. */
export type Tracked = Pick<Namespace, 'conntrack' | 'nat'>

/**
 * Why packets were dropped. `exhausted`: most searches for a NAT port fail. `filling`: some of them do. `race`: two packets
 * took one free port. `race_or_small_range`: that, or a full range so small that its search meets no taken port.
 * `unclear`: the counters fit several of these. `table_full`: conntrack has as many entries as it may have. `other`: none of
 * all these.
 */
export type DropCause =
  | 'exhausted'
  | 'filling'
  | 'race'
  | 'race_or_small_range'
  | 'unclear'
  | 'table_full'
  | 'other'

export interface Drops {
  readonly cause: DropCause
  readonly packets: number
  /** The pool behind it, where conntrack may be listed. */
  readonly pool: NatPoolName | undefined
}

/** As in the alert about exhausted NAT ports. */
const EXHAUSTED_PROBABILITY = 0.5
/** Below it a search that fails is so rare that drops have another reason. */
const FAILING_PROBABILITY = 0.01
/** A failed search of more than 128 ports meets so many taken ones (docs/development/nat-model.md#counters). */
const FAILED_SEARCH_COLLISIONS = 128
/** A range that is not larger is searched once, as a whole. */
const LARGEST_WINDOW = 128
/** The last tries of a search for a TCP port count no collision. */
const EVICTING_TRIES = 32
/** A fifth of 64,512 ports: with fewer entries no search of that range fails. */
const SEARCHED_ENTRIES = 12_900
const FULL_TABLE_RATIO = 0.9

/** Empty where nothing was dropped, where a counter began anew, and where there is no sample before. */
export function judgeDrops(now: Tracked, before: Tracked | undefined): readonly Drops[] {
  const grown = countGrowth(now, before)
  if (grown === undefined || before === undefined) return []
  const others = grown.dropped - grown.insertFailed
  return [
    ...(grown.insertFailed > 0 ? [judgeFailed(grown, now, before)] : []),
    ...(others > 0
      ? [
          {
            cause: [now, before].some(isTableFull) ? ('table_full' as const) : ('other' as const),
            packets: others,
            pool: undefined,
          },
        ]
      : []),
  ]
}

/** Races since the sample before that cost no packet; 0 where that is not known. */
export function countResolvedRaces(now: Tracked, before: Tracked | undefined): number {
  return countGrowth(now, before)?.clashesResolved ?? 0
}

/**
 * Whether searches meet so many taken ports that their range must be half full or more, where no listing says it. Every
 * connection since the sample before still has its entry, and met f / (1 - f) taken ports where the share f is taken.
 */
export function isSearchingLong(now: Tracked, before: Tracked | undefined): boolean {
  const grown = countGrowth(now, before)
  if (grown === undefined || grown.insertFailed > 0 || now.nat !== undefined) return false
  const { entries = 0 } = now.conntrack ?? {}
  return entries > SEARCHED_ENTRIES && grown.collisions > entries
}

type Growth = Readonly<
  Record<'collisions' | 'insertFailed' | 'dropped' | 'clashesResolved', number>
>

function countGrowth({ conntrack: now }: Tracked, before: Tracked | undefined): Growth | undefined {
  const first = before?.conntrack
  if (now === undefined || first === undefined) return undefined
  const grown = {
    collisions: now.collisions - first.collisions,
    insertFailed: now.insertFailed - first.insertFailed,
    dropped: now.dropped - first.dropped,
    clashesResolved: (now.clashesResolved ?? 0) - (first.clashesResolved ?? 0),
  }
  return Object.values(grown).some((count) => count < 0) ? undefined : grown
}

/**
 * Two listings without a pool that fails leave only races. Where a range may be other than listed, and where searches met as
 * many taken ports as if all of them had failed, they do not.
 */
function judgeFailed(grown: Growth, now: Tracked, before: Tracked): Drops {
  const packets = grown.insertFailed
  const meetsNone = grown.collisions < packets
  const drops = (cause: DropCause, pool?: NatPoolName): Drops => ({ cause, packets, pool })
  if (now.nat === undefined || before.nat === undefined) {
    const isExhausted =
      grown.collisions >= FAILED_SEARCH_COLLISIONS * packets &&
      (now.conntrack?.entries ?? 0) > SEARCHED_ENTRIES
    if (isExhausted) return drops('exhausted')
    return drops(meetsNone ? 'race_or_small_range' : 'unclear')
  }
  const [worst] = [...now.nat.failureProbabilities, ...before.nat.failureProbabilities].toSorted(
    (left, right) => right.ratio - left.ratio,
  )
  if (worst !== undefined && worst.ratio >= FAILING_PROBABILITY) {
    return drops(worst.ratio > EXHAUSTED_PROBABILITY ? 'exhausted' : 'filling', worst.pool)
  }
  if (grown.collisions < packets * leastCollisions(now)) return drops('race')
  return drops(meetsNone ? 'race_or_small_range' : 'unclear')
}

/** How many taken ports every search that fails meets at least; 0 where that is not known. */
function leastCollisions({ nat, conntrack }: Tracked): number {
  const ranges = nat?.ranges ?? []
  if (conntrack?.translatesIpv6 !== false || ranges.some(({ origin }) => origin === 'default')) {
    return 0
  }
  const smallest = Math.min(...ranges.map(({ firstPort, lastPort }) => lastPort - firstPort + 1))
  return smallest > LARGEST_WINDOW
    ? FAILED_SEARCH_COLLISIONS
    : Math.max(0, smallest - EVICTING_TRIES)
}

function isTableFull({ conntrack }: Tracked): boolean {
  const { entries = 0, limitEntries = Number.POSITIVE_INFINITY } = conntrack ?? {}
  return entries >= FULL_TABLE_RATIO * limitEntries
}
