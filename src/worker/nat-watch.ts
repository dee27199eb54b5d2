// The worker's side of the nat collector: counts conntrack in every namespace, and lists the entries of those that may
// be running out of ports, within the budget.

import { smallestNatRange } from '../model/nat/ranges.ts'
import { advanceSignature } from '../model/nat/signature.ts'
import type { NatStep } from '../model/nat/step.ts'
import type { Conntrack, Namespaces } from '../namespaces/namespaces.ts'
import type { ReadErrorReason } from '../observation.ts'
import type { SamplingSettings } from '../settings.ts'
import type { ConntrackState, ReadError, Snapshot } from '../snapshot.ts'
import type { ConntrackSource } from '../sources/conntrack.ts'
import { spend } from './allowance.ts'
import { type ClientNames, compare } from './client-names.ts'
import { advanceCounters } from './conntrack-counters.ts'
import type { NatMemory } from './nat-memory.ts'
import { judgeReadError } from './read-error.ts'
import type { SampleClocks } from './reading.ts'
import type { Watched } from './watched.ts'

export interface NatWatch {
  /** Call it once a sample, outside every other namespace. */
  read(watched: readonly Watched[], budgetSeconds: number): Promise<void>
  collector(): Snapshot['collectors'][number]
}

export interface NatWatchOptions extends Pick<SamplingSettings, 'natRanges'> {
  readonly namespaces: Pick<Namespaces, 'conntrack' | 'inside'>
  /** Undefined where there is no netlink: then nothing is listed. */
  readonly source: ConntrackSource | undefined
  readonly step: NatStep
  readonly clientNames: ClientNames
  readonly clocks: SampleClocks
}

/**
 * No pool has more ports than the namespace has entries: below this share of the smallest range none can be in trouble.
 */
const STRAINED_RATIO = 0.2
/** A namespace that is not strained is listed that often. */
const CALM_SECONDS = 60
/** What was listed longer ago is not known any more. */
const STALE_SECONDS = 600
const BENIGN: readonly ReadErrorReason[] = ['permission', 'unsupported', 'vanished']
/** A namespace of others with more entries than the kernel's usual limit would take our memory: it is not listed. */
const MOST_FOREIGN_ENTRIES = 262_144
/**
 * Listings may take these shares of the budget of a sample. What they cost too much is owed by the next samples, and
 * what the namespaces of others cost is not owed by the host.
 */
const BUDGET_SHARES = { home: 0.5, foreign: 0.25 } as const
type Purse = keyof typeof BUDGET_SHARES
/** Nothing is begun later than that: a kernel that does not answer costs no CPU. */
const LATE_SECONDS = 5

