// Families about conntrack and source NAT: Snapshot -> samples.

import type { ConntrackState, NatState, Snapshot } from '../snapshot.ts'
import { defineFamily, type Family } from './family.ts'

/** One sample for each namespace that conntrack has tracked anything in. */
function perConntrack({
  value,
  ...row
}: Omit<Family, 'labels' | 'samples'> & {
  readonly value: (state: ConntrackState) => number | undefined
}): Family {
  return defineFamily({
    absent: 'where conntrack has tracked nothing',
    ...row,
    labels: ['netns'],
    *samples(snapshot) {
      for (const { netns, conntrack } of snapshot.namespaces) {
        if (conntrack !== undefined) yield { labels: { netns }, value: value(conntrack) }
      }
    },
  })
}

function* translating(
  snapshot: Snapshot,
): Iterable<{ readonly netns: string; readonly nat: NatState }> {
  for (const { netns, nat } of snapshot.namespaces) if (nat !== undefined) yield { netns, nat }
}

export const natFamilies: readonly Family[] = [
  defineFamily({
    name: 'ephemeral_port_nat_failure_probability_ratio',
    type: 'gauge',
    help: 'Probability that the next connection to the worst destination of the pool finds no NAT port, 0 to 1.',
    absent: 'where nothing is translated or conntrack may not be listed',
    details:
      'The kernel does not search a whole range of more than 128 ports: it tries 248 ports at random ' +
      'places. The value is computed from the ports that are taken, by the same search. A connection ' +
      'that finds no port is dropped without an error, and its client tries again after 1, 3 and 7 s.',
    labels: ['netns', 'pool'],
    *samples(snapshot) {
      for (const { netns, nat } of translating(snapshot)) {
        for (const { pool, ratio } of nat.failureProbabilities) {
          yield { labels: { netns, pool }, value: ratio }
        }
      }
    },
  }),
  defineFamily({
    name: 'ephemeral_port_nat_destination_used_ports',
    type: 'gauge',
    help: 'Ports of a NAT address (source) that are taken for a destination: top N and other.',
    absent: 'where nothing is translated or conntrack may not be listed',
    details:
      'A destination has a row from 1 % of the range and 8 ports on. Connections of the NAT node itself ' +
      'from its NAT address are counted too, because they take ports of the same range.',
    labels: ['netns', 'protocol', 'source', 'destination'],
    *samples(snapshot) {
      for (const { netns, nat } of translating(snapshot)) {
        for (const { protocol, source, destination, usedPorts } of nat.destinations) {
          yield { labels: { netns, protocol, source, destination }, value: usedPorts }
        }
      }
    },
  }),
  defineFamily({
    name: 'ephemeral_port_nat_client_used_ports',
    type: 'gauge',
    help: 'NAT ports that connections of one original source address take: top N and other.',
    absent: 'where nothing is translated or conntrack may not be listed',
    details:
      'owner is the pod with that address, where the exporter asks the Kubernetes API and the pod runs on ' +
      'this node. Otherwise it is the namespace of this node that alone has that address, as the label netns ' +
      'calls it, with the owner_kind netns. A client from elsewhere is unknown. A client has a row from 1 % of ' +
      'the range and 8 ports on.',
    labels: ['netns', 'protocol', 'client', 'owner', 'owner_kind'],
    *samples(snapshot) {
      for (const { netns, nat } of translating(snapshot)) {
        for (const { protocol, client, owner, ownerKind, usedPorts } of nat.clients) {
          yield {
            labels: { netns, protocol, client, owner, owner_kind: ownerKind },
            value: usedPorts,
          }
        }
      }
    },
  }),
  defineFamily({
    name: 'ephemeral_port_nat_range_info',
    type: 'gauge',
    help: 'Always 1. Names the ports that a NAT address may take, and the origin of that range.',
    absent: 'where nothing is translated or conntrack may not be listed',
    details:
      'origin is rule where the nf_tables rules say it, smallest_rule where several rules differ and the ' +
      "one with the fewest ports counts unless a destination's ports show another, option where " +
      '--nat.port-range says it, and default where no rule that could be read says it: 1024 to 65535. Where ' +
      'no rule names ports, clients with ports below 1024 have 1 to 511 or 600 to 1023.',
    labels: ['netns', 'protocol', 'source', 'first_port', 'last_port', 'origin'],
    *samples(snapshot) {
      for (const { netns, nat } of translating(snapshot)) {
        for (const { protocol, source, firstPort, lastPort, origin } of nat.ranges) {
          yield {
            labels: { netns, protocol, source, first_port: firstPort, last_port: lastPort, origin },
            value: 1,
          }
        }
      }
    },
  }),
  defineFamily({
    name: 'ephemeral_port_nat_last_read_timestamp_seconds',
    type: 'gauge',
    help: 'Unix time when the conntrack entries of the namespace were last listed.',
    absent: 'where nothing is translated or conntrack may not be listed',
    details:
      'A namespace that may be running out of NAT ports is listed at each sample, another one each minute, ' +
      'as far as the CPU budget allows.',
    labels: ['netns'],
    *samples(snapshot) {
      for (const { netns, nat } of translating(snapshot)) {
        yield { labels: { netns }, value: nat.readAtSeconds }
      }
    },
  }),
  perConntrack({
    name: 'ephemeral_port_nat_collisions_total',
    type: 'counter',
    help: 'Taken ports that searches for a free NAT port met: found of /proc/net/stat/nf_conntrack.',
    details:
      'It grows by f / (1 - f) a connection where the share f of the ports is taken: by 4 at 80 %, by 48 at ' +
      '98 %. A rate that rises fast is the warning before the first dropped connection. Like all counters of ' +
      'conntrack it begins at 0 when the exporter starts.',
    value: (state) => state.collisions,
  }),
  perConntrack({
    name: 'ephemeral_port_nat_insert_failed_total',
    type: 'counter',
    help: 'Packets dropped because their conntrack tuple was taken: no NAT port was found, or threads raced.',
    details:
      'Divide ephemeral_port_nat_collisions_total by it over the same time. About 0 means races, or a full ' +
      'TCP range of at most 32 ports. 128 or more fits an exhausted TCP pool, or many connections through a ' +
      'half full pool.',
    value: (state) => state.insertFailed,
  }),
  defineFamily({
    name: 'ephemeral_port_nat_drop_signature_info',
    type: 'gauge',
    help: 'Always 1. Says why NAT dropped packets in the last minutes, as far as the counters of conntrack alone tell it.',
    absent: 'where no packet of a new connection was dropped lately',
    details:
      'signature is range_full where each drop came with the same number of taken ports: most searches for a ' +
      'NAT port fail. It is known after 25 samples with drops, and needs no right. races_or_small_range: now ' +
      'and then there were drops, with fewer taken ports than drops. unclear: neither, such as races beside ' +
      'many connections.',
    labels: ['netns', 'signature'],
    *samples(snapshot) {
      for (const { netns, conntrack } of snapshot.namespaces) {
        const signature = conntrack?.dropSignature
        if (signature !== undefined) yield { labels: { netns, signature }, value: 1 }
      }
    },
  }),
  perConntrack({
    name: 'ephemeral_port_nat_dropped_total',
    type: 'counter',
    help: 'Packets that conntrack dropped, for whatever reason.',
    details:
      'Where it grows and ephemeral_port_nat_insert_failed_total does not, the conntrack table may be full: ' +
      'compare ephemeral_port_conntrack_entries with ephemeral_port_conntrack_limit_entries.',
    value: (state) => state.dropped,
  }),
  perConntrack({
    name: 'ephemeral_port_nat_clashes_resolved_total',
    type: 'counter',
    help: 'Races of packets for one conntrack entry that were resolved without a drop.',
    value: (state) => state.clashesResolved,
  }),
  perConntrack({
    name: 'ephemeral_port_conntrack_entries',
    type: 'gauge',
    help: 'Conntrack entries of the namespace. No NAT pool has more ports taken than that.',
    value: (state) => state.entries,
  }),
  perConntrack({
    name: 'ephemeral_port_conntrack_limit_entries',
    type: 'gauge',
    help: 'Entries that a namespace may have: net.netfilter.nf_conntrack_max.',
    absent: 'where that is 0, which is no limit, where conntrack has tracked nothing',
    value: (state) => state.limitEntries,
  }),
]
