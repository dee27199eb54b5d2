// The page of one namespace: the sockets behind the numbers, what closes ports to everybody, and what was refused.

import { namespaceGraph } from './graphs.ts'
import { barPanel } from './panels.ts'
import { refusedTable } from './refused.ts'
import { goodIfOne, STATE_COLORS } from './scales.ts'
import type { Section } from './section.ts'
import { inNetns } from './selectors.ts'
import { tablePanel } from './tables.ts'

export function socketsSection(): Section {
  const states = (protocol: string) =>
    `sum by (state) (${inNetns('ephemeral_port_sockets', `protocol="${protocol}"`)})`
  return {
    title: 'Sockets',
    panels: [
      namespaceGraph({
        title: 'TCP sockets in the range, by state',
        description:
          'Much time_wait that stays level: churn. Growing close_wait: the peer has closed and the application does not. Growing established: a leak or more load. ' +
          'Growing syn_sent: the destination does not answer. bound: holds a port and is neither connected nor listening. Empty below --detail.min-utilization.',
        legendRight: true,
        width: 12,
        height: 9,
        unit: 'short',
        stacked: true,
        nameColors: STATE_COLORS,
        queries: [{ expr: `${states('tcp')} > 0`, legend: '{{state}}' }],
        runbook: 'EphemeralPortCloseWaitLeak',
      }),
      barPanel({
        title: 'TIME_WAIT release schedule',
        description:
          "Ports in TIME_WAIT that come free within so many seconds, from the kernel's own timers: how much relief is on its way if nothing new is opened.",
        width: 6,
        height: 9,
        unit: 'locale',
        decimals: 0,
        queries: [1, 5, 15, 30, 60].map((seconds) => ({
          expr: `sum(${inNetns('ephemeral_port_time_wait_release_ports', `within_seconds="${seconds}"`)})`,
          legend: `within ${seconds} s`,
        })),
      }),
      namespaceGraph({
        title: 'Connections opened',
        description:
          'connect() calls of the namespace per second (Tcp ActiveOpens). Times 60 it is what TIME_WAIT comes to hold where this side closes.',
        width: 6,
        height: 9,
        unit: 'cps',
        queries: [
          {
            expr: `sum(rate(${inNetns('ephemeral_port_connections_opened_total')}[$__rate_interval]))`,
            legend: 'opened',
          },
        ],
      }),
      namespaceGraph({
        title: 'UDP sockets in the range, by state',
        description:
          'UDP has one pool for all destinations: each socket costs a port, connected or not.',
        width: 8,
        height: 8,
        unit: 'short',
        stacked: true,
        nameColors: STATE_COLORS,
        queries: [{ expr: states('udp'), legend: '{{state}}' }],
        runbook: 'EphemeralPortUdpPoolHigh',
      }),
      namespaceGraph({
        title: 'Accepted connections in the range',
        description:
          'Sockets that a listener inside the range accepted: they share its port and cost no further one.',
        width: 8,
        height: 8,
        unit: 'short',
        queries: [
          {
            expr: `sum by (protocol) (${inNetns('ephemeral_port_inbound_sockets')})`,
            legend: '{{protocol}}',
          },
        ],
      }),
      namespaceGraph({
        title: 'Destinations in use',
        description:
          'Distinct pairs of local address and remote address:port. More destinations do not crowd each other: each has the whole range.',
        width: 8,
        height: 8,
        unit: 'locale',
        queries: [
          { expr: `sum(${inNetns('ephemeral_port_destinations')})`, legend: 'destinations' },
        ],
      }),
    ],
  }
}

export function blockedSection(): Section {
  return {
    title: 'Blocked ports and listeners',
    panels: [
      namespaceGraph({
        title: 'Ports closed to every connect()',
        description:
          'listener: a service listens inside the range. bound: bound and idle, or chosen by the application itself. No connect() can use them, whatever its destination; a rise is a leak.',
        width: 8,
        height: 8,
        unit: 'locale',
        stacked: true,
        queries: [
          {
            expr: `sum by (holder) (${inNetns('ephemeral_port_blocked_ports')})`,
            legend: '{{holder}}',
          },
        ],
        runbook: 'EphemeralPortBlockedPortsGrowing',
      }),
      namespaceGraph({
        title: 'Listeners inside the range',
        description:
          'Services that listen on a port of the range that is not reserved: after a restart any client may have it. Reserve it with net.ipv4.ip_local_reserved_ports.',
        width: 6,
        height: 8,
        unit: 'none',
        decimals: 0,
        queries: [
          {
            expr: `sum by (protocol) (${inNetns('ephemeral_port_listeners')})`,
            legend: '{{protocol}}',
          },
        ],
        runbook: 'EphemeralPortListenerInsideRange',
      }),
      tablePanel({
        title: 'Who listens inside the range',
        description: 'Their ports and owners, as many as --top allows. Empty where nobody does.',
        width: 10,
        height: 8,
        unit: 'none',
        queries: [
          {
            expr: `max by (protocol, port, owner, instance) (${inNetns('ephemeral_port_listener_info')})`,
          },
        ],
        columns: [
          { label: 'port', width: 90 },
          { label: 'protocol', width: 96 },
          { label: 'owner' },
          { label: 'instance', width: 190 },
        ],
        sortBy: [['port', 'asc']],
        runbook: 'EphemeralPortListenerInsideRange',
      }),
    ],
  }
}

export function failuresSection(): Section {
  return {
    title: 'What was refused',
    panels: [
      namespaceGraph({
        title: 'Failed allocations',
        description:
          'connect() calls per second that the kernel refused for want of a port. No data where the exporter cannot read tracefs.',
        width: 8,
        height: 8,
        unit: 'cps',
        queries: [
          {
            expr: `sum by (pool) (rate(${inNetns('ephemeral_port_allocation_failures_total')}[$__rate_interval]))`,
            legend: '{{pool}}',
          },
        ],
        runbook: 'EphemeralPortAllocationsFailing',
        poolColors: true,
      }),
      refusedTable({
        title: 'Refused, by destination and owner',
        width: 8,
        height: 8,
        failed: inNetns('ephemeral_port_destination_allocation_failures_total'),
      }),
      namespaceGraph({
        title: 'Probe',
        description:
          'How long an allocation made for the purpose took, while it succeeds. No data unless probing is switched on.',
        width: 5,
        height: 8,
        unit: 's',
        queries: [
          {
            expr: `max by (pool) (${inNetns('ephemeral_port_probe_duration_seconds')})`,
            legend: '{{pool}}',
          },
        ],
        runbook: 'EphemeralPortProbeFailing',
        poolColors: true,
      }),
      barPanel({
        title: 'Probes',
        description:
          'Whether bind() to port 0 and a UDP socket got a port just now. Empty unless probing is switched on.',
        width: 3,
        height: 8,
        unit: 'bool_yes_no',
        max: 1,
        noValue: 'not probed',
        queries: [
          {
            expr: `min by (pool) (${inNetns('ephemeral_port_probe_success')})`,
            legend: '{{pool}}',
          },
        ],
        scale: goodIfOne,
        runbook: 'EphemeralPortProbeFailing',
      }),
    ],
  }
}
