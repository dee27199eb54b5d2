// The diagnosis that page, command line and JSON render: Snapshot, the one before and a few facts -> Diagnosis. Pure.

import type { Namespace, NamespaceState, PoolName, Snapshot } from '../snapshot.ts'
import { findCollectors } from './collectors.ts'
import { listDropSeverities } from './exposure-conntrack.ts'
import { openingRate } from './exposure-pools.ts'
import { checks } from './exposures.ts'
import { type Finding, type HostFacts, joinFindings, type Patient } from './finding.ts'
import { diagnosePool, type PoolDiagnosis } from './pool-diagnosis.ts'
import { hidesSockets, judgePool, type Severity, severityOf, worstOf } from './severity.ts'
import { findUnreadable } from './unreadable.ts'
import { renderCount } from './words.ts'

export interface Diagnosis {
  readonly takenAtSeconds: number
  /**
   * The severity of pools and of namespaces that cannot be read or not be seen in full. What will bite later is in
   * `findings`.
   */
  readonly severity: Severity
  /** The verdict in a sentence without a full stop. */
  readonly headline: string
  readonly namespaces: { readonly total: number; readonly unread: number }
  /** Connections a second that each namespace opened since the sample before, where that is known. */
  readonly openingRates: Readonly<Record<string, number>>
  /**
   * Namespaces where conntrack has dropped new connections since the sample before, as no NAT port or no entry was
   * free.
   */
  readonly dropping: readonly string[]
  /**
   * Others where packets were dropped since then, perhaps as no NAT port was free: they cannot be said to have enough.
   */
  readonly doubted: readonly string[]
  /** Pools that are not well, worst first. */
  readonly pools: readonly PoolDiagnosis[]
  /** What cannot be read, and what the machine is exposed to, worst first; what is ok is last. */
  readonly findings: readonly Finding[]
}

/** `before` tells what has happened since; undefined for a first sample. */
export function diagnose(
  snapshot: Snapshot,
  facts: HostFacts,
  before?: Snapshot | undefined,
): Diagnosis {
  const inodes = new Map(snapshot.namespaces.map(({ netns, inode }) => [netns, inode]))
  // A name may have passed to another namespace since, whose counters are others.
  const known = before?.namespaces.filter(({ netns, inode }) => inodes.get(netns) === inode)
  const earlier = new Map(known?.map((one) => [one.netns, one]))
  const present = snapshot.namespaces.filter(({ failure }) => failure?.reason !== 'vanished')
  const pools = present
    .flatMap((namespace) => diagnosePools(namespace, earlier.get(namespace.netns)))
    .toSorted(comparePools)
  const unreadable = findUnreadable(snapshot)
  const exposures = present.flatMap((namespace) => {
    const { state } = namespace
    if (state === undefined) return []
    const patient = createPatient(namespace, state, { snapshot, facts, earlier })
    const found = checks.flatMap((check) => check(patient))
    return namespace.detailed ? found : found.filter(({ severity }) => severity !== 'ok')
  })
  const drops = present.map((one) => ({
    netns: one.netns,
    severity: worstOf(
      listDropSeverities({
        now: one,
        before: earlier.get(one.netns),
        takenAtSeconds: snapshot.takenAtSeconds,
      }),
    ),
  }))
  const listDrops = (wanted: Severity) =>
    drops.flatMap(({ netns, severity }) => (severity === wanted ? [netns] : []))
  const [dropping, doubted] = [listDrops('critical'), listDrops('warning')]
  const unread = present.filter(({ state }) => state === undefined).length
  return {
    takenAtSeconds: snapshot.takenAtSeconds,
    severity: worstOf([
      ...[...pools, ...unreadable].map(({ severity }) => severity),
      ...present.map(({ state }) => (hidesSockets(state) ? 'note' : 'ok')),
      ...drops.map(({ severity }) => (severity === 'note' ? 'ok' : severity)),
    ]),
    headline: renderHeadline(pools, {
      total: present.length,
      unread,
      blind: present.filter(({ state }) => hidesSockets(state)).length,
      dropping: dropping.length,
      doubted: doubted.length,
    }),
    namespaces: { total: present.length, unread },
    openingRates: Object.fromEntries(
      present.flatMap(({ netns, state }) => {
        const rate = state && openingRate({ state, before: earlier.get(netns)?.state })
        return rate === undefined ? [] : [[netns, rate] as const]
      }),
    ),
    dropping,
    doubted,
    pools,
    findings: joinFindings([...unreadable, ...findCollectors(snapshot), ...exposures]),
  }
}

