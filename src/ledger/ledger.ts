// The books of failed allocations: ledger x reading -> ledger, ledger -> AllocationFailures. Pure. Kept by the main
// thread, so that the counters survive the worker. What the kernel counted is compared with what is in the books
// already, so nothing counts twice, and what a dead worker took with it still counts, without its destination.

import { shareOut } from '../model/share-out.ts'
import { ELSEWHERE, type FailureReading } from '../sample.ts'
import type { AllocationFailures } from '../snapshot.ts'
import {
  type Account,
  bookFailures,
  emptyAccount,
  type Publication,
  publishAccount,
  renderAccount,
} from './account.ts'
import type { Locate } from './locate.ts'

export interface FailureLedger {
  /** What RingCount.gone was when it was last booked, by CPU. */
  readonly gone: ReadonlyMap<number, number>
  /** Accounts by the key of the namespace. */
  readonly accounts: ReadonlyMap<string, Account>
  /** Failures of threads whose namespace nothing tells. */
  readonly unknown: Account
  /** When it was advanced last; undefined before the first time. */
  readonly atSeconds: number | undefined
}

export const emptyLedger: FailureLedger = {
  gone: new Map(),
  accounts: new Map(),
  unknown: emptyAccount,
  atSeconds: undefined,
}

/** A sample that comes later than expected by less than that part of the interval is in time. */
const TOLERATED_DELAY = 0.1

export interface LedgerInput {
  /** Seconds of a clock that never steps. */
  readonly atSeconds: number
  /** How long a new pair is shown as 0, one sample at least. */
  readonly holdSeconds: number
  readonly reading: FailureReading
  /** The keys of the namespaces that exist; accounts of others are closed. */
  readonly present: Iterable<string>
  /** The keys of those whose series this sample publishes. */
  readonly published: Iterable<string>
  /** Where a failure must have been that its thread does not tell any more. */
  readonly locate?: Locate | undefined
}

/** What belongs to nobody, or to a namespace that went before it was published, is booked as unknown. */
export function advanceLedger(ledger: FailureLedger, input: LedgerInput): FailureLedger {
  const present = new Set(input.present)
  const entries = locateEntries(input, present)
  const byCpu = groupBy(entries, ({ cpu }) => cpu)
  const gone = new Map(ledger.gone)
  for (const ring of input.reading.rings) {
    const { cpu, strangers } = ring
    const here = byCpu.get(cpu) ?? []
    const decoded = sumCounts(here)
    // Somebody who clears the rings by hand sets their counters back to 0.
    const before = gone.get(cpu) ?? 0
    const recorded = ring.gone - (ring.gone < before ? 0 : before) - strangers
    gone.set(cpu, ring.gone)
    entries.push(...shareLost(here, { cpu, lost: recorded - decoded }))
  }

  const published = new Set(input.published)
  const publication = planPublication(ledger, input)
  const byNamespace = groupBy(entries, ({ netns }) => netns)
  const accounts = new Map<string, Account>()
  for (const key of present) {
    const before = ledger.accounts.get(key) ?? emptyAccount
    const booked = bookFailures(before, byNamespace.get(key) ?? [], input.atSeconds)
    accounts.set(key, published.has(key) ? publishAccount(booked, publication) : booked)
  }
  const closed = [...ledger.accounts].filter(([key]) => !present.has(key))
  const strays = [
    ...(byNamespace.get(undefined) ?? []),
    ...closed.map(([, { total }]) => ({ ...nothingKnown, count: total.due })),
  ].filter(({ count }) => count > 0)
  const unknown = publishAccount(bookFailures(ledger.unknown, strays, input.atSeconds), publication)
  return { gone, accounts, unknown, atSeconds: input.atSeconds }
}

/** Undefined where the series of that namespace have not been published yet. */
export function renderFailures(ledger: FailureLedger, key: string): AllocationFailures | undefined {
  const account = ledger.accounts.get(key)
  return account && renderAccount(account)
}

export function renderUnknownFailures(ledger: FailureLedger): AllocationFailures | undefined {
  return renderAccount(ledger.unknown)
}

/** A pair counts in the last sample that is not too late for it: the next is as far away as the one before. */
function planPublication(
  { atSeconds: before }: FailureLedger,
  { atSeconds, holdSeconds }: LedgerInput,
): Publication {
  const interval = atSeconds - (before ?? atSeconds)
  return { atSeconds, bornBySeconds: atSeconds + (1 - TOLERATED_DELAY) * interval - holdSeconds }
}

/** One event's part, or with `lost` failures that nothing but their number is known of. */
export interface Entry {
  readonly cpu: number
  /** Undefined: booked as unknown. */
  readonly netns: string | undefined
  readonly destination: string | undefined
  readonly owner: string | undefined
  readonly count: number
}

const nothingKnown = { destination: undefined, owner: undefined } as const

function locateEntries(input: LedgerInput, present: ReadonlySet<string>): Entry[] {
  return input.reading.events.map((event): Entry => {
    const told = event.netns ?? input.locate?.(event)
    const netns = told === ELSEWHERE || (told !== undefined && present.has(told)) ? told : undefined
    const { cpu, destination, owner, count } = event
    return { cpu, netns, destination, owner, count }
  })
}

/**
 * A ring overflows with what is in it: the overwritten events are shared out among the namespaces as those that were
 * left. Of none the destination is invented.
 */
function shareLost(
  entries: readonly Entry[],
  { cpu, lost }: { readonly cpu: number; readonly lost: number },
): Entry[] {
  if (lost <= 0) return []
  const byNamespace = groupBy(entries, ({ netns }) => netns)
  const keys = [...byNamespace.keys()]
  const weights = [...byNamespace.values()].map(sumCounts)
  const parts = keys.length === 0 ? [lost] : shareOut(lost, weights)
  return parts.map((count, index) => ({
    cpu,
    netns: keys[index],
    ...nothingKnown,
    count,
  }))
}

function sumCounts(entries: readonly Entry[]): number {
  return entries.reduce((sum, { count }) => sum + count, 0)
}

/** Map.groupBy() of Node 21. */
function groupBy<T, K>(items: readonly T[], keyOf: (item: T) => K): ReadonlyMap<K, readonly T[]> {
  const groups = new Map<K, T[]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  return groups
}
