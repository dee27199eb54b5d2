// How bad it is: the only place where thresholds of the command line are defined. Snapshot -> verdicts. Pure.

import type { Destination, Namespace, Pool, Snapshot } from '../snapshot.ts'
import { renderDuration, renderPercent, renderRisk } from './text.ts'

export type Health = 'ok' | 'warning' | 'critical'

export interface Verdict {
  readonly health: Health
  /** Why, worst first; empty when ok. */
  readonly reasons: readonly string[]
}

export const thresholds = {
  critical: { utilizationRatio: 0.95, riskRatio: 0.5, etaSeconds: 15 * 60 },
  warning: { utilizationRatio: 0.8, riskRatio: 0.2 },
} as const

/**
 * The bind pool warns only once exhausted: many destinations fill it on a healthy host, where few programs ever bind
 * to port 0. Where risk is unknown, utilization alone decides.
 */
export function judgePool(pool: Pool): Verdict {
  const { critical, warning } = thresholds
  const { riskRatio = 0, etaSeconds = Number.POSITIVE_INFINITY, utilizationRatio } = pool
  const exhausted = pool.availablePorts <= 0
  if (pool.pool === 'tcp_bind') {
    return exhausted ? { health: 'warning', reasons: ['exhausted'] } : { health: 'ok', reasons: [] }
  }
  const reasons: [Health, string][] = []
  if (exhausted) reasons.push(['critical', 'exhausted'])
  else if (utilizationRatio >= warning.utilizationRatio) {
    const health = utilizationRatio >= critical.utilizationRatio ? 'critical' : 'warning'
    reasons.push([health, `${renderPercent(utilizationRatio)} used`])
  }
  if (!exhausted && riskRatio >= warning.riskRatio) {
    const soon = riskRatio >= critical.riskRatio && etaSeconds < critical.etaSeconds
    const eta = pool.etaSeconds === undefined ? '' : ` in ${renderDuration(pool.etaSeconds)}`
    reasons.push([
      soon ? 'critical' : 'warning',
      `exhaustion expected${eta} (risk ${renderRisk(riskRatio)})`,
    ])
  }
  if (pool.slow && !exhausted) reasons.push(['warning', 'connect() is slow'])
  const sorted = reasons.toSorted(([a], [b]) => severityOf(b) - severityOf(a))
  return { health: sorted[0]?.[0] ?? 'ok', reasons: sorted.map(([, reason]) => reason) }
}

/** One line for every pool that is not well and every namespace that could not be read, worst first. */
export function judgeSnapshot(snapshot: Snapshot): Verdict {
  const verdicts = snapshot.namespaces.flatMap(judgeNamespace)
  const sorted = verdicts.toSorted((a, b) => severityOf(b.health) - severityOf(a.health))
  return { health: sorted[0]?.health ?? 'ok', reasons: sorted.flatMap(({ reasons }) => reasons) }
}

function judgeNamespace({ netns, state, failure }: Namespace): readonly Verdict[] {
  if (state === undefined) {
    const why = failure === undefined ? '' : `: ${failure.message} (${failure.reason})`
    return [{ health: 'warning', reasons: [`${netns} could not be read${why}`] }]
  }
  return state.pools.map((pool) => {
    const { health, reasons } = judgePool(pool)
    const blame =
      pool.worstDestination === undefined ? '' : ` to ${renderPair(pool.worstDestination)}`
    return {
      health,
      reasons: reasons.length > 0 ? [`${netns} ${pool.pool}${blame}: ${reasons.join(', ')}`] : [],
    }
  })
}

function renderPair({ source, destination }: Destination): string {
  return `${destination} from ${source}`
}

/** What the exit status of `status` means, for --help and from the same thresholds. */
export function describeExitStatus(): readonly (readonly [number, string])[] {
  const { critical, warning } = thresholds
  return [
    [0, 'healthy'],
    [
      1,
      `warning: tcp_connect or udp at ${warning.utilizationRatio * 100} % or more, risk ${warning.riskRatio} or more, ` +
        'connect() slow, tcp_bind exhausted, or one of several namespaces could not be read',
    ],
    [
      2,
      `critical: tcp_connect or udp exhausted, at ${critical.utilizationRatio * 100} % or more, or risk ` +
        `${critical.riskRatio} or more with exhaustion expected within ${renderDuration(critical.etaSeconds)}`,
    ],
    [3, 'nothing could be read, or bad usage'],
  ]
}

export function severityOf(health: Health): number {
  return ['ok', 'warning', 'critical'].indexOf(health)
}