function diagnosePools(
  namespace: Namespace,
  before: Namespace | undefined,
): readonly PoolDiagnosis[] {
  const { state } = namespace
  return (state?.pools ?? []).flatMap((pool) => {
    const failedAllocations = countFailed(namespace, before, pool.pool)
    const isFailing = failedAllocations !== undefined && failedAllocations > 0
    if (state === undefined || (judgePool(pool).severity === 'ok' && !isFailing)) return []
    return [diagnosePool(namespace, state, { pool, failedAllocations })]
  })
}

/** Undefined where failures are not observed, or were not one sample ago. */
function countFailed(
  now: Namespace,
  before: Namespace | undefined,
  pool: PoolName,
): number | undefined {
  const total = (one: Namespace | undefined) =>
    one?.allocationFailures?.pools.find((row) => row.pool === pool)?.total
  const [last, first] = [total(now), total(before)]
  return last === undefined || first === undefined ? undefined : Math.max(0, last - first)
}

function createPatient(
  namespace: Namespace,
  state: NamespaceState,
  {
    snapshot,
    facts,
    earlier,
  }: {
    readonly snapshot: Snapshot
    readonly facts: HostFacts
    readonly earlier: ReadonlyMap<string, Namespace>
  },
): Patient {
  return {
    namespace,
    state,
    takenAtSeconds: snapshot.takenAtSeconds,
    earlier: earlier.get(namespace.netns),
    facts,
    exactWorks: snapshot.namespaces.some((one) => one.state?.readerIsExact),
    own: namespace === snapshot.namespaces[0],
    hasPods: snapshot.namespaces.some(({ netnsKind }) => netnsKind === 'pod'),
  }
}

/** The worst first: by severity, then what fails, then what fails soonest, then the fullest. */
function comparePools(a: PoolDiagnosis, b: PoolDiagnosis): number {
  const soon = ({ etaSeconds = Number.MAX_VALUE, availablePorts }: PoolDiagnosis) =>
    availablePorts <= 0 ? 0 : etaSeconds
  return (
    severityOf(b.severity) - severityOf(a.severity) ||
    (b.failedAllocations ?? 0) - (a.failedAllocations ?? 0) ||
    soon(a) - soon(b) ||
    b.utilizationRatio - a.utilizationRatio ||
    (a.netns < b.netns ? -1 : 1)
  )
}

function renderHeadline(
  pools: readonly PoolDiagnosis[],
  {
    total,
    unread,
    blind,
    dropping,
    doubted,
  }: Diagnosis['namespaces'] & Readonly<Record<'blind' | 'dropping' | 'doubted', number>>,
): string {
  const count = (matches: (pool: PoolDiagnosis) => boolean) =>
    new Set(pools.filter(matches).map(({ netns }) => netns)).size
  const of = (some: number, one: string, many: string) =>
    `${some} of ${renderCount(total, 'namespace')} ${some === 1 ? one : many}`
  const failing = count(({ verdict, pool }) => verdict === 'exhausted' && pool !== 'tcp_bind')
  const unreadWords = unread === 0 ? '' : `, ${unread} cannot be read`
  if (total === 0) return 'No namespace is known yet'
  if (unread === total)
    return total === 1 ? 'The namespace cannot be read' : 'No namespace can be read'
  if (failing > 0) return `${of(failing, 'has', 'have')} no port left${unreadWords}`
  const dropAny = (some: number) =>
    total === 1 ? 'The namespace drops' : of(some, 'drops', 'drop')
  if (dropping > 0) return `${dropAny(dropping)} new connections${unreadWords}`
  const risky = count(({ verdict }) => verdict === 'at_risk')
  if (risky > 0) return `${of(risky, 'is', 'are')} about to run out of ports${unreadWords}`
  if (doubted > 0) return `${dropAny(doubted)} packets and may lack NAT ports${unreadWords}`
  const watched = count(() => true)
  if (watched > 0) return `${of(watched, 'needs', 'need')} watching${unreadWords}`
  if (blind > 0) {
    const where = total === 1 ? '' : ` in ${blind} of ${total} namespaces`
    return `No shortage of ports is in sight, but sockets that are only bound cannot be seen${where}${unreadWords}`
  }
  const well = total - unread
  if (total === 1) return 'The namespace has enough ports'
  return unread === 0
    ? `All ${total} namespaces have enough ports`
    : `${of(well, 'has', 'have')} enough ports${unreadWords}`
}
