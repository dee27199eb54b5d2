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
    help: 'First port of net.ipv4.ip_local_port_range, which IPv6 uses as well.',
    details:
      'The kernel hands out the ports of this range by itself. The label range of ' +
      'ephemeral_port_source_info says where the exporter learned it.',
    value: (state) => state.settings.firstPort,
  }),
  perNamespace({
    name: 'ephemeral_port_range_last_port',
    help: 'Last port of net.ipv4.ip_local_port_range, itself included.',
    value: (state) => state.settings.lastPort,
  }),
  perNamespace({
    name: 'ephemeral_port_range_ports',
    help: 'Size of net.ipv4.ip_local_port_range, reserved ports included.',
    details: 'Last minus first plus 1.',
    value: (state) => state.settings.lastPort - state.settings.firstPort + 1,
  }),
  perNamespace({
    name: 'ephemeral_port_reserved_ports',
    help: 'Ports of net.ipv4.ip_local_reserved_ports that lie inside the range.',
    details: 'The kernel never chooses a reserved port. A program may still bind to one.',
    value: (state) => state.settings.reservedPorts,
  }),
  perNamespace({
    name: 'ephemeral_port_usable_ports',
    help: 'Ports that the kernel may choose from: the range without the reserved ports.',
    value: (state) => state.settings.usablePorts,
  }),
  perProtocol({
    name: 'ephemeral_port_used_ports',
    help: 'Distinct usable ports that any socket of the protocol holds.',
    absent: 'for a protocol whose sockets cannot be listed',
    details:
      'State, destination and owner do not matter. A port counts once, however many connections ' +
      'share it.',
    value: (use) => use.usedPorts,
  }),
  perProtocol({
    name: 'ephemeral_port_range_utilization_ratio',
    help: 'Used ports divided by usable ports, 0 to 1, for capacity planning and not for paging.',
    absent: 'for a protocol whose sockets cannot be listed',
    details:
      'A healthy host with many destinations reaches 1, since TCP connections to different ' +
      'destinations share ports. Page on ephemeral_port_exhaustion_risk_ratio and ' +
      'ephemeral_port_pool_utilization_ratio instead. The value is 1 where no port is usable.',
    value: (use, { settings }) =>
      settings.usablePorts === 0 ? 1 : use.usedPorts / settings.usablePorts,
  }),
  defineFamily({
    name: 'ephemeral_port_sockets',
    type: 'gauge',
    help: 'Sockets with a local port inside the range, by state, reserved ports included.',
    absent: 'for a protocol whose sockets cannot be listed',
    details:
      'A socket in the state bound holds a port and is neither connected nor listening. Of TCP, ' +
      '/proc shows no such socket, and netlink shows them from Linux 6.8 on. A UDP socket is ' +
      'bound or connected. Every state that the reader can see is there, zeros included.',
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
    help: 'Sockets of ephemeral_port_sockets that a listener inside the range accepted.',
    absent: 'for a protocol whose sockets cannot be listed',
    details: 'They share the port of their listener and cost no further one.',
    value: (use) => use.inboundSockets,
  }),
  defineFamily({
    name: 'ephemeral_port_blocked_ports',
    type: 'gauge',
    help: 'Usable ports closed to every TCP connect(), by what holds them.',
    absent: 'for holder=bound where the reader cannot see bound sockets',
    details:
      'holder=listener: a listening socket has the port. holder=bound: a socket is bound to it ' +
      'and idle, or its application chose the port itself. With --collector.probe, holder=bound ' +
      'also has the ports that tests found closed by hidden bind history, and of those not ' +
      'tested yet as many as the tested ones suggest.',
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
    help: 'Ports inside the range that a service listens on and that are not reserved.',
    absent: 'where listeners cannot be told from other sockets',
    details:
      'A socket counts when it was there for a minute or more, so the number of UDP is absent in the first minute. ' +
      'Sockets of TCP that listened before the first sample count at once, and those on a port that bind(0) gave ' +
      'them never do, where the reader can tell. When such a service restarts, any client may take its port ' +
      'meanwhile. Reserve the ports with net.ipv4.ip_local_reserved_ports. ephemeral_port_listener_info names them.',
    value: (use) => use.listeners,
  }),
]
