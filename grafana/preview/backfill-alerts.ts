// The ALERTS of the backfilled fleet: a namespace in trouble -> the series that Prometheus would have written while its alerts
// were firing. They stand in for hours of evaluation; that the rules do fire is shown elsewhere.

import type { BackfillSeries } from '../../test/support/prometheus/prometheus-remote-write.ts'
import { type Character, listens, type Moment, USABLE_PORTS } from './backfill-namespace.ts'

export interface Trouble {
  readonly netns: string
  /** Of the namespace on its node. */
  readonly number: number
  readonly character: Character
  readonly moments: readonly Moment[]
  readonly pod: { readonly namespace: string; readonly pod: string } | undefined
}

interface Firing {
  readonly name: string
  readonly severity: 'critical' | 'warning' | 'info'
  readonly labels: Readonly<Record<string, string>>
  readonly when: (moment: Moment) => boolean
}

const connect = { pool: 'tcp_connect' }
const predicted: Firing = {
  name: 'EphemeralPortExhaustionPredicted',
  severity: 'critical',
  labels: connect,
  when: ({ risk, etaSeconds }) => risk >= 0.5 && (etaSeconds ?? Number.POSITIVE_INFINITY) < 900,
}

const exhausted = ['EphemeralPortAllocationsFailing', 'EphemeralPortExhausted'].map(
  (name): Firing => ({
    ...predicted,
    name,
    when: ({ connectUsed }) => connectUsed === USABLE_PORTS,
  }),
)

const FIRING: Readonly<Partial<Record<Character, readonly Firing[]>>> = {
  leak: [predicted, { ...predicted, severity: 'warning', when: ({ risk }) => risk >= 0.2 }],
  exhausted,
  recovered: exhausted,
  'bind-leak': [
    {
      name: 'EphemeralPortBlockedPortsGrowing',
      severity: 'warning',
      labels: { holder: 'bound' },
      when: ({ boundIdle }) => boundIdle > 0.15 * USABLE_PORTS,
    },
  ],
  'close-wait': [
    {
      name: 'EphemeralPortCloseWaitLeak',
      severity: 'warning',
      labels: { protocol: 'tcp', state: 'close_wait' },
      when: ({ closeWait }) => closeWait > 0.15 * USABLE_PORTS,
    },
  ],
  udp: [
    {
      name: 'EphemeralPortUdpPoolHigh',
      severity: 'warning',
      labels: { pool: 'udp' },
      when: ({ udpUsed }) => udpUsed > 0.8 * USABLE_PORTS,
    },
  ],
}

/** On every node, so that there are hundreds of them beside the few that matter. */
const inside: Firing = {
  name: 'EphemeralPortListenerInsideRange',
  severity: 'info',
  labels: { protocol: 'tcp' },
  when: () => true,
}

export function* alertSeries(trouble: Trouble): Iterable<BackfillSeries> {
  const { character, moments, netns, number, pod } = trouble
  const firing = [...(FIRING[character] ?? []), ...(listens(number) ? [inside] : [])]
  for (const { name, severity, labels, when } of firing) {
    yield {
      labels: {
        __name__: 'ALERTS',
        alertname: name,
        alertstate: 'firing',
        severity,
        netns,
        ...labels,
        ...pod,
      },
      valueAt(step) {
        const moment = moments[step]
        return moment !== undefined && when(moment) ? 1 : undefined
      },
    }
  }
}
