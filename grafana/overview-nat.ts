// The folded row of the fleet overview about source NAT: where its ports and conntrack's entries run out, and because of whom.

import { highestGraph } from './graphs.ts'
import { LINK_LABELS, toNamespace, withLinkLabel } from './links.ts'
import { conntrackLines, natFailureLines } from './scales.ts'
import type { Section } from './section.ts'
import { fleet, highestTen, NETNS, OF_NAMESPACES } from './selectors.ts'
import { type Column, tablePanel } from './tables.ts'

const ofNamespaces = (metric: string) => fleet(metric, OF_NAMESPACES)

export function natSection(): Section {
  const dropped = `sum by (${NETNS}) (rate(${ofNamespaces('ephemeral_port_nat_dropped_total')}[$__rate_interval]))`
  const filled = `${ofNamespaces('ephemeral_port_conntrack_entries')} / ${ofNamespaces('ephemeral_port_conntrack_limit_entries')}`
  return {
    title: 'Source NAT',
    folded: true,
    panels: [
      highestGraph({
        title: 'Next connection fails, highest ten',
        description:
          'Probability that the next connection to the worst destination finds no NAT port: it is dropped, and its client tries again after 1, 3 and 7 s. No data without the right to list conntrack.',
        width: 8,
        height: 9,
        unit: 'percentunit',
        max: 1,
        lines: natFailureLines,
        each: 'netns',
        expr: highestTen({
          operation: 'max',
          by: NETNS,
          of: ofNamespaces('ephemeral_port_nat_failure_probability_ratio'),
        }),
        runbook: 'EphemeralPortNatPortsFillingUp',
      }),
      highestGraph({
        title: 'Dropped by conntrack, highest ten',
        description:
          'Packets per second: no NAT port was found, threads raced, or the table was full. No data where nobody has conntrack.',
        width: 8,
        height: 9,
        unit: 'cps',
        each: 'netns',
        expr: `topk(10, ${dropped})`,
        runbook: 'EphemeralPortNatPortsExhausted',
      }),
      highestGraph({
        title: 'Conntrack table, highest ten',
        description:
          'Entries of a namespace as a share of what it may have. At 100 % every new connection is dropped, whatever its destination.',
        width: 8,
        height: 9,
        unit: 'percentunit',
        max: 1,
        lines: conntrackLines,
        each: 'netns',
        expr: `topk(10, ${filled})`,
        runbook: 'EphemeralPortConntrackTableFull',
      }),
      natTable({
        title: 'NAT destinations of the fleet',
        description:
          'The 15 destinations for which a NAT address has the most ports taken. Each address has one range for each destination.',
        metric: 'ephemeral_port_nat_destination_used_ports',
        columns: [
          { label: 'destination', minWidth: 165 },
          { label: 'source', title: 'NAT address', width: 125 },
        ],
      }),
      natTable({
        title: 'NAT clients of the fleet',
        description:
          'The 15 clients whose connections take the most NAT ports: original source addresses, and the pods that have them where known.',
        metric: 'ephemeral_port_nat_client_used_ports',
        columns: [
          { label: 'client', width: 125 },
          { label: 'owner', minWidth: 165 },
        ],
      }),
    ],
  }
}

function natTable({
  title,
  description,
  metric,
  columns,
}: {
  readonly title: string
  readonly description: string
  readonly metric: string
  readonly columns: readonly Column[]
}) {
  const labels = [...columns.map(({ label }) => label), 'protocol'].join(', ')
  const ports = fleet(metric, OF_NAMESPACES)
  return tablePanel({
    title,
    description,
    width: 24,
    height: 8,
    unit: 'locale',
    queries: [{ expr: withLinkLabel(`topk(15, sum by (${NETNS}, ${labels}) (${ports}))`) }],
    columns: [
      ...columns,
      { label: 'protocol', width: 96 },
      { value: 0, title: 'Ports', unit: 'locale', decimals: 0, width: 90 },
      { label: 'netns', link: toNamespace, minWidth: 270 },
      { label: 'instance', width: 145 },
      { label: 'cluster', hidden: true },
      ...LINK_LABELS.map((label) => ({ label, hidden: true })),
    ],
    sortBy: [['Ports', 'desc']],
  })
}
