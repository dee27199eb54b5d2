// The upper rows of the page of one namespace: how full its pools are, and when they run out.

import { namespaceGraph } from './graphs.ts'
import { toPod } from './links.ts'
import { barPanel, named, statPanel } from './panels.ts'
import {
  alertLines,
  anyIsBad,
  etaScale,
  NOT_AHEAD,
  riskLines,
  riskScale,
  utilizationScale,
} from './scales.ts'
import type { Section } from './section.ts'
import { inNetns, NETNS } from './selectors.ts'
import { tablePanel } from './tables.ts'

const POOLS =
  'tcp_connect: connect() to the worst destination; tcp_bind: bind() to port 0; udp: everything of UDP.'

/** By pool; a maximum or a sum only matters where several instances are chosen. */
function byPool(operation: 'max' | 'min' | 'sum', metric: string): string {
  return `${operation} by (pool) (${inNetns(metric)})`
}

export function summary() {
  const legend = '{{pool}}'
  return [
    barPanel({
      title: 'Utilization',
      description: `Of each pool. ${POOLS} At 100 % the next allocation fails. tcp_bind at 100 % is normal on a busy host and hurts only who binds.`,
      width: 6,
      height: 6,
      unit: 'percentunit',
      decimals: 0,
      max: 1,
      queries: [{ expr: byPool('max', 'ephemeral_port_pool_utilization_ratio'), legend }],
      scale: utilizationScale,
      runbook: 'EphemeralPortPoolAlmostFull',
    }),
    statPanel({
      title: 'Available ports',
      description: `How many more allocations of each pool will succeed now. ${POOLS}`,
      width: 4,
      height: 6,
      unit: 'locale',
      queries: [{ expr: byPool('min', 'ephemeral_port_pool_available_ports'), legend }],
      runbook: 'EphemeralPortExhausted',
    }),
    statPanel({
      title: 'Exhaustion risk',
      description:
        'Probability that an allocation fails within the forecast horizon (15 minutes by default). No value: fewer than three samples or ten seconds seen.',
      width: 4,
      height: 6,
      unit: 'percentunit',
      decimals: 0,
      queries: [{ expr: byPool('max', 'ephemeral_port_exhaustion_risk_ratio'), legend }],
      scale: riskScale,
      noValue: 'not yet known',
      runbook: 'EphemeralPortExhaustionPredicted',
    }),
    statPanel({
      title: 'Time left',
      description:
        'Expected time until no port is available, of the pools that are heading there; 0 when exhausted. "not yet known": so is the risk.',
      width: 4,
      height: 6,
      unit: 's',
      decimals: 0,
      queries: [
        {
          expr: `${byPool('min', 'ephemeral_port_exhaustion_eta_seconds')} or ${NOT_AHEAD} + 0 * ${byPool('max', 'ephemeral_port_exhaustion_risk_ratio')}`,
          legend,
        },
      ],
      mappings: [named([NOT_AHEAD, 'none ahead', 'green'])],
      scale: etaScale,
      noValue: 'not yet known',
      runbook: 'EphemeralPortExhaustionPredicted',
    }),
    statPanel({
      title: 'Refused',
      description:
        'connect() calls that the kernel refused for want of a port, in the time shown. "not observed": the exporter cannot read tracefs here.',
      width: 3,
      height: 6,
      unit: 'locale',
      decimals: 0,
      queries: [
        {
          expr: `sum(increase(${inNetns('ephemeral_port_allocation_failures_total')}[$__range]))`,
        },
      ],
      scale: anyIsBad,
      noValue: 'not observed',
      runbook: 'EphemeralPortAllocationsFailing',
    }),
    statPanel({
      title: 'connect()',
      description:
        'slow: past about half of the ports to the worst destination, each connect() first walks the whole full half and costs milliseconds of CPU. quiet: the namespace is below --detail.min-utilization.',
      noValue: 'quiet',
      width: 3,
      height: 6,
      unit: 'none',
      queries: [{ expr: `max(${inNetns('ephemeral_port_pool_slow')})` }],
      mappings: [named([0, 'normal', 'green'], [1, 'slow', 'orange'])],
      scale: [{ value: null, color: 'text' }],
      runbook: 'EphemeralPortConnectSlowPath',
    }),
  ]
}