export function createNatWatch(options: NatWatchOptions): NatWatch {
  const { namespaces, source, step, natRanges, clientNames, clocks } = options
  const credits: Record<Purse, number> = { home: 0, foreign: 0 }
  let problem: string | undefined
  let durationSeconds = 0
  /** Whether clients have been named in this sample. */
  let areNamed = false

  function count({ identity, last }: Watched, now: number): void {
    try {
      last.nat.conntrack = takeCounts(last.nat, namespaces.conntrack(identity.namespace), now)
    } catch (error) {
      last.nat.conntrack = undefined
      note(judgeReadError(error))
    }
  }

  /** What was never permitted, cannot be done, or has gone, is no problem of ours. */
  function note({ reason, message }: ReadError): void {
    if (!BENIGN.includes(reason)) problem = message
  }

  /** Whether a listing is worth its cost now. */
  function isDue(one: Watched, now: number): boolean {
    const { nat } = one.last
    const entries = nat.conntrack?.entries ?? 0
    if (nat.refused || (entries === 0 && nat.state === undefined)) return false
    // Nothing is shown of a namespace without a name, and its clients have none yet either.
    if (one.identity.name === undefined) return false
    if (!isHome(one) && entries > MOST_FOREIGN_ENTRIES) {
      nat.state = undefined
      return false
    }
    const bound = entries / smallestNatRange(nat.source.rules, natRanges)
    const translates = nat.model !== undefined
    const fullest = Math.max(0, ...(nat.state?.pools ?? []).map((pool) => pool.utilizationRatio))
    if (translates && Math.max(bound, fullest) >= STRAINED_RATIO) return true
    if (now - (nat.listedAtSeconds ?? Number.NEGATIVE_INFINITY) < CALM_SECONDS) return false
    const known = nat.listedAtSeconds !== undefined
    const searches = countSearches(nat.conntrack) !== nat.searchesAtListing
    return !known || translates || searches || isHome(one) || bound >= STRAINED_RATIO
  }

  /** Returns the CPU seconds that it cost. */
  async function list(
    open: ConntrackSource,
    one: Watched,
    all: readonly Watched[],
  ): Promise<number> {
    const before = clocks.cpuSeconds()
    const { nat } = one.last
    if (!areNamed && (nat.model !== undefined || nat.listedAtSeconds === undefined)) {
      areNamed = true
      clientNames.refresh(all)
    }
    nat.listedAtSeconds = clocks.monotonicSeconds()
    nat.searchesAtListing = countSearches(nat.conntrack)
    try {
      const learned = namespaces.inside(one.identity.namespace, () =>
        open.read(nat.source, nat.conntrack?.entries ?? 0, (reading) =>
          step(nat.model, reading, {
            atSeconds: clocks.monotonicSeconds(),
            unixSeconds: clocks.unixSeconds(),
            nameClient: clientNames.nameClient,
          }),
        ),
      )
      nat.model = learned?.state
      nat.state = learned?.nat
    } catch (error) {
      const readError = judgeReadError(error)
      nat.state = undefined
      nat.refused = readError.reason === 'permission'
      if (readError.reason === 'unsupported') nat.model = undefined
      note(readError)
    }
    return clocks.cpuSeconds() - before
  }

  return {
    async read(watched, budgetSeconds) {
      const now = clocks.monotonicSeconds()
      problem = undefined
      areNamed = false
      const due: Record<Purse, Watched[]> = { home: [], foreign: [] }
      for (const one of watched) {
        count(one, now)
        if (isDue(one, now)) due[isHome(one) ? 'home' : 'foreign'].push(one)
      }
      if (source !== undefined) {
        const age = ({ last }: Watched) => last.nat.listedAtSeconds ?? Number.NEGATIVE_INFINITY
        const isLate = () => clocks.monotonicSeconds() - now > LATE_SECONDS
        for (const purse of ['home', 'foreign'] as const) {
          const queue = due[purse].sort((a, b) => compare(age(a), age(b)))
          const allowance = budgetSeconds * BUDGET_SHARES[purse]
          const listOne = (one: Watched) => list(source, one, watched)
          credits[purse] = await spend(queue, credits[purse], allowance, listOne, isLate)
        }
      }
      for (const { last } of watched) {
        const { listedAtSeconds = now } = last.nat
        if (now - listedAtSeconds > STALE_SECONDS) last.nat.state = undefined
      }
      durationSeconds = clocks.monotonicSeconds() - now
    },
    collector: () => ({
      collector: 'nat',
      success: problem === undefined,
      durationSeconds,
      problem,
    }),
  }
}

/**
 * The counts, as the same object while nothing has changed. Undefined where nothing was ever tracked: the file is there
 * in every namespace, also where no rule needs conntrack.
 */
function takeCounts(
  memory: NatMemory,
  counts: Conntrack | undefined,
  atSeconds: number,
): ConntrackState | undefined {
  const { conntrack: before, source } = memory
  // The process through which they are read may have ended: what was counted before goes on with the next one.
  if (counts !== undefined) memory.counters = advanceCounters(memory.counters, counts)
  if (counts === undefined || memory.counters === undefined) {
    memory.signature = undefined
    return undefined
  }
  const { found, insertFailed, drop, clashResolve } = memory.counters
  const isTracking =
    counts.entries > 0 ||
    [found, insertFailed, drop, clashResolve].some((counter) => counter?.cpus.some(Boolean))
  if (before === undefined && !isTracking) return undefined
  const totals = {
    collisions: found.total,
    insertFailed: insertFailed.total,
    dropped: drop.total,
  }
  memory.signature = advanceSignature(memory.signature, totals, atSeconds)
  const now: ConntrackState = {
    ...totals,
    entries: counts.entries,
    limitEntries: counts.limit,
    clashesResolved: clashResolve?.total,
    dropSignature: memory.signature.signature,
    translatesIpv6: source.translatesIpv6,
  }
  const same = (Object.keys(now) as (keyof ConntrackState)[]).every(
    (key) => before?.[key] === now[key],
  )
  return same ? before : now
}

/** Mostly source NAT counts these: where they grow it translates, whatever the last listing found. */
function countSearches(conntrack: ConntrackState | undefined): number {
  return (conntrack?.collisions ?? 0) + (conntrack?.insertFailed ?? 0)
}

/** The host, and wherever we are. */
function isHome({ identity: { namespace, name } }: Watched): boolean {
  return namespace.own || name?.netnsKind === 'host'
}
