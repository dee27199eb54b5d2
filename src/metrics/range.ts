// Families about the range of ports the kernel chooses from and what holds them: Snapshot -> samples.

import {
  defineFamily,
  type Family,
  perNamespace,
  perProtocol,
  readableNamespaces,
} from './family.ts'

export const rangeFamilies: readonly Family[] = [
  perNamespace({
    name: 'ephemeral_port_range_first_port',
    help:
      'First port of net.ipv4.ip_local_port_range, the ports the kernel hands out by itself, to IPv6 as well. ' +
      'ephemeral_port_source_info says where the range was learned.',
    value: (state) => state.settings.firstPort,
  }),
  perNamespace({
    name: 'ephemeral_port_range_last_port',
    help: 'Last port of net.ipv4.ip_local_port_range, itself included.',
    value: (state) => state.settings.lastPort,
  }),
  perNamespace({
    name: 'ephemeral_port_range_ports',
    help: 'Size of net.ipv4.ip_local_port_range: last - first + 1, reserved ports included.',
    value: (state) => state.settings.lastPort - state.settings.firstPort + 1,
  }),
  perNamespace({
    name: 'ephemeral_port_reserved_ports',
    help: 'Ports of net.ipv4.ip_local_reserved_ports that lie inside the range: the kernel never chooses them.',
    value: (state) => state.settings.reservedPorts,
  }),
  perNamespace({
    name: 'ephemeral_port_usable_ports',
    help: 'Ports the kernel may choose from: the range without the reserved ports.',
    value: (state) => state.settings.usablePorts,
  }),
  perProtocol({
    name: 'ephemeral_port_used_ports',
    help:
      'Distinct usable ports held by any socket of the protocol, whatever its state, destination and owner. ' +
      'Absent for a protocol whose sockets cannot be listed.',
    value: (use) => use.usedPorts,
  }),
  perProtocol({
    name: 'ephemeral_port_range_utilization_ratio',
    help:
      'Used / usable ports, 0 to 1 (1 as well where no port is usable). For capacity planning and not for paging: a healthy ' +
      'host with many destinations reaches 1, since TCP connections to different destinations share ports. Page on ' +
      'ephemeral_port_exhaustion_risk_ratio and ephemeral_port_pool_utilization_ratio. Absent for a protocol whose sockets ' +
      'cannot be listed.',
    value: (use, { settings }) =>
      settings.usablePorts === 0 ? 1 : use.usedPorts / settings.usablePorts,
  }),
  defineFamily({
    name: 'ephemeral_port_sockets',
    type: 'gauge',
    help:
      'Sockets with a local port inside the range, by state, reserved ports included. bound: holds a port and is neither connected ' +
      'nor listening; of TCP, /proc shows none of these, and netlink only from Linux 6.8 on. A UDP socket is bound or connected. ' +
      'Absent for a protocol whose sockets cannot be listed.',
    labels: ['netns', 'protocol', 'state'],
    *samples(snapshot) {
      for (const { netns, state: read } of readableNamespaces(snapshot)) {
        for (const { protocol, sockets } of read.protocols) {
          for (const [state, value] of Object.entries(sockets)) {
            yield { labels: { netns, protocol, state }, value }
          }
        }
      }
    },
  }),
  perProtocol({
    name: 'ephemeral_port_inbound_sockets',
    help:
      'Those of ephemeral_port_sockets that a listener inside the range accepted: they share the port of the listener and ' +
      'cost no further one.',
    value: (use) => use.inboundSockets,
  }),
  defineFamily({
    name: 'ephemeral_port_blocked_ports',
    type: 'gauge',
    help:
      'Usable ports closed to every TCP connect(), whatever its destination. holder=listener: a listening socket has the port; ' +
      'holder=bound: a socket is bound to it and idle, or its application chose the port itself; with --collector.probe also the ports ' +
      'that tests found closed by hidden bind history, and of those not tested yet as many as the tested suggest. holder=bound is absent ' +
      'where the reader cannot see bound sockets (exactness=upper_bound).',
    labels: ['netns', 'holder'],
    *samples(snapshot) {
      for (const { netns, state } of readableNamespaces(snapshot)) {
        yield { labels: { netns, holder: 'listener' }, value: state.blockedPorts.listener }
        yield { labels: { netns, holder: 'bound' }, value: state.blockedPorts.bound }
      }
    },
  }),
  perProtocol({
    name: 'ephemeral_port_listeners',
    help:
      'Ports inside the range that a service listens on without being reserved: when the service restarts, any client may ' +
      'have taken its port meanwhile. Reserve them with net.ipv4.ip_local_reserved_ports. ephemeral_port_listener_info names ' +
      'them. Absent where listeners cannot be told from other sockets.',
    value: (use) => use.listeners,
  }),
]
