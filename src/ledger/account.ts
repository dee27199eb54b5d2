// One namespace's counters of failed allocations: account x entries -> account -> AllocationFailures. Pure. A counter
// that is born at 1 hides its first increment from increase() and rate(): every series is published as 0 before it
// counts, so an account tells what is published from what is still to be. The total is there long before anything
// fails. A pair appears with its first failure, and keeps its 0 until a scraper that asks less often than we sample
// has seen it.

import type { AllocationFailures } from '../snapshot.ts'

interface Counter {
  /** The count as published; undefined before the first time. */
  readonly shown: number | undefined
  /** What is added when it is published next, but for the first time and while a pair keeps its 0. */
  readonly due: number
}

interface PairCounter extends Counter {
  readonly destination: string
  readonly owner: string
  /** When it was published first. */
  readonly bornSeconds: number | undefined
  /** When a failure was last booked on it. */
  readonly bookedSeconds: number
}

/** When an account is published, on a clock that never steps. */
export interface Publication {
  readonly atSeconds: number
  /** Pairs that were published by then count. */
  readonly bornBySeconds: number
}

export interface Account {
  readonly total: Counter
  /** Counters by destination and owner, in the order in which they came. */
  readonly pairs: ReadonlyMap<string, PairCounter>
}

/** What is known of some failures of one namespace. */
export interface Booking {
  readonly destination: string | undefined
  readonly owner: string | undefined
  readonly count: number
}

/** Pairs with a series of their own. */
const LARGEST_PAIRS = 50
/** A pair that has not failed for so long makes room for a new one: each restart of a pod makes a pair. */
const RETIRED_AFTER_SECONDS = 3 * 3600
const OTHER = 'other'

export const emptyAccount: Account = { total: { shown: undefined, due: 0 }, pairs: new Map() }

/**
 * Adds failures that were read at `atSeconds`, on a clock that never steps. Failures without a destination, and
 * failures of pairs for which there is no room, are the pair other, other.
 */
export function bookFailures(
  account: Account,
  bookings: readonly Booking[],
  atSeconds: number,
): Account {
  if (bookings.length === 0) return account
  const pairs = new Map(account.pairs)
  let total = account.total
  for (const { destination, owner, count } of mostFirst(bookings)) {
    total = { ...total, due: total.due + count }
    const pair =
      destination === undefined
        ? { destination: OTHER, owner: OTHER }
        : { destination, owner: owner ?? 'unknown' }
    if (!pairs.has(nameOf(pair)) && !hasRoom(pairs)) retireOne(pairs, atSeconds)
    const named = pairs.has(nameOf(pair)) || hasRoom(pairs) ? pair : OTHERS
    const into = pairs.get(nameOf(named)) ?? { ...unborn, ...named }
    pairs.set(nameOf(into), { ...into, due: into.due + count, bookedSeconds: atSeconds })
  }
  return { total, pairs }
}

/** What the next page shows: series that are old enough count what is due, new ones begin at 0. */
export function publishAccount({ total, pairs }: Account, publication: Publication): Account {
  return {
    total: publishCounter(total),
    pairs: new Map([...pairs].map(([key, pair]) => [key, publishPair(pair, publication)])),
  }
}

/** Undefined before it was published. */
export function renderAccount({ total, pairs }: Account): AllocationFailures | undefined {
  if (total.shown === undefined) return undefined
  return {
    pools: [{ pool: 'tcp_connect', total: total.shown }],
    destinations: [...pairs.values()].flatMap(({ destination, owner, shown }) =>
      shown === undefined ? [] : [{ destination, owner, total: shown }],
    ),
  }
}

const OTHERS = { destination: OTHER, owner: OTHER } as const
const unborn = { shown: undefined, due: 0, bornSeconds: undefined } as const

function publishPair(pair: PairCounter, { atSeconds, bornBySeconds }: Publication): PairCounter {
  const { bornSeconds = atSeconds } = pair
  const young = pair.shown !== undefined && bornSeconds > bornBySeconds
  return young ? pair : { ...publishCounter(pair), bornSeconds }
}

function publishCounter<C extends Counter>(counter: C): C {
  if (counter.shown === undefined) return { ...counter, shown: 0 }
  return counter.due === 0 ? counter : { ...counter, shown: counter.shown + counter.due, due: 0 }
}

/** The pair other, other takes nobody's room. */
function hasRoom(pairs: ReadonlyMap<string, PairCounter>): boolean {
  return pairs.size - (pairs.has(nameOf(OTHERS)) ? 1 : 0) < LARGEST_PAIRS
}

/** Takes out the pair that has been silent for longest, if that is long enough. */
function retireOne(pairs: Map<string, PairCounter>, atSeconds: number): void {
  let oldest: PairCounter | undefined
  for (const pair of pairs.values()) {
    if (pair.destination === OTHER && pair.owner === OTHER) continue
    if (pair.bookedSeconds < (oldest?.bookedSeconds ?? Infinity)) oldest = pair
  }
  if (oldest !== undefined && atSeconds - oldest.bookedSeconds > RETIRED_AFTER_SECONDS) {
    pairs.delete(nameOf(oldest))
  }
}

function nameOf({ destination, owner }: { destination: string; owner: string }): string {
  return `${destination} ${owner}`
}

/** Sorts the pairs that come in one sample: those with the most failures take the room that is left. */
function mostFirst(bookings: readonly Booking[]): Booking[] {
  const merged = new Map<string, Booking>()
  for (const booking of bookings) {
    const key = `${booking.destination ?? ''} ${booking.owner ?? ''}`
    const before = merged.get(key)
    merged.set(key, before ? { ...before, count: before.count + booking.count } : booking)
  }
  const ordered = [...merged].toSorted(
    ([keyA, a], [keyB, b]) => b.count - a.count || (keyA < keyB ? -1 : 1),
  )
  return ordered.map(([, booking]) => booking)
}
