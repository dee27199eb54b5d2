// Why conntrack dropped packets since the sample before: counters and listings of both samples -> causes. Pure.

import type { Namespace, NatPoolName, NatState } from '../snapshot.ts'
import { NAT_SEARCH } from '../snapshot-nat.ts'

/** What is judged of a namespace. */
export type Tracked = Pick<Namespace, 'conntrack' | 'nat'>

/** A namespace in a sample and in the one before. */
export interface Course {
  readonly now: Tracked
  /** Undefined where there is no sample before, or where it saw another namespace of that name. */
  readonly before: Tracked | undefined
  /** When the later sample was taken, in Unix seconds. */
  readonly takenAtSeconds: number
}

/**
 * Why packets were dropped. `exhausted`: most searches for a NAT port fail. `exhausted_by_counters`: the same, in a
 * range that no fresh listing shows. `filling`: some of them fail. `race`: two packets took one free port.
 * `race_or_small_range`: that, or a full range so small that its search meets no taken port. `unclear`: the counters
 * fit several of these, or an entry that could not be stored. `table_full`: conntrack has as many entries as it may
 * have. `other`: none of all these.
 */
export type DropCause =
  | 'exhausted'
  | 'exhausted_by_counters'
  | 'filling'
  | 'race'
  | 'race_or_small_range'
  | 'unclear'
  | 'table_full'
  | 'other'

export interface Drops {
  readonly cause: DropCause
  /** Packets dropped since the sample before; 0 where only earlier samples had them. */
  readonly packets: number
  /** The pool behind it, where the listing of the later sample shows it. */
  readonly pool: NatPoolName | undefined
}

/** The alert about exhausted NAT ports asks for the same. */
const EXHAUSTED_PROBABILITY = 0.5
/** Below it a search that fails is so rare that drops have another reason. */
const FAILING_PROBABILITY = 0.01
/** A failed search of more than 128 ports meets so many taken ones (docs/development/nat-model.md#counters). */
const FAILED_SEARCH_COLLISIONS = 128
/** A fifth of 64,512 ports: with fewer entries no search of that range fails. */
const SEARCHED_ENTRIES = 12_900
/** The counts of a sample are not all of the same moment. */
const FULL_TABLE_RATIO = 0.99
/** The family of the ranges, of which a listing shows the first only. */
const RANGES = 'ephemeral_port_nat_range_info'
/** Listings that are further apart do not tell what was between them. */
const APART_SECONDS = 30
/** A NAT that is not strained is listed once a minute, and samples and budget make that later. */
const CALM_LISTING_SECONDS = 75
/** No pool has more ports than there are entries: below this share of the smallest range no search fails. */
const CALM_RATIO = 0.2

/**
 * Judges why packets were dropped. Where nothing was dropped, where a counter began anew, and where there is no sample
 * before, only the counters of the last minutes tell.
 */
export function judgeDrops({ now, before, takenAtSeconds }: Course): readonly Drops[] {
  const grown = countGrowth(now, before)
  if (grown === undefined || before === undefined || grown.insertFailed === 0) {
    const lasting = isRangeFull(now) ? [judgeLasting({ now, before, takenAtSeconds })] : []
    return [...lasting, ...judgeOthers(grown, now, before)]
  }
  return [judgeFailed(grown, { now, before, takenAtSeconds }), ...judgeOthers(grown, now, before)]
}

/** Drops of the last minutes, of which none is new. */
function judgeLasting(course: Course): Drops {
  const worst = isListedLately(course) ? worstPool({ ...course, before: undefined }) : undefined
  return worst !== undefined && worst.ratio > EXHAUSTED_PROBABILITY
    ? { cause: 'exhausted', packets: 0, pool: worst.pool }
    : { cause: 'exhausted_by_counters', packets: 0, pool: undefined }
}

/** Drops that no failed search explains. */
function judgeOthers(
  grown: Growth | undefined,
  now: Tracked,
  before: Tracked | undefined,
): readonly Drops[] {
  if (grown === undefined) return []
  const others = grown.dropped - grown.insertFailed
  if (others <= 0) return []
  const isFull = isTableFull(now) || (before !== undefined && isTableFull(before))
  return [{ cause: isFull ? 'table_full' : 'other', packets: others, pool: undefined }]
}

/** Races since the sample before that cost no packet; 0 where that is not known. */
export function countResolvedRaces({ now, before }: Course): number {
  return countGrowth(now, before)?.clashesResolved ?? 0
}

/**
 * Whether searches meet so many taken ports that their range is half full or more, or its taken ports stand together,
 * where no listing of the last minute says it. Every connection since the sample before still has its entry, and met f
 * / (1 - f) taken ports where the share f is taken and spread.
 */
