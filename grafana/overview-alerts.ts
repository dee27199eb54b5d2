// The fleet overview: the alerts that fire now, and who was refused a port.

import { MappingType } from '@grafana/grafana-foundation-sdk/dashboard'
import { LINK_LABELS, toNamespace, toRunbook, withLinkLabel } from './links.ts'
import { refusedTable } from './refused.ts'
import { fleet, NETNS, OF_NAMESPACES } from './selectors.ts'
import { tablePanel } from './tables.ts'

export function firingAlerts() {
  const firing = (severity: string) =>
    fleet(
      'ALERTS',
      'alertname=~"EphemeralPort.+"',
      'alertstate="firing"',
      `severity="${severity}"`,
      OF_NAMESPACES,
    )
  // NB: by severity, since hundreds of hosts may have something for information and an alert is always 1: without a weight it is
  // left to chance which hundred are shown.
  const weighed = `3 * ${firing('critical')} or 2 * ${firing('warning')} or ${firing('info')}`
  return tablePanel({
    title: 'Firing alerts',
    description:
      'Alerts about ephemeral ports that fire now, the most severe first, at most 100; one that fires with two severities is listed with the higher one. ' +
      'The name leads to the runbook, the namespace to its page. Empty when nothing fires, and without alerts.yaml.',
    width: 24,
    height: 8,
    unit: 'none',
    queries: [
      {
        expr: withLinkLabel(`topk(100, max by (alertname, ${NETNS}, pool) (${weighed}))`),
      },
    ],
    columns: [
      {
        value: 0,
        title: 'severity',
        width: 96,
        look: 'color',
        mappings: [
          {
            type: MappingType.ValueToText,
            options: {
              3: { text: 'critical', color: 'red', index: 0 },
              2: { text: 'warning', color: 'orange', index: 1 },
              1: { text: 'info', color: 'blue', index: 2 },
            },
          },
        ],
      },
      { label: 'alertname', link: toRunbook, minWidth: 250 },
      { label: 'netns', link: toNamespace, minWidth: 270 },
      { label: 'pool', width: 105 },
      { label: 'instance', width: 160 },
      { label: 'cluster', width: 110 },
      ...LINK_LABELS.map((label) => ({ label, hidden: true })),
    ],
    sortBy: [
      ['severity', 'desc'],
      ['alertname', 'asc'],
    ],
  })
}

export function failures() {
  return refusedTable({
    title: 'Who was refused',
    width: 24,
    height: 6,
    failed: fleet('ephemeral_port_destination_allocation_failures_total', OF_NAMESPACES),
    by: [NETNS],
    place: [
      { label: 'netns', link: toNamespace, minWidth: 270 },
      { label: 'instance', width: 150 },
      { label: 'cluster', hidden: true },
      ...LINK_LABELS.map((label) => ({ label, hidden: true })),
    ],
    link: withLinkLabel,
  })
}
