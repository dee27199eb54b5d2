// The lower rows of the fleet overview: who uses the ports, in what state they are, and how the exporters do.

import { fleetGraph, highestGraph } from './graphs.ts'
import { barPanel } from './panels.ts'
import { STATE_COLORS, utilizationScale } from './scales.ts'
import type { Section } from './section.ts'
import {
  EXPORTER,
  exportersUp,
  fleet,
  highestTen,
  OF_NAMESPACES,
  ofExporters,
  orZero,
} from './selectors.ts'
import { tablePanel } from './tables.ts'

export function usersSection(): Section {
  const used = fleet('ephemeral_port_destination_used_ports', 'destination!="other"', OF_NAMESPACES)
  const timeWait = fleet(
    'ephemeral_port_destination_time_wait_ports',
    'destination!="other"',
    OF_NAMESPACES,
  )
  const utilization = fleet('ephemeral_port_destination_utilization_ratio', OF_NAMESPACES)
  const top = `topk(15, sum by (destination) (${used}))`
  const owned = fleet('ephemeral_port_owner_used_ports', 'owner_kind!="other"', OF_NAMESPACES)
  return {
    title: 'Who uses the ports',
    panels: [
      tablePanel({
        title: 'Destinations of the whole fleet',
        description:
          'The 15 destinations that hold the most ports, all namespaces together: one backend behind many troubles shows here. Namespaces below ' +
          '--detail.min-utilization do not name their destinations and are not counted. Users: local addresses of all namespaces that talk to it.',
        width: 12,
        height: 10,
        unit: 'locale',
        queries: [
          { expr: top },
          { expr: `sum by (destination) (${timeWait}) and on (destination) ${top}` },
          { expr: `max by (destination) (${utilization}) and on (destination) ${top}` },
          { expr: `count by (destination) (${used}) and on (destination) ${top}` },
        ],
        columns: [
          { label: 'destination' },
          { value: 0, title: 'Ports', unit: 'locale', decimals: 0, width: 100 },
          { value: 1, title: 'TIME_WAIT', unit: 'locale', decimals: 0, width: 110 },
          { value: 3, title: 'Users', unit: 'locale', decimals: 0, width: 80 },
          {
            value: 2,
            title: 'Highest',
            unit: 'percentunit',
            decimals: 0,
            scale: utilizationScale,
            look: 'gauge',
            width: 150,
          },
        ],
        sortBy: [['Ports', 'desc']],
      }),
      tablePanel({
        title: 'Owners of the whole fleet',
        description:
          'The 15 owners that hold the most ports, all namespaces together; ports in TIME_WAIT count for the owner that was seen talking to that destination. ' +
          'none: ownerless and never seen alive. Empty without the collector owners.',
        width: 12,
        height: 10,
        unit: 'locale',
        queries: [{ expr: `topk(15, sum by (owner, owner_kind, protocol) (${owned}))` }],
        columns: [
          { label: 'owner' },
          { label: 'owner_kind', width: 110 },
          { label: 'protocol', width: 96 },
          { value: 0, title: 'Ports', unit: 'locale', decimals: 0, width: 110 },
        ],
        sortBy: [['Ports', 'desc']],
      }),
    ],
  }
}

export function stateSection(): Section {
  const utilization = `max by (${EXPORTER}) (${fleet('instance_pool:ephemeral_port_pool_utilization_ratio:max', 'pool!="tcp_bind"')})`
  const band = (condition: string) => orZero(`count(${utilization} ${condition})`, utilization)
  return {
    title: 'State of the fleet',
    panels: [
      barPanel({
        title: 'Instances by their fullest pool',
        description:
          'How many instances have a pool of tcp_connect or udp that is so full now. In the middle are plateaus, which are normal; any at the top need a look.',
        width: 8,
        noValue: 'rules not loaded',
        height: 8,
        unit: 'locale',
        decimals: 0,
        queries: [
          { expr: band('>= 0.95'), legend: '95 % and more', color: 'red' },
          { expr: band('>= 0.8 < 0.95'), legend: '80 to 95 %', color: 'orange' },
          { expr: band('>= 0.5 < 0.8'), legend: '50 to 80 %', color: 'yellow' },
          { expr: band('< 0.5'), legend: 'below 50 %', color: 'green' },
        ],
      }),
      fleetGraph({
        title: 'TCP sockets in the range, by state',
        description:
          'Of the namespaces that export their states (host, and those past --detail.min-utilization). Much time_wait: churn, connections are opened and ' +
          'closed all the time. Growing close_wait: an application does not close. Growing bound: it binds and does not connect.',
        legendRight: true,
        width: 16,
        height: 8,
        unit: 'short',
        stacked: true,
        nameColors: STATE_COLORS,
        queries: [
          {
            expr: `sum by (state) (${fleet('ephemeral_port_sockets', 'protocol="tcp"')}) > 0`,
            legend: '{{state}}',
          },
        ],
      }),
      highestGraph({
        title: 'Connections opened, highest ten',
        description:
          'connect() calls per second of all namespaces of an instance, over five minutes: churn. Times 60 it is what TIME_WAIT will hold.',
        width: 12,
        height: 8,
        unit: 'cps',
        expr: highestTen({
          operation: 'sum',
          by: EXPORTER,
          of: fleet('instance:ephemeral_port_connections_opened:rate5m'),
        }),
      }),
      highestGraph({
        title: 'Ports closed to every connect(), highest ten',
        description:
          'Ports bound and idle, or chosen by the application itself, summed over the namespaces of an instance: no connect() can use them, whatever its ' +
          'destination, and most tools do not show them. A rise is a leak.',
        width: 12,
        height: 8,
        unit: 'locale',
        expr: `topk(10, sum by (${EXPORTER}) (${fleet('ephemeral_port_blocked_ports', 'holder="bound"')}) > 0)`,
        runbook: 'EphemeralPortBlockedPortsGrowing',
      }),
      highestGraph({
        title: 'Range utilization, highest ten',
        description:
          'For capacity planning only: ports of the range held by anything, of the fuller protocol. 100 % is healthy on a host with many destinations, since TCP connections ' +
          'to different destinations share ports.',
        width: 24,
        height: 8,
        unit: 'percentunit',
        max: 1,
        expr: highestTen({
          operation: 'max',
          by: EXPORTER,
          of: fleet('instance_protocol:ephemeral_port_range_utilization_ratio:max'),
        }),
      }),
    ],
  }
}

