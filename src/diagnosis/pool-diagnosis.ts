// One pool that is not well: what is the matter, how soon, because of whom, and what to do. Pure.

import type {
  CauseName,
  Destination,
  Namespace,
  NamespaceState,
  Pool,
  PoolName,
} from '../snapshot.ts'
import { isGuess, renderChurn, renderHeld, renderMeaning, renderOwner } from './cause-words.ts'
import { listRemedies, type Remedy } from './remedies.ts'
import {
  hidesSockets,
  type Judgement,
  judgePool,
  mayBeFull,
  type Severity,
  thresholds,
  type Verdict,
} from './severity.ts'
import { renderCount, renderDuration, renderNumber, renderRisk } from './words.ts'

export interface PoolDiagnosis {
  readonly netns: string
  readonly pool: PoolName
  readonly verdict: Verdict
  readonly severity: Severity
  readonly capacityPorts: number
  readonly availablePorts: number
  readonly utilizationRatio: number
  readonly riskRatio: number | undefined
  readonly etaSeconds: number | undefined
  /** connect() costs milliseconds of CPU. */
  readonly slow: boolean
  /** Allocations that failed since the sample before; undefined where they cannot be observed. */
  readonly failedAllocations: number | undefined
  readonly destination: Destination | undefined
  readonly cause:
    | {
        readonly cause: CauseName
        readonly ports: number
        /** Share of the ports that are not available, 0 to 1. */
        readonly shareRatio: number
        readonly owner: string | undefined
      }
    | undefined
  /** `0 of 400 ports left to 10.0.0.9:443`. */
  readonly headline: string
  /** `400 of 400 ports are in CLOSE_WAIT, held by payments (PID 7, node)`. */
  readonly because: string | undefined
  /** Why that fills the pool, in a sentence or two. */
  readonly explanation: string
  /** `failing now`, or `expected in 4m`. */
  readonly when: string | undefined
  readonly remedies: readonly Remedy[]
  readonly runbookUrl: string
}

const RUNBOOKS =
  'https://github.com/ephemeral-port-exporter/ephemeral-port-exporter/blob/main/deploy/prometheus/runbooks/'

/** What asks the pool for a port and what it gets once there is none. */
const failureOf: Readonly<Record<PoolName, string>> = {
  tcp_connect: 'connect() fails with EADDRNOTAVAIL',
  tcp_bind: 'bind() to port 0 fails with EADDRINUSE',
  udp: 'sending and connecting over UDP fail with EAGAIN, DNS lookups first',
  nat_tcp: 'connections through the NAT are dropped and hang',
  nat_udp: 'datagrams of new flows through the NAT are dropped',
}

/** Pages in deploy/prometheus/runbooks. */
interface Runbooks {
  readonly exhausted: string
  readonly atRisk: string
  /** The page of all other verdicts. */
  readonly full: string
}

/** The page of a pool that nothing but ports in doubt makes one to watch. */
const IN_DOUBT = 'EphemeralPortPoolMayBeFull'

const ofSockets: Runbooks = {
  exhausted: 'EphemeralPortExhausted',
  atRisk: 'EphemeralPortExhaustionPredicted',
  full: 'EphemeralPortPoolAlmostFull',
}

const ofNat: Runbooks = {
  exhausted: 'EphemeralPortNatPortsExhausted',
  atRisk: 'EphemeralPortNatPortsFillingUp',
  full: 'EphemeralPortNatPortsFillingUp',
}

const runbooksOf: Readonly<Record<PoolName, Runbooks>> = {
  tcp_connect: ofSockets,
  tcp_bind: ofSockets,
  udp: ofSockets,
  nat_tcp: ofNat,
  nat_udp: ofNat,
}

/** `failedAllocations` of the namespace and pool since the sample before. */
export function diagnosePool(
  namespace: Namespace,
  state: NamespaceState,
  {
    pool: reported,
    failedAllocations,
  }: { readonly pool: Pool; readonly failedAllocations: number | undefined },
): PoolDiagnosis {
  const { verdict, severity } = judgeFailing(judgePool(reported), state, failedAllocations)
  const isInDoubt = isOnlyInDoubt(verdict, reported)
  const pool = isInDoubt ? assumeWorst(state, reported) : reported
  const { cause } = pool
  const usedPorts = pool.capacityPorts - pool.availablePorts
  const owner = renderOwner(namespace, cause?.owners[0])
  return {
    netns: namespace.netns,
    pool: pool.pool,
    verdict,
    severity,
    capacityPorts: pool.capacityPorts,
    availablePorts: pool.availablePorts,
    utilizationRatio: pool.utilizationRatio,
    riskRatio: pool.riskRatio,
    etaSeconds: pool.etaSeconds,
    slow: pool.slow === true,
    failedAllocations,
    destination: pool.worstDestination,
    cause: cause && {
      cause: cause.cause,
      ports: cause.ports,
      shareRatio: usedPorts === 0 ? 0 : cause.ports / usedPorts,
      owner,
    },
    headline: renderHeadline(pool),
    because:
      cause && `${renderHeld(cause, pool)}${owner === undefined ? '' : `, held by ${owner}`}`,
    explanation: renderExplanation(state, pool),
    when: renderWhen(pool, failedAllocations),
    remedies: severity === 'ok' ? [] : listRemedies({ namespace, state, pool }),
    runbookUrl: `${RUNBOOKS}${isInDoubt ? IN_DOUBT : runbookOf(verdict, pool.pool)}.md`,
  }
}

