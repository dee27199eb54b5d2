// The folded row of the page of one namespace about source NAT: how full conntrack and the NAT's ports are, and because of whom.

import { namespaceGraph } from './graphs.ts'
import type { Section } from './section.ts'
import { inNetns } from './selectors.ts'
import { tablePanel } from './tables.ts'

export function natSection(): Section {
  const perSecond = (metric: string) => `sum(rate(${inNetns(metric)}[$__rate_interval]))`
  return {
    title: 'Source NAT',
    folded: true,
    panels: [
      namespaceGraph({
        title: 'Conntrack entries',
        description:
          'Entries of the namespace, against what it may have (dashed). No data where it has no conntrack.',
        width: 8,
        height: 8,
        unit: 'locale',
        queries: [
          { expr: `sum(${inNetns('ephemeral_port_conntrack_entries')})`, legend: 'entries' },
          { expr: `sum(${inNetns('ephemeral_port_conntrack_limit_entries')})`, legend: 'limit' },
        ],
        dashed: 'limit',
      }),
      namespaceGraph({
        title: 'What the kernel counts',
        description:
          'Taken ports that searches for a free one met, packets dropped because no port was found or threads raced, packets dropped for any reason, and races that were resolved; per second. ' +
          'Collisions that rise fast are the warning before the first drop.',
        legendRight: true,
        width: 8,
        height: 8,
        unit: 'cps',
        queries: [
          { expr: perSecond('ephemeral_port_nat_collisions_total'), legend: 'collisions' },
          { expr: perSecond('ephemeral_port_nat_insert_failed_total'), legend: 'insert failed' },
          { expr: perSecond('ephemeral_port_nat_dropped_total'), legend: 'dropped' },
          { expr: perSecond('ephemeral_port_nat_clashes_resolved_total'), legend: 'resolved' },
        ],
        runbook: 'EphemeralPortNatPortsExhausted',
      }),
      namespaceGraph({
        title: 'Next connection fails',
        description:
          'Probability that the next connection to the worst destination finds no NAT port: it is dropped, and its client tries again after 1, 3 and 7 s. No data without the right to list conntrack.',
        width: 8,
        height: 8,
        unit: 'percentunit',
        max: 1,
        queries: [
          {
            expr: `max by (pool) (${inNetns('ephemeral_port_nat_failure_probability_ratio')})`,
            legend: '{{pool}}',
          },
        ],
        runbook: 'EphemeralPortNatPortsFillingUp',
        poolColors: true,
      }),
      tablePanel({
        title: 'NAT destinations',
        description:
          'Ports of each NAT address that are taken for a destination: as many as --top allows.',
        width: 12,
        height: 8,
        unit: 'locale',
        queries: [
          {
            expr: `sum by (protocol, source, destination) (${inNetns('ephemeral_port_nat_destination_used_ports')})`,
          },
        ],
        columns: [
          { label: 'destination', minWidth: 170 },
          { label: 'source', title: 'NAT address', minWidth: 130 },
          { label: 'protocol', width: 96 },
          { value: 0, title: 'Ports', unit: 'locale', decimals: 0, width: 90 },
        ],
        sortBy: [['Ports', 'desc']],
      }),
      tablePanel({
        title: 'NAT clients',
        description:
          'Whose connections take the NAT ports: original source addresses, and the pods that have them where known.',
        width: 12,
        height: 8,
        unit: 'locale',
        queries: [
          {
            expr: `sum by (protocol, client, owner) (${inNetns('ephemeral_port_nat_client_used_ports')})`,
          },
        ],
        columns: [
          { label: 'client', minWidth: 130 },
          { label: 'owner', minWidth: 170 },
          { label: 'protocol', width: 96 },
          { value: 0, title: 'Ports', unit: 'locale', decimals: 0, width: 90 },
        ],
        sortBy: [['Ports', 'desc']],
      }),
    ],
  }
}