export function exporterSection(): Section {
  const cpu = ofExporters(`rate(${fleet('process_cpu_seconds_total')}[$__rate_interval])`)
  const memory = ofExporters(fleet('process_resident_memory_bytes'))
  return {
    title: 'Exporters',
    folded: true,
    panels: [
      fleetGraph({
        title: 'Exporters',
        description:
          'How many of the chosen exporters answer Prometheus, and how many do not but did within a day.',
        width: 6,
        height: 8,
        unit: 'none',
        decimals: 0,
        queries: [
          { expr: `sum(${exportersUp})`, legend: 'answer' },
          { expr: orZero(`count((${exportersUp}) == 0)`, exportersUp), legend: 'do not' },
        ],
        runbook: 'EphemeralPortExporterDown',
      }),
      highestGraph({
        title: 'Age of the last sample, oldest ten',
        description:
          'Everything an exporter says is from its last sample. The age should stay below the sampling interval plus the scrape interval.',
        width: 10,
        height: 8,
        unit: 's',
        expr: `topk(10, time() - ${fleet('ephemeral_port_last_sample_timestamp_seconds')})`,
        runbook: 'EphemeralPortSamplesStale',
      }),
      fleetGraph({
        title: 'Namespaces that cannot be read',
        description:
          'Namespaces whose last read failed (nothing is known of them), and failed reads per second by reason.',
        legendRight: true,
        width: 8,
        height: 8,
        unit: 'short',
        queries: [
          {
            expr: `sum(${fleet('instance:ephemeral_port_netns_success:count_failed')})`,
            legend: 'unreadable now',
          },
          {
            expr: `sum by (reason) (rate(${fleet('ephemeral_port_netns_failures_total')}[$__rate_interval]))`,
            legend: 'failures per second: {{reason}}',
          },
        ],
        runbook: 'EphemeralPortNamespaceUnreadable',
      }),
      fleetGraph({
        title: 'CPU of the exporters',
        description:
          'Of one core. By default an exporter samples less often rather than take more than 2 % (5 % while a pool is past half or at risk), plus what scrapes cost.',
        width: 7,
        height: 8,
        unit: 'percentunit',
        queries: [
          { expr: `max(${cpu})`, legend: 'highest' },
          { expr: `avg(${cpu})`, legend: 'average' },
        ],
      }),
      fleetGraph({
        title: 'Memory of the exporters',
        description: 'Resident memory. It should not grow over days.',
        width: 7,
        height: 8,
        unit: 'bytes',
        queries: [
          { expr: `max(${memory})`, legend: 'highest' },
          { expr: `avg(${memory})`, legend: 'average' },
        ],
      }),
      tablePanel({
        title: 'Versions',
        description: 'How many exporters run which version of the exporter and of Node.',
        width: 10,
        height: 8,
        unit: 'none',
        queries: [
          {
            expr: `count by (version, revision, nodeversion, arch) (${fleet('ephemeral_port_exporter_build_info')})`,
          },
        ],
        columns: [
          { label: 'version' },
          { label: 'revision' },
          { label: 'nodeversion' },
          { label: 'arch' },
          { value: 0, title: 'Exporters', unit: 'none', width: 104 },
        ],
        sortBy: [['Exporters', 'desc']],
      }),
    ],
  }
}
