// The fleet overview: the alerts that fire now, and who was refused a port.

import { MappingType } from '@grafana/grafana-foundation-sdk/dashboard'
import { LINK_LABELS, toNamespace, toRunbook, withLinkLabel } from './links.ts'
import { anyIsBad } from './scales.ts'
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
    width: 14,
    height: 9,
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
      { label: 'alertname', link: toRunbook, minWidth: 190 },
      { label: 'netns', link: toNamespace, minWidth: 180 },
      { label: 'pool', width: 105 },
      { label: 'instance', width: 170 },
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
  const failed = fleet('ephemeral_port_destination_allocation_failures_total', OF_NAMESPACES)
  return tablePanel({
    title: 'Who was refused',
    description:
      'connect() calls that failed for want of a port during the time shown, by namespace, destination and owner; the 20 with the most. ' +
      'Empty when none failed, or where failures cannot be observed (see Failed allocations).',
    width: 10,
    height: 9,
    unit: 'none',
    queries: [
      {
        expr: withLinkLabel(
          `topk(20, sum by (${NETNS}, destination, owner) (increase(${failed}[$__range])) > 0)`,
        ),
      },
    ],
    columns: [
      {
        value: 0,
        title: 'Failed',
        unit: 'locale',
        decimals: 0,
        scale: anyIsBad,
        look: 'color',
        width: 84,
      },
      { label: 'destination', minWidth: 125 },
      { label: 'owner', minWidth: 90 },
      { label: 'netns', link: toNamespace, minWidth: 150 },
      { label: 'instance', width: 150 },
      { label: 'cluster', hidden: true },
      ...LINK_LABELS.map((label) => ({ label, hidden: true })),
    ],
    sortBy: [['Failed', 'desc']],
    runbook: 'EphemeralPortAllocationsFailing',
  })
}
