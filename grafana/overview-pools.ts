// The fleet overview: the pools that are worst now, and how they got there.

import { toNamespace, withLinkLabel } from './links.ts'
import { graphPanel } from './panels.ts'
import { etaScale, leftScale, riskScale, utilizationScale } from './scales.ts'
import { fleet, highest, NETNS } from './selectors.ts'
import { tablePanel } from './tables.ts'

/**
 * What can stop a service. tcp_bind is left to the page of the namespace: it is full on every busy host with many
 * destinations, and nobody notices who does not bind.
 */
export const WITHOUT_BIND = 'pool!="tcp_bind"'
const available = fleet('ephemeral_port_pool_available_ports', WITHOUT_BIND)
const POOL = `${NETNS}, pool`
const utilization = fleet('ephemeral_port_pool_utilization_ratio', WITHOUT_BIND)
const peak = fleet('ephemeral_port_pool_utilization_peak_ratio', WITHOUT_BIND)
const risk = fleet('ephemeral_port_exhaustion_risk_ratio', WITHOUT_BIND)
const eta = fleet('ephemeral_port_exhaustion_eta_seconds', WITHOUT_BIND)
const ROWS = 15

export function worstPools() {
  // NB: only pools that are heading for exhaustion have an ETA, and only namespaces that are not quiet a peak: ranking by
  // these looks at hundreds of series where a fleet has tens of thousands.
  const rows = `(bottomk(${ROWS}, ${eta}) or topk(${ROWS}, ${peak}))`
  const ofRows = (series: string) => `max by (${POOL}) (${series} and on (${POOL}) ${rows})`
  const pods = fleet('ephemeral_port_netns_info')
  return tablePanel({
    title: 'Worst pools',
    description:
      `The ${ROWS} pools that run out soonest and the ${ROWS} fullest ones, riskiest first; a namespace leads to its page. Utilization and available ports of ` +
      'tcp_connect are those of its worst destination, which is named. No time left: not heading for exhaustion.',
    width: 24,
    height: 11,
    unit: 'none',
    queries: [
      {
        expr: withLinkLabel(
          `${ofRows(utilization)} * on (${NETNS}) group_left (namespace) max by (${NETNS}, namespace) (${pods})`,
        ),
      },
      { expr: withLinkLabel(ofRows(available)) },
      { expr: withLinkLabel(ofRows(risk)) },
      { expr: withLinkLabel(ofRows(eta)) },
      {
        expr: withLinkLabel(
          `max by (${POOL}, source, destination) (${fleet('ephemeral_port_pool_worst_destination_info')} and on (${POOL}) ${rows})`,
        ),
      },
    ],
    columns: [
      { label: 'cluster', width: 110 },
      { label: 'instance', width: 170 },
      { label: 'netns', link: toNamespace },
      { label: 'pool', width: 105 },
      {
        value: 2,
        title: 'Risk',
        unit: 'percentunit',
        decimals: 0,
        scale: riskScale,
        look: 'color',
        width: 80,
      },
      {
        value: 3,
        title: 'Time left',
        unit: 's',
        decimals: 0,
        scale: etaScale,
        look: 'color',
        width: 100,
      },
      {
        value: 0,
        title: 'Utilization',
        unit: 'percentunit',
        decimals: 1,
        scale: utilizationScale,
        look: 'gauge',
        width: 190,
      },
      {
        value: 1,
        title: 'Available',
        unit: 'locale',
        decimals: 0,
        scale: leftScale,
        look: 'color',
        width: 90,
      },
      { label: 'destination', title: 'Worst destination' },
      { label: 'source', title: 'From', width: 130 },
      { label: 'namespace', width: 110 },
      { label: 'job', hidden: true },
      { label: 'var_cluster', hidden: true },
    ],
    sortBy: [
      ['Risk', 'desc'],
      ['Utilization', 'desc'],
    ],
  })
}

export function courses() {
  return [
    graphPanel({
      title: 'Exhaustion risk, highest ten',
      description:
        'Probability that an allocation fails within the forecast horizon, for the ten instances and pools where it was the highest.',
      width: 12,
      height: 9,
      unit: 'percentunit',
      max: 1,
      queries: [
        {
          expr: highest(10, 'instance_pool:ephemeral_port_exhaustion_risk_ratio:max', WITHOUT_BIND),
          legend: '{{cluster}} {{instance}} {{pool}}',
        },
      ],
      runbook: 'EphemeralPortExhaustionPredicted',
    }),
    graphPanel({
      title: 'Pool utilization, highest ten',
      description:
        'Utilization of the fullest pool of each instance, for the ten where it was the highest. High and level is a plateau; what matters is whether it rises.',
      width: 12,
      height: 9,
      unit: 'percentunit',
      max: 1,
      queries: [
        {
          expr: highest(
            10,
            'instance_pool:ephemeral_port_pool_utilization_ratio:max',
            WITHOUT_BIND,
          ),
          legend: '{{cluster}} {{instance}} {{pool}}',
        },
      ],
      runbook: 'EphemeralPortPoolUtilizationHigh',
    }),
    graphPanel({
      title: 'Failed allocations, highest ten',
      description:
        'Failed allocations per second by instance and pool, over five minutes. No data where failures cannot be observed.',
      width: 12,
      height: 8,
      unit: 'cps',
      queries: [
        {
          expr: highest(10, 'instance_pool:ephemeral_port_allocation_failures:rate5m'),
          legend: '{{cluster}} {{instance}} {{pool}}',
        },
      ],
      runbook: 'EphemeralPortAllocationsFailing',
    }),
    graphPanel({
      title: 'Namespaces at risk',
      description:
        'How many namespaces of an instance are more likely than not to run out, for the ten instances with the most.',
      width: 12,
      height: 8,
      unit: 'none',
      decimals: 0,
      queries: [
        {
          expr: highest(10, 'instance:ephemeral_port_exhaustion_risk_ratio:count_at_risk'),
          legend: '{{cluster}} {{instance}}',
        },
      ],
      stacked: true,
      runbook: 'EphemeralPortExhaustionPredicted',
    }),
  ]
}
