// Families about who holds the ports, whatever the destination: Snapshot -> samples.

import { defineFamily, type Family, readableNamespaces } from './family.ts'

export const ownerFamilies: readonly Family[] = [
  defineFamily({
    name: 'ephemeral_port_owner_used_ports',
    type: 'gauge',
    help: 'Ports of ephemeral_port_used_ports by who holds them. Each port counts for one owner.',
    absent: 'with --no-collector.owners',
    details:
      'The owner is the systemd unit, container, pod or other cgroup that the cgroup id of the ' +
      'socket names, or the user where the kernel tells no cgroup. The sum by protocol is ' +
      'ephemeral_port_used_ports. A port with a listener or a bound socket counts for the owner ' +
      'of that socket. Any other counts for one of the owners that have connections on it, by a ' +
      'fixed hash that divides shared ports evenly. TIME_WAIT has no owner in the kernel. It ' +
      'counts for the owners whose sockets to the same source and destination were seen alive ' +
      'in the last 120 s, in proportion to how many of these went to TIME_WAIT, or to how many ' +
      'there were where none was seen to. What a listener accepted counts for its owner. The ' +
      'rows are the owners with the most (--top), and other, none and unknown, each absent at ' +
      'zero. none is TIME_WAIT whose sockets were never seen alive, or that is beyond the 128 ' +
      'destinations with the most sockets. unknown is an id that leads to no name. The family ' +
      'is absent as well where the reader cannot tell owners.',
    labels: ['netns', 'protocol', 'owner', 'owner_kind'],
    *samples(snapshot) {
      for (const { netns, state } of readableNamespaces(snapshot)) {
        for (const { protocol, owner, ownerKind, usedPorts } of state.owners ?? []) {
          yield { labels: { netns, protocol, owner, owner_kind: ownerKind }, value: usedPorts }
        }
      }
    },
  }),
]