/** Whether nothing but ports in doubt makes the pool one to watch. */
function isOnlyInDoubt(verdict: Verdict, pool: Pool): boolean {
  const isFull = pool.utilizationRatio >= thresholds.warning.utilizationRatio
  return verdict === 'watch' && mayBeFull(pool) && pool.slow !== true && !isFull
}

/**
 * The worst case of a pool that may be full: what is in doubt was bound before it connected, or cannot be recycled
 * where TIME_WAITs hold most ports.
 */
function assumeWorst(state: NamespaceState, pool: Pool): Pool {
  const connections = state.pools.find((one) => one.pool === 'tcp_bind')?.cause
  const isWaiting = connections?.cause === 'churn' && (pool.reclaimablePorts ?? 0) > 0
  const cause = isWaiting ? 'churn' : 'bind_before_connect'
  const ports = pool.uncertainPorts ?? 0
  return { ...pool, cause: { cause, ports, owners: connections?.owners ?? [] } }
}

/** Failures are no news of a destination elsewhere where the ports that fail may be held by what nobody sees. */
function judgeFailing(judged: Judgement, state: NamespaceState, failedAllocations = 0): Judgement {
  const isBlind = judged.severity === 'ok' && failedAllocations > 0 && hidesSockets(state)
  return isBlind ? { ...judged, severity: 'warning' } : judged
}

function renderHeadline(pool: Pool): string {
  const least = mayBeFull(pool)
    ? `${renderNumber(pool.availablePorts - (pool.uncertainPorts ?? 0))} to `
    : ''
  const left = `${least}${renderNumber(pool.availablePorts)} of ${renderCount(pool.capacityPorts, 'port')} left`
  const { worstDestination: worst } = pool
  if (pool.pool === 'udp') return `${left} for UDP`
  if (pool.pool === 'tcp_bind') return `${left} for bind() to port 0`
  return worst === undefined ? left : `${left} to ${worst.destination} from ${worst.source}`
}

function renderExplanation(state: NamespaceState, pool: Pool): string {
  const { cause, slow } = pool
  const parts = cause === undefined ? [] : [renderMeaning(cause)]
  if (cause?.cause === 'churn') parts.push(renderChurn(state, pool))
  if (mayBeFull(pool) && cause?.cause === 'bind_before_connect') {
    parts.push(
      'The kernel does not list which those are: the exporter can tell with CAP_BPF and CAP_PERFMON, or with --collector.probe.',
    )
  }
  if (cause?.cause === 'churn' && isGuess(cause, pool)) {
    parts.push(
      'The kernel recycles a TIME_WAIT only where the peer has TCP timestamps, which no listing shows. Counted failures tell.',
    )
  }
  if (slow && pool.availablePorts > 0) {
    parts.push(
      'connect() is slow: it searches the half of the range that it tries first in vain, which costs milliseconds.',
    )
  }
  return parts.filter((part) => part !== '').join(' ')
}

function renderWhen(one: Pool, failedAllocations = 0): string | undefined {
  const { pool, availablePorts, uncertainPorts = 0, etaSeconds, riskRatio } = one
  const failed =
    failedAllocations > 0
      ? `, ${renderCount(failedAllocations, 'failure')} since the last sample`
      : ''
  if (availablePorts <= 0) return `failing now: ${failureOf[pool]}${failed}`
  if (failed !== '') return `failing now and then${failed}`
  if (mayBeFull(one) && availablePorts <= uncertainPorts)
    return `perhaps failing: ${failureOf[pool]}`
  if (etaSeconds !== undefined) {
    return `expected to fail in ${renderDuration(etaSeconds)} (risk ${renderRisk(riskRatio)})`
  }
  return riskRatio === undefined || riskRatio === 0 ? undefined : `risk ${renderRisk(riskRatio)}`
}

function runbookOf(verdict: Verdict, pool: PoolName): string {
  const { exhausted, atRisk, full } = runbooksOf[pool]
  if (verdict === 'exhausted') return exhausted
  return verdict === 'at_risk' ? atRisk : full
}

/** Lists one pool for each cause of a namespace, the worst, which is first: one remedy helps them all. */
export function listDistinct(pools: readonly PoolDiagnosis[]): readonly PoolDiagnosis[] {
  const first = new Map<string, PoolDiagnosis>()
  for (const one of pools) {
    const key = `${one.netns} ${one.cause?.cause ?? one.pool}`
    if (!first.has(key)) first.set(key, one)
  }
  return [...first.values()]
}
