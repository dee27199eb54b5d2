// Families about who holds the ports, whatever the destination: Snapshot -> samples.

import { defineFamily, type Family, readableNamespaces } from './family.ts'

export const ownerFamilies: readonly Family[] = [
  defineFamily({
    name: 'ephemeral_port_owner_used_ports',
    type: 'gauge',
    help:
      'Ports of ephemeral_port_used_ports by who holds them: the systemd unit, container, pod or other cgroup that the cgroup id of ' +
      'their sockets names, or the user where the kernel tells no cgroup. Each port counts for one owner, so that sum by protocol ' +
      'is ephemeral_port_used_ports: for that of a listener or bound socket on it, else for one of those that have connections on ' +
      'it, by a fixed hash that divides shared ports evenly. TIME_WAIT has no owner in the kernel. It counts for those whose ' +
      'sockets to the same source and destination were seen alive in the last 120 s, in proportion to how many of these went to ' +
      'TIME_WAIT, or where none was seen to, to how many there were; what a listener accepted counts for its owner. Rows: the ' +
      'owners with the most (--top); other, the rest; none, TIME_WAIT of which nobody was seen alive or that is beyond the 128 ' +
      'destinations with the most sockets; unknown, ids that name nobody. Each of the last three is absent at zero. The family is ' +
      'absent with --no-collector.owners and where the reader cannot tell owners.',
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
