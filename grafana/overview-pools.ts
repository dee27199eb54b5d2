// The fleet overview: the pools that are worst now, and how they got there.

import { highestGraph } from './graphs.ts'
import { LINK_LABELS, toNamespace, withLinkLabel } from './links.ts'
import { alertLines, etaScale, riskLines, riskScale, utilizationScale } from './scales.ts'
import { EXPORTER, fleet, highestTen, NETNS, OF_NAMESPACES } from './selectors.ts'
import { type Column, tablePanel } from './tables.ts'

/**
 * What can stop a service. tcp_bind is left to the page of the namespace: it is full on every busy host with many
 * destinations, and nobody notices who does not bind.
 */
export const WITHOUT_BIND = 'pool!="tcp_bind"'
const chosen = [WITHOUT_BIND, OF_NAMESPACES]
const POOL = `${NETNS}, pool`
const ROWS = 15
const peak = fleet('ephemeral_port_pool_utilization_peak_ratio', ...chosen)
const eta = fleet('ephemeral_port_exhaustion_eta_seconds', ...chosen)
/** Recorded of the few pools that have a peak or a time left: a fleet has tens of thousands of others. */
const watched = (metric: string) => fleet(`netns_pool:${metric}:watched`, ...chosen)
const causes = fleet('ephemeral_port_pool_cause_info', ...chosen)
const destinations = fleet('ephemeral_port_pool_worst_destination_info', ...chosen)

const identity: readonly Column[] = [
  // 36 letters: the name of a pod of a deployment ends in two hashes of 16.
  { label: 'netns', link: toNamespace, minWidth: 298 },
  { label: 'instance', width: 140 },
  { label: 'pool', width: 98 },
]
const cluster: readonly Column[] = [
  { label: 'cluster', width: 90 },
  ...LINK_LABELS.map((label) => ({ label, hidden: true })),
]

export function worstPools() {
  // NB: only pools that are heading for exhaustion have an ETA, and only namespaces that are not quiet a peak: ranking by
  // these looks at hundreds of series where a fleet has tens of thousands.
  const rows = `(bottomk(${ROWS}, ${eta}) or topk(${ROWS}, ${peak}))`
  const ofRows = (series: string) => `max by (${POOL}) (${series} and on (${POOL}) ${rows})`
  const owned = (protocol: string, pool: string) =>
    `label_replace(${fleet('ephemeral_port_owner_used_ports', `protocol="${protocol}"`, 'owner_kind!~"other|none|unknown"', OF_NAMESPACES)}, "pool", "${pool}", "", "")`
  const clients = fleet(
    'ephemeral_port_pool_cause_info',
    'pool=~"nat_.+"',
    'owner!="unknown"',
    OF_NAMESPACES,
  )
  const owners = `max by (${POOL}, owner) (${owned('tcp', 'tcp_connect')} or ${owned('udp', 'udp')} or ${clients})`
  return tablePanel({
    title: 'Worst pools now',
    description:
      `The ${ROWS} pools that run out soonest and the ${ROWS} fullest ones at the end of the time shown, riskiest first; a namespace leads to its page. Used and Available of ` +
      'tcp_connect are those of its worst destination, which is named; Peak is the highest Used of the last two minutes; the cause is said of pools past 80 % or at risk. Risk, Used and Available need the recording rules. No time left: not heading for exhaustion, or not known yet.',
    width: 24,
    height: 10,
    unit: 'none',
    queries: [
      { expr: withLinkLabel(ofRows(watched('ephemeral_port_pool_utilization_ratio'))) },
      { expr: withLinkLabel(ofRows(watched('ephemeral_port_pool_available_ports'))) },
      { expr: withLinkLabel(ofRows(watched('ephemeral_port_exhaustion_risk_ratio'))) },
      { expr: withLinkLabel(ofRows(eta)) },
      { expr: withLinkLabel(ofRows(peak)) },
      {
        expr: withLinkLabel(
          `max by (${POOL}, destination) (${destinations} and on (${POOL}) ${rows})`,
        ),
      },
      { expr: withLinkLabel(`topk by (${POOL}) (1, ${owners} and on (${POOL}) ${rows})`) },
      { expr: withLinkLabel(`max by (${POOL}, cause) (${causes} and on (${POOL}) ${rows})`) },
    ],
    columns: [
      ...identity,
      {
        value: 2,
        title: 'Risk',
        unit: 'percentunit',
        decimals: 0,
        scale: riskScale,
        look: 'color',
        width: 70,
        missing: '?',
      },
      {
        value: 3,
        title: 'Time left',
        unit: 's',
        decimals: 0,
        scale: etaScale,
        look: 'color',
        width: 105,
        missing: '–',
      },
      {
        value: 0,
        title: 'Used',
        unit: 'percentunit',
        decimals: 0,
        scale: utilizationScale,
        look: 'color',
        width: 70,
      },
      {
        value: 4,
        title: 'Peak',
        unit: 'percentunit',
        decimals: 0,
        scale: utilizationScale,
        look: 'color',
        width: 70,
      },
      { label: 'cause', title: 'Cause', minWidth: 120 },
      { label: 'owner', title: 'Top owner', minWidth: 175 },
      { label: 'destination', title: 'Worst destination', minWidth: 162 },
      { value: 1, title: 'Available', unit: 'locale', decimals: 0, width: 105 },
      ...cluster,
    ],
    sortBy: [
      ['Risk', 'desc'],
      ['Peak', 'desc'],
    ],
  })
}

