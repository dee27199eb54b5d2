// Families about who uses the ports, destination by destination: Snapshot -> samples.

import type { Destinations, Snapshot } from '../snapshot.ts'
import { defineFamily, type Family, perNamespace, readableNamespaces } from './family.ts'

/** Makes sum() over the rows right. */
const OTHER = { source: 'other', destination: 'other' } as const
const labels = ['netns', 'source', 'destination'] as const

function* readableDestinations(
  snapshot: Snapshot,
): Iterable<Destinations & { readonly netns: string }> {
  for (const { netns, state } of readableNamespaces(snapshot)) {
    if (state.destinations !== undefined) yield { netns, ...state.destinations }
  }
}

export const destinationFamilies: readonly Family[] = [
  perNamespace({
    name: 'ephemeral_port_destinations',
    help:
      'Distinct pairs of source and destination between which TCP sockets use ports of the ' +
      'range.',
    absent: 'with --no-collector.destinations',
    details:
      'A source is a local address and a destination is a remote address and port. Connections ' +
      'that a listener in the range accepted are not among them.',
    value: (state) => state.destinations?.count,
  }),
  defineFamily({
    name: 'ephemeral_port_destination_used_ports',
    type: 'gauge',
    help: 'Ports in use from a source to a destination, for the destinations with the most (--top).',
    absent: 'with --no-collector.destinations',
    details:
      'Ports in TIME_WAIT that may be recycled now are not in use. The row other,other holds ' +
      'the rest, so that sum() is right. That row is absent when there is no rest.',
    labels,
    *samples(snapshot) {
      for (const { netns, rows, other } of readableDestinations(snapshot)) {
        for (const { source, destination, usedPorts } of rows) {
          yield { labels: { netns, source, destination }, value: usedPorts }
        }
        yield { labels: { netns, ...OTHER }, value: other?.usedPorts }
      }
    },
  }),
  defineFamily({
    name: 'ephemeral_port_destination_time_wait_ports',
    type: 'gauge',
    help: 'Ports of ephemeral_port_destination_used_ports that are in TIME_WAIT.',
    absent: 'with --no-collector.destinations',
    details:
      'This side closed these connections in the last minute. The rows are the same, ' +
      'other,other included.',
    labels,
    *samples(snapshot) {
      for (const { netns, rows, other } of readableDestinations(snapshot)) {
        for (const { source, destination, timeWaitPorts } of rows) {
          yield { labels: { netns, source, destination }, value: timeWaitPorts }
        }
        yield { labels: { netns, ...OTHER }, value: other?.timeWaitPorts }
      }
    },
  }),
  defineFamily({
    name: 'ephemeral_port_destination_utilization_ratio',
    type: 'gauge',
    help: '1 minus available divided by capacity of the pool tcp_connect for that destination.',
    absent: 'with --no-collector.destinations',
    details:
      '0 to 1. Ports blocked by listeners and bound sockets count for every destination. The ' +
      'rows are those of ephemeral_port_destination_used_ports without other,other.',
    labels,
    *samples(snapshot) {
      for (const { netns, rows } of readableDestinations(snapshot)) {
        for (const { source, destination, utilizationRatio } of rows) {
          yield { labels: { netns, source, destination }, value: utilizationRatio }
        }
      }
    },
  }),
  defineFamily({
    name: 'ephemeral_port_listener_info',
    type: 'gauge',
    help: 'Always 1. Names the ports of ephemeral_port_listeners and who listens there.',
    absent: 'with --no-collector.listeners',
    details:
      'The owner is the systemd unit, container, pod or cgroup, and otherwise the user. It is ' +
      'one of them where several share the port, and unknown where that cannot be told or with ' +
      '--no-collector.owners. ephemeral_port_truncated_series says how many ports --top leaves ' +
      'out.',
    labels: ['netns', 'protocol', 'port', 'owner'],
    *samples(snapshot) {
      for (const { netns, state } of readableNamespaces(snapshot)) {
        for (const { protocol, port, owner } of state.listeners) {
          yield { labels: { netns, protocol, port, owner }, value: 1 }
        }
      }
    },
  }),
  perNamespace({
    name: 'ephemeral_port_connections_opened_total',
    type: 'counter',
    help: 'TCP connections opened by connect() since the namespace exists (Tcp ActiveOpens).',
    absent: 'where /proc/net/snmp cannot be read',
    details:
      'Loopback and explicitly bound connections are included. The counter advances only when ' +
      'the namespace is listed, which a quiet one seldom is: rate() over less than the age of ' +
      'ephemeral_port_netns_last_read_timestamp_seconds is 0, or far too much. Connections that ' +
      '--collector.probe of this exporter made since its start are not counted. When the ' +
      'exporter restarts, the count goes up by those of before.',
    value: (state) => state.connectionsOpened,
  }),
  perNamespace({
    name: 'ephemeral_port_time_wait_recycled_total',
    type: 'counter',
    help: 'Connections that took the port of a TIME_WAIT (TcpExt TWRecycled, net.ipv4.tcp_tw_reuse).',
    absent: 'where /proc/net/netstat cannot be read',
    details:
      'A namespace that recycles depends on TCP timestamps: a TIME_WAIT of a peer without them holds its port for a minute.',
    value: (state) => state.timeWaitRecycled,
  }),
  defineFamily({
    name: 'ephemeral_port_time_wait_release_ports',
    type: 'gauge',
    help: 'Ports that TIME_WAIT alone holds and that come free within that many seconds.',
    absent: 'where the reader cannot see the timers',
    details:
      "The numbers are cumulative and come from the kernel's own timers. Another connection may " +
      'take such a port before. Ports in FIN_WAIT2 are not among them.',
    labels: ['netns', 'within_seconds'],
    *samples(snapshot) {
      for (const { netns, state } of readableNamespaces(snapshot)) {
        for (const { withinSeconds, ports } of state.timeWaitRelease) {
          yield { labels: { netns, within_seconds: withinSeconds }, value: ports }
        }
      }
    },
  }),
]
