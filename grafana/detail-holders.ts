// The page of one namespace: who holds its ports, by destination and by owner.

import { namespaceGraph } from './graphs.ts'
import { GREY, HOLDER_COLORS, utilizationScale } from './scales.ts'
import type { Section } from './section.ts'
import { inNetns } from './selectors.ts'
import { tablePanel } from './tables.ts'

export function holdersSection(): Section {
  const perDestination = (operation: 'sum' | 'max', metric: string) =>
    `${operation} by (source, destination) (${inNetns(metric)})`
  const owned = inNetns('ephemeral_port_owner_used_ports')
  return {
    title: 'Who holds the ports',
    panels: [
      tablePanel({
        title: 'Diagnosis',
        description:
          'What fills a pool, and who holds most of it: for each pool past 80 % or with a risk of 20 %, as the status page and the runbooks name it. Empty for all others.',
        width: 24,
        height: 4,
        unit: 'none',
        queries: [
          {
            expr: `max by (pool, cause, owner, instance) (${inNetns('ephemeral_port_pool_cause_info')})`,
          },
        ],
        columns: [
          { label: 'pool', width: 120 },
          { label: 'cause', width: 200 },
          { label: 'owner', minWidth: 250 },
          { label: 'instance', width: 190 },
        ],
        sortBy: [['pool', 'asc']],
      }),
      tablePanel({
        title: 'Owners',
        description:
          'Who holds the ports now: unit, container, pod, cgroup or user. A port in TIME_WAIT has no owner in the kernel and counts for the owner that was seen talking to that destination; ' +
          'none: nobody was. Empty without the collector owners and below --detail.min-utilization.',
        width: 12,
        height: 9,
        unit: 'locale',
        queries: [{ expr: `sum by (owner, owner_kind, protocol) (${owned})` }],
        columns: [
          { label: 'owner', minWidth: 220 },
          { label: 'owner_kind', title: 'kind', width: 110 },
          { label: 'protocol', width: 96 },
          { value: 0, title: 'Ports', unit: 'locale', decimals: 0, width: 110 },
        ],
        sortBy: [['Ports', 'desc']],
      }),
      tablePanel({
        title: 'Destinations',
        description:
          'The destinations with the most ports (--top), the rest as other. Much TIME_WAIT: churn, keep connections open. Little: the connections are really open, or leaked. ' +
          'Empty below --detail.min-utilization.',
        width: 12,
        height: 9,
        unit: 'locale',
        queries: [
          { expr: perDestination('sum', 'ephemeral_port_destination_used_ports') },
          { expr: perDestination('sum', 'ephemeral_port_destination_time_wait_ports') },
          { expr: perDestination('max', 'ephemeral_port_destination_utilization_ratio') },
        ],
        columns: [
          { label: 'destination', minWidth: 170 },
          { label: 'source', width: 120 },
          { value: 0, title: 'Ports', unit: 'locale', decimals: 0, width: 90 },
          { value: 1, title: 'TIME_WAIT', unit: 'locale', decimals: 0, width: 110 },
          {
            value: 2,
            title: 'Utilization',
            unit: 'percentunit',
            decimals: 0,
            scale: utilizationScale,
            look: 'gauge',
            width: 130,
          },
        ],
        sortBy: [['Ports', 'desc']],
      }),
      namespaceGraph({
        title: 'What holds tcp_connect',
        description:
          'Ports that are not available to the worst destination, by what holds them. time_wait: churn. close_wait: a program does not close. bound and hidden: bound before they were connected, or idle. Empty for a quiet namespace.',
        legendRight: true,
        width: 12,
        height: 9,
        unit: 'locale',
        stacked: true,
        nameColors: HOLDER_COLORS,
        queries: [
          {
            expr: `sum by (holder) (${inNetns('ephemeral_port_pool_held_ports', 'pool="tcp_connect"')}) > 0`,
            legend: '{{holder}}',
          },
        ],
      }),
      namespaceGraph({
        title: 'TCP ports by owner',
        description: 'Who grew, and when: the owners with the most TCP ports, stacked.',
        legendRight: true,
        width: 12,
        height: 9,
        unit: 'locale',
        stacked: true,
        queries: [
          {
            expr: `sum by (owner) (${inNetns('ephemeral_port_owner_used_ports', 'protocol="tcp"')})`,
            legend: '{{owner}}',
          },
        ],
      }),
      namespaceGraph({
        title: 'Ports by destination',
        description: 'Who grew, and when: the destinations with the most ports, stacked.',
        legendRight: true,
        width: 24,
        height: 9,
        unit: 'locale',
        stacked: true,
        nameColors: { 'all others': GREY },
        queries: [
          {
            expr: `label_replace(label_join(${perDestination('sum', 'ephemeral_port_destination_used_ports')}, "way", " to ", "source", "destination"), "way", "all others", "destination", "other")`,
            legend: '{{way}}',
          },
        ],
      }),
    ],
  }
}
