// How bad it is: the only place where thresholds of the diagnosis are defined. Pool -> verdict. Pure.

import type { NamespaceState, Pool } from '../snapshot.ts'
import { renderDuration } from './words.ts'

export type Severity = 'ok' | 'note' | 'warning' | 'critical'

/** What a pool is heading for: well, nearly full, about to fail, failing. */
export type Verdict = 'ok' | 'watch' | 'at_risk' | 'exhausted'

export const thresholds = {
  critical: { utilizationRatio: 0.95, riskRatio: 0.75, etaSeconds: 15 * 60 },
  warning: { utilizationRatio: 0.8, riskRatio: 0.2 },
} as const

export interface Judgement {
  readonly verdict: Verdict
  readonly severity: Severity
}

/**
 * The bind pool says something only once exhausted: many destinations fill it on a healthy host, where few programs
 * ever bind to port 0. Where programs that bind have filled it, they fail. Where risk is unknown, utilization alone
 * decides.
 */
export function judgePool(pool: Pool): Judgement {
  const { critical, warning } = thresholds
  const { riskRatio = 0, etaSeconds = Number.POSITIVE_INFINITY, utilizationRatio } = pool
  const exhausted = pool.availablePorts <= 0
  if (pool.pool === 'tcp_bind') {
    if (!exhausted) return { verdict: 'ok', severity: 'ok' }
    const isBound =
      pool.cause?.cause === 'bound_idle' || pool.cause?.cause === 'bind_before_connect'
    return { verdict: 'exhausted', severity: isBound ? 'critical' : 'warning' }
  }
  if (exhausted) return { verdict: 'exhausted', severity: 'critical' }
  const soon =
    riskRatio >= critical.riskRatio &&
    etaSeconds < critical.etaSeconds &&
    utilizationRatio >= warning.utilizationRatio
  if (soon) return { verdict: 'at_risk', severity: 'critical' }
  if (utilizationRatio >= critical.utilizationRatio)
    return { verdict: 'watch', severity: 'critical' }
  if (riskRatio >= warning.riskRatio) return { verdict: 'at_risk', severity: 'warning' }
  const watched =
    utilizationRatio >= warning.utilizationRatio || pool.slow === true || mayBeFull(pool)
  return watched ? { verdict: 'watch', severity: 'warning' } : { verdict: 'ok', severity: 'ok' }
}

/**
 * Whether all but a few ports may be closed although they count as available: the kernel does not list which
 * connections were bound first, and those close their port to every destination.
 */
export function mayBeFull({ availablePorts, uncertainPorts = 0, capacityPorts }: Pool): boolean {
  const surePorts = availablePorts - uncertainPorts
  return (
    uncertainPorts > 0 && surePorts <= capacityPorts * (1 - thresholds.critical.utilizationRatio)
  )
}

/** Whether sockets that only hold a port cannot be seen: nobody can say then that all is well. */
export function hidesSockets(state: NamespaceState | undefined): boolean {
  return state?.exactness === 'upper_bound'
}

/** What the exit status of `status` and `doctor` means, for --help and from the same thresholds. */
export function describeExitStatus(): readonly (readonly [number, string])[] {
  const { critical, warning } = thresholds
  return [
    [0, 'healthy'],
    [
      1,
      `warning: any pool but tcp_bind at ${warning.utilizationRatio * 100} % or more, risk ${warning.riskRatio} or more, ` +
        'connect() slow, tcp_bind exhausted, or one of several namespaces could not be read although that is permitted; of ' +
        '"doctor" also any warning',
    ],
    [
      2,
      `critical: any pool but tcp_bind exhausted or at ${critical.utilizationRatio * 100} % or more, tcp_bind exhausted by programs that bind, or risk ` +
        `${critical.riskRatio} or more at ${warning.utilizationRatio * 100} % or more with exhaustion expected within ${renderDuration(critical.etaSeconds)}`,
    ],
    [3, 'nothing could be read or written, or bad usage'],
  ]
}

const order: readonly Severity[] = ['ok', 'note', 'warning', 'critical']

export function severityOf(severity: Severity): number {
  return order.indexOf(severity)
}

/** The worst of them; ok for none. */
export function worstOf(severities: readonly Severity[]): Severity {
  return severities.reduce(
    (worst, one) => (severityOf(one) > severityOf(worst) ? one : worst),
    'ok',
  )
}