/** What the numbers are about. */
function subjects() {
  return [
    tablePanel({
      title: 'Worst destination',
      description:
        'Whose ports the pool tcp_connect is about. Empty while nothing is connected, and for a quiet namespace.',
      width: 10,
      height: 4,
      unit: 'none',
      queries: [
        {
          expr: `max by (instance, pool, source, destination) (${inNetns('ephemeral_port_pool_worst_destination_info')})`,
        },
      ],
      columns: [
        { label: 'destination', minWidth: 140 },
        { label: 'source', minWidth: 115 },
        { label: 'pool', width: 100 },
        { label: 'instance', width: 150 },
      ],
      sortBy: [['destination', 'asc']],
    }),
    tablePanel({
      title: 'What this namespace is',
      description:
        'Its pod, if it is one; which reader answers for it; and whether what it says is exact or an upper bound of what is available. ' +
        'A quiet namespace (--detail.min-utilization) exports about 30 series; panels that need more of them stay empty.',
      width: 14,
      height: 4,
      unit: 'none',
      queries: [
        {
          expr:
            `max by (instance, netns_kind, namespace, pod, reader, exactness) (${inNetns('ephemeral_port_source_info')} ` +
            `* on (${NETNS}) group_left (netns_kind, namespace, pod) max by (${NETNS}, netns_kind, namespace, pod) (${inNetns('ephemeral_port_netns_info')}))`,
        },
      ],
      columns: [
        { label: 'netns_kind', title: 'kind', width: 95 },
        { label: 'namespace', minWidth: 105 },
        { label: 'pod', link: toPod, minWidth: 210 },
        { label: 'reader', width: 90 },
        { label: 'exactness', width: 104 },
        { label: 'instance', width: 150 },
      ],
      sortBy: [['instance', 'asc']],
    }),
  ]
}

export function poolsSection(): Section {
  const capacity = byPool('min', 'ephemeral_port_pool_capacity_ports')
  return {
    title: 'Pools and their forecast',
    panels: [
      ...subjects(),
      namespaceGraph({
        title: 'Utilization and peaks',
        description:
          'Dashed: the highest of all samples in the trailing peak window (2 minutes by default), so that bursts between two scrapes show.',
        legendRight: true,
        width: 12,
        height: 9,
        unit: 'percentunit',
        max: 1,
        queries: [
          { expr: byPool('max', 'ephemeral_port_pool_utilization_ratio'), legend: '{{pool}}' },
          {
            expr: byPool('max', 'ephemeral_port_pool_utilization_peak_ratio'),
            legend: '{{pool}} peak',
          },
        ],
        dashed: ' peak',
        lines: alertLines,
        runbook: 'EphemeralPortPoolUtilizationHigh',
        poolColors: true,
      }),
      namespaceGraph({
        title: 'Used ports and capacity',
        description:
          'Ports of each pool that the next allocation cannot have, against what the pool can ever hand out (dashed). For tcp_connect those of the worst destination.',
        legendRight: true,
        width: 12,
        height: 9,
        unit: 'locale',
        queries: [
          {
            expr: `max by (pool) (${inNetns('ephemeral_port_pool_capacity_ports')} - ${inNetns('ephemeral_port_pool_available_ports')})`,
            legend: '{{pool}}',
          },
          { expr: capacity, legend: '{{pool}} capacity' },
        ],
        dashed: ' capacity',
        poolColors: true,
      }),
      namespaceGraph({
        title: 'Exhaustion risk',
        description:
          'Probability that an allocation fails within the forecast horizon. Alerts: 20 % with less than 30 minutes left, 50 % with less than 15.',
        width: 6,
        height: 8,
        unit: 'percentunit',
        max: 1,
        lines: riskLines,
        queries: [
          { expr: byPool('max', 'ephemeral_port_exhaustion_risk_ratio'), legend: '{{pool}}' },
        ],
        runbook: 'EphemeralPortExhaustionPredicted',
        poolColors: true,
      }),
      namespaceGraph({
        title: 'Time left',
        description: 'Expected time until exhaustion; no line while a pool is not heading there.',
        width: 6,
        height: 8,
        unit: 's',
        queries: [
          { expr: byPool('min', 'ephemeral_port_exhaustion_eta_seconds'), legend: '{{pool}}' },
        ],
        runbook: 'EphemeralPortExhaustionPredicted',
        poolColors: true,
      }),
      namespaceGraph({
        title: 'Available ports and their lower bound',
        description:
          'Available: how many allocations will succeed. Dashed: ports without any socket, the least that is certain; the truth lies between the two where the kernel hides how a port was bound. ' +
          'Dotted: reclaimable, TIME_WAIT that connect() may recycle now, not counted as used; and uncertain, by how many available may be too high.',
        legendRight: true,
        width: 12,
        height: 8,
        unit: 'locale',
        queries: [
          { expr: byPool('min', 'ephemeral_port_pool_available_ports'), legend: '{{pool}}' },
          { expr: byPool('min', 'ephemeral_port_pool_unused_ports'), legend: '{{pool}} unused' },
          {
            expr: byPool('sum', 'ephemeral_port_pool_reclaimable_ports'),
            legend: '{{pool}} reclaimable',
          },
          {
            expr: byPool('max', 'ephemeral_port_pool_uncertain_ports'),
            legend: '{{pool}} uncertain',
          },
        ],
        dashed: ' unused',
        runbook: 'EphemeralPortPoolMayBeFull',
        dotted: ' (reclaimable|uncertain)',
        poolColors: true,
      }),
    ],
  }
}