export function isSearchingLong(course: Course): boolean {
  const { now, before } = course
  const grown = countGrowth(now, before)
  if (grown === undefined || grown.insertFailed > 0 || isListedLately(course)) return false
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
 * Two listings tell a pool that fails, where both are of this time. Or the counters of the last minutes do, of a range
 * that is not listed. Without such a pool the listings leave only races, unless a range may be other than listed, or
 * searches met as many taken ports as if all of them had failed. Packets that `drop` does not count were no races:
 * their entries could not be stored.
 */
function judgeFailed(grown: Growth, course: Course & { readonly before: Tracked }): Drops {
  const packets = grown.insertFailed
  const { now, before } = course
  const worst = areListingsFresh(course) ? worstPool(course) : undefined
  const { ratio = 0 } = worst ?? {}
  const isRecent = worst !== undefined && now.nat?.failureProbabilities.includes(worst)
  const pool = isRecent ? worst.pool : undefined
  if (ratio > EXHAUSTED_PROBABILITY) return { cause: 'exhausted', packets, pool }
  const drops = (cause: DropCause): Drops => ({ cause, packets, pool: undefined })
  if (isRangeFull(now)) return drops('exhausted_by_counters')
  if (ratio >= FAILING_PROBABILITY) return { cause: 'filling', packets, pool }
  const isNoPool = worst !== undefined || isCalm(course)
  if (packets > grown.dropped) return drops('unclear')
  // The rules of a sample's counters are those of the listing before it: the later ones are known where the first are
  // not.
  const isIpv4 = now.conntrack?.translatesIpv6 === false
  const least = Math.min(leastCollisions(now), leastCollisions(before))
  if (isNoPool && isIpv4 && grown.collisions < packets * least) return drops('race')
  const isRare = now.conntrack?.dropSignature !== 'unclear'
  return drops(grown.collisions < packets && isRare ? 'race_or_small_range' : 'unclear')
}

/** A listing is kept for minutes: one that both samples have says nothing of the time between them. */
function areListingsFresh({ now, before }: Course): boolean {
  const apartSeconds = (now.nat?.readAtSeconds ?? 0) - (before?.nat?.readAtSeconds ?? Infinity)
  return apartSeconds > 0 && apartSeconds <= APART_SECONDS
}

/** The most likely to fail in either listing; of equals the one of the later listing. */
function worstPool({ now, before }: Course): NatState['failureProbabilities'][number] | undefined {
  return [now, before]
    .flatMap((one) => one?.nat?.failureProbabilities ?? [])
    .toSorted((left, right) => right.ratio - left.ratio)[0]
}

/** Whether so few entries were there in both samples that no listed range can have been short of ports. */
function isCalm(course: Course): boolean {
  const { now, before } = course
  if (now.nat === undefined || before?.nat === undefined || !isListedLately(course)) return false
  const entries = [now, before].map(({ conntrack }) => conntrack?.entries ?? Infinity)
  const smallest = Math.min(smallestRange(now.nat), smallestRange(before.nat))
  return Math.max(...entries) < CALM_RATIO * smallest
}

function isListedLately({ now: { nat }, takenAtSeconds }: Course): boolean {
  return nat !== undefined && takenAtSeconds - nat.readAtSeconds <= CALM_LISTING_SECONDS
}

/** How many taken ports every search of the listed ranges that fails meets at least; 0 where that is not known. */
function leastCollisions({ nat }: Tracked): number {
  if (nat === undefined) return 0
  const isKnown = nat.ranges.every(({ origin }) => origin === 'rule' || origin === 'option')
  if (!isKnown || (nat.truncated[RANGES] ?? 0) > 0) return 0
  const smallest = smallestRange(nat)
  return smallest > NAT_SEARCH.largestWindow
    ? FAILED_SEARCH_COLLISIONS
    : Math.max(0, smallest - NAT_SEARCH.evictingTries)
}

/** Counts the ports of the smallest range; 0 where there is none. */
function smallestRange({ ranges }: NatState): number {
  if (ranges.length === 0) return 0
  return Math.min(...ranges.map(({ firstPort, lastPort }) => lastPort - firstPort + 1))
}

function isRangeFull({ conntrack }: Tracked): boolean {
  return conntrack?.dropSignature === 'range_full'
}

function isTableFull({ conntrack }: Tracked): boolean {
  const { entries = 0, limitEntries = Number.POSITIVE_INFINITY } = conntrack ?? {}
  return entries >= FULL_TABLE_RATIO * limitEntries
}