/** What was bad and is over: everything else on the page is about the end of the time shown. */
export function worstEver() {
  const high = fleet('netns_pool:ephemeral_port_pool_utilization_peak_ratio:high', ...chosen)
  const rows = `topk(30, max_over_time(${high}[$__range]))`
  return tablePanel({
    title: 'Worst pools in the time shown',
    description:
      'The 30 pools with the highest peak at any time shown, if that was above 80 %: when that was last so, and for how long in all the pool had no port left (to the minute). ' +
      'The namespace leads to its page in the same time. Empty without the recording rules.',
    width: 24,
    height: 9,
    unit: 'none',
    queries: [
      { expr: withLinkLabel(`max by (${POOL}) (${rows})`) },
      {
        expr: withLinkLabel(
          `max by (${POOL}) (60 * sum_over_time((${high} >= bool 1)[$__range:1m]) and on (${POOL}) ${rows})`,
        ),
      },
      {
        expr: withLinkLabel(
          `max by (${POOL}) (1000 * max_over_time(timestamp(${high})[$__range:1m]) and on (${POOL}) ${rows})`,
        ),
      },
      {
        expr: withLinkLabel(
          `topk by (${POOL}) (1, max by (${POOL}, destination) (last_over_time(${destinations}[$__range]) and on (${POOL}) ${rows}))`,
        ),
      },
    ],
    columns: [
      ...identity,
      {
        value: 0,
        title: 'Highest',
        unit: 'percentunit',
        decimals: 0,
        scale: utilizationScale,
        look: 'color',
        width: 90,
      },
      { value: 1, title: 'Exhausted for', unit: 's', decimals: 0, width: 135 },
      { value: 2, title: 'Last above 80 %', unit: 'dateTimeAsIso', width: 170 },
      { label: 'destination', title: 'Worst destination', minWidth: 165 },
      ...cluster,
    ],
    sortBy: [
      ['Highest', 'desc'],
      ['Exhausted for', 'desc'],
    ],
  })
}

export function courses() {
  return [
    highestGraph({
      title: 'Exhaustion risk, highest ten',
      description:
        'Probability that an allocation from any pool but tcp_bind fails within the forecast horizon, for the ten instances where it was the highest. Which pool it is: see the tables above.',
      width: 12,
      height: 9,
      unit: 'percentunit',
      max: 1,
      lines: riskLines,
      expr: highestTen({
        operation: 'max',
        by: EXPORTER,
        of: fleet('instance_pool:ephemeral_port_exhaustion_risk_ratio:max', WITHOUT_BIND),
      }),
      runbook: 'EphemeralPortExhaustionPredicted',
    }),
    highestGraph({
      title: 'Pool utilization, highest ten',
      description:
        'Utilization of the fullest pool of each instance, for the ten where it was the highest. High and level is a plateau; what matters is whether it rises.',
      width: 12,
      height: 9,
      unit: 'percentunit',
      max: 1,
      lines: alertLines,
      expr: highestTen({
        operation: 'max',
        by: EXPORTER,
        of: fleet('instance_pool:ephemeral_port_pool_utilization_ratio:max', WITHOUT_BIND),
      }),
      runbook: 'EphemeralPortPoolUtilizationHigh',
    }),
    highestGraph({
      title: 'Failed allocations, highest ten',
      description:
        'Failed allocations per second of all pools of an instance, over five minutes. No data where failures cannot be observed.',
      width: 12,
      height: 9,
      unit: 'cps',
      expr: highestTen({
        operation: 'sum',
        by: EXPORTER,
        of: fleet('instance_pool:ephemeral_port_allocation_failures:rate5m'),
      }),
      runbook: 'EphemeralPortAllocationsFailing',
    }),
    highestGraph({
      title: 'Namespaces at risk, highest ten',
      description:
        'How many namespaces of an instance are more likely than not to run out, for the ten instances with the most.',
      width: 12,
      height: 9,
      unit: 'none',
      decimals: 0,
      expr: highestTen({
        operation: 'sum',
        by: EXPORTER,
        of: fleet('instance:ephemeral_port_exhaustion_risk_ratio:count_at_risk'),
      }),
      stacked: true,
      runbook: 'EphemeralPortExhaustionPredicted',
    }),
  ]
}
