// The page of one namespace: who holds its ports, by destination and by owner.

import { graphPanel } from './panels.ts'
import { utilizationScale } from './scales.ts'
import type { Section } from './section.ts'
import { inNetns } from './selectors.ts'
import { tablePanel } from './tables.ts'

export function holdersSection(): Section {
  const used = inNetns('ephemeral_port_destination_used_ports')
  const perDestination = (operation: 'sum' | 'max', metric: string) =>
    `${operation} by (source, destination) (${inNetns(metric)})`
  const owned = inNetns('ephemeral_port_owner_used_ports')
  return {
    title: 'Who holds the ports',
    panels: [
      tablePanel({
        title: 'Owners',
        description:
          'Who holds the ports now: unit, container, pod, cgroup or user. A port in TIME_WAIT has no owner in the kernel and counts for whoever was seen talking to that destination; ' +
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
      graphPanel({
        title: 'TCP ports by owner',
        description: 'Who grew, and when: the owners with the most TCP ports, stacked.',
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
      graphPanel({
        title: 'Ports by destination',
        description: 'Who grew, and when: the destinations with the most ports, stacked.',
        width: 12,
        height: 9,
        unit: 'locale',
        stacked: true,
        queries: [
          {
            expr: `sum by (source, destination) (${used})`,
            legend: '{{source}} to {{destination}}',
          },
        ],
      }),
    ],
  }
}
