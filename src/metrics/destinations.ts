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
      'Distinct pairs of local address and remote address:port between which TCP sockets use ports of the range; connections ' +
      'that a listener in the range accepted are not among them. Absent with --no-collector.destinations.',
    value: (state) => state.destinations?.count,
  }),
  defineFamily({
    name: 'ephemeral_port_destination_used_ports',
    type: 'gauge',
    help:
      'Ports in use from a local address to a remote address:port, for the destinations with the most (--top); ports in ' +
      'TIME_WAIT that may be recycled now are not in use. The row other,other holds the rest and is absent when there is none, ' +
      'so that sum() is right. Absent with --no-collector.destinations.',
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
    help:
      'Those of ephemeral_port_destination_used_ports that are in TIME_WAIT: this side closed them in the last minute. Rows as ' +
      'there, other included.',
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
    help:
      '1 - available / capacity of the pool tcp_connect for that destination, 0 to 1. Ports blocked by listeners and bound sockets ' +
      'count for every destination. Rows as in ephemeral_port_destination_used_ports, without other.',
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
    help:
      'Always 1. Names the ports that ephemeral_port_listeners counts and who listens there: the systemd unit, container, pod or ' +
      'cgroup, else the user; one of them where several share the port; unknown where that cannot be told, or with ' +
      '--no-collector.owners. ephemeral_port_truncated_series says how many ports it leaves out (--top). Absent with ' +
      '--no-collector.listeners.',
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
    help:
      'TCP connections opened by connect() in the namespace since it exists, loopback and explicitly bound ones included: Tcp ' +
      'ActiveOpens of /proc/net/snmp. It advances only when the namespace is listed, which a quiet one seldom is: rate() over less than ' +
      'the age of ephemeral_port_netns_last_read_timestamp_seconds is 0, or far too much. Without those that --collector.probe of ' +
      'this exporter made since its start: at a restart the count goes up by those of before. Absent where that file cannot be read.',
    value: (state) => state.connectionsOpened,
  }),
  defineFamily({
    name: 'ephemeral_port_time_wait_release_ports',
    type: 'gauge',
    help:
      'Ports that TIME_WAIT alone holds and that come free within that many seconds (cumulative) unless another connection takes ' +
      "them, from the kernel's own timers; what is in FIN_WAIT2 is not among them. Absent where the reader cannot see the timers.",
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
