// Families about the namespaces themselves: their settings and how well they can be read. Snapshot -> samples.

import { readErrorReasons } from '../observation.ts'
import { defineFamily, type Family, perNamespace, readableNamespaces } from './family.ts'

export const namespaceFamilies: readonly Family[] = [
  defineFamily({
    name: 'ephemeral_port_netns_info',
    type: 'gauge',
    help: 'Always 1. Names the kind, the Kubernetes namespace and the pod of a network namespace.',
    details:
      'Join with `* on (cluster, job, instance, netns) group_left (namespace, pod)`. The labels ' +
      'namespace and pod are empty where there is no pod.',
    labels: ['netns', 'netns_kind', 'namespace', 'pod'],
    *samples(snapshot) {
      for (const { netns, netnsKind, pod } of snapshot.namespaces) {
        const { namespace = '', name = '' } = pod ?? {}
        yield { labels: { netns, netns_kind: netnsKind, namespace, pod: name }, value: 1 }
      }
    },
  }),
  perNamespace({
    name: 'ephemeral_port_tcp_tw_reuse',
    help: 'net.ipv4.tcp_tw_reuse: 0 never recycles a TIME_WAIT, 1 does, 2 on loopback only.',
    absent: 'where it cannot be read',
    details: 'Nothing counts as reclaimable where it is absent.',
    value: (state) => state.settings.tcpTwReuse,
  }),
  perNamespace({
    name: 'ephemeral_port_tcp_timestamps',
    help: 'net.ipv4.tcp_timestamps. While it is 0 connections begin without timestamps, and their TIME_WAITs are never recycled.',
    absent: 'where it cannot be read',
    value: (state) => state.settings.tcpTimestamps,
  }),
  perNamespace({
    name: 'ephemeral_port_tcp_tw_reuse_delay_seconds',
    help: 'net.ipv4.tcp_tw_reuse_delay: the age from which a TIME_WAIT may be recycled.',
    absent: 'on kernels without it, where it is one second',
    value: (state) => state.settings.tcpTwReuseDelaySeconds,
  }),
  perNamespace({
    name: 'ephemeral_port_tcp_max_tw_buckets',
    help: 'net.ipv4.tcp_max_tw_buckets. The kernel keeps no more TIME_WAITs than that.',
    absent: 'where it cannot be read',
    value: (state) => state.settings.tcpMaxTwBuckets,
  }),
  perNamespace({
    name: 'ephemeral_port_ip_autobind_reuse',
    help: 'net.ipv4.ip_autobind_reuse: 1 lets sockets with SO_REUSEADDR share ports of bind(0).',
    absent: 'where it cannot be read',
    details:
      'With 1 such sockets get ports of tcp_bind although ephemeral_port_pool_available_ports is ' +
      '0, when all of them were bound with the option. Others do not.',
    value: (state) => state.settings.autobindReuse,
  }),
  perNamespace({
    name: 'ephemeral_port_ip_local_port_step_width',
    help: 'net.ipv4.ip_local_port_step_width: the steps in which connect() tries ports.',
    absent: 'on kernels without it',
    details:
      'It changes the order of ports and nothing else: connect() still tries all of them, those ' +
      'of one parity first.',
    value: (state) => state.settings.portStepWidth,
  }),
  perNamespace({
    name: 'ephemeral_port_netns_last_read_timestamp_seconds',
    help: 'Unix time when the sockets of the namespace were last listed.',
    absent: 'while it cannot be read',
    details:
      'It is older than the last sample where a look at sockstat shows that nothing can be near ' +
      'exhaustion. Such namespaces are listed in turn, on a crowded node hours apart, and what ' +
      'is counted of their sockets is of that time.',
    value: (state) => state.readAtSeconds,
  }),
  defineFamily({
    name: 'ephemeral_port_netns_success',
    type: 'gauge',
    help: 'Whether the last read of the namespace succeeded, 1 or 0.',
    details:
      'At 0 nothing is known, and every other series of the namespace is absent but ' +
      'ephemeral_port_netns_info and its counted failures. ephemeral_port_netns_failures_total ' +
      'and the log say why.',
    labels: ['netns'],
    *samples(snapshot) {
      for (const { netns, state } of snapshot.namespaces) {
        yield { labels: { netns }, value: state === undefined ? 0 : 1 }
      }
    },
  }),
  defineFamily({
    name: 'ephemeral_port_netns_failures_total',
    type: 'counter',
    help: 'Reads of namespaces that failed since the exporter started, by reason.',
    details: `The reasons are ${readErrorReasons.slice(0, -1).join(', ')} and ${readErrorReasons.at(-1)}.`,
    labels: ['reason'],
    *samples(snapshot) {
      for (const [reason, value] of Object.entries(snapshot.failures)) {
        yield { labels: { reason }, value }
      }
    },
  }),
  defineFamily({
    name: 'ephemeral_port_source_info',
    type: 'gauge',
    help:
      'Always 1. Says which reader answered, how exact it is, and where the port range was ' +
      'learned.',
    details:
      'exactness=exact: nothing that could change a number is hidden. exactness=inferred: memory, the parity of ports, ' +
      'refusals and other connections tell which connections were bound first and which TIME_WAITs can be recycled, and ' +
      'ephemeral_port_pool_uncertain_ports says what is left in doubt. exactness=upper_bound: the reader ' +
      'cannot see bound sockets, so that ephemeral_port_pool_available_ports is an upper bound. The ' +
      'range comes from the kernel (sysctl), from the spec of the pod (pod_spec), or is assumed ' +
      '(default). What lowers exactness: [kernels.md](kernels.md).',
    labels: ['netns', 'reader', 'exactness', 'range'],
    *samples(snapshot) {
      for (const { netns, state } of readableNamespaces(snapshot)) {
        const { reader, exactness, rangeOrigin: range } = state
        yield { labels: { netns, reader, exactness, range }, value: 1 }
      }
    },
  }),
  defineFamily({
    name: 'ephemeral_port_truncated_series',
    type: 'gauge',
    help: 'Series of a family that a cap keeps off this page, 0 for none.',
    absent: 'for a family that is switched off',
    details:
      'With the family namespaces and an empty netns: the network namespaces that --netns.max leaves ' +
      'out, or of which one user, pod or container has made too many. Nothing is known of them.',
    labels: ['netns', 'family'],
    *samples(snapshot) {
      yield { labels: { netns: '', family: 'namespaces' }, value: snapshot.leftOut?.namespaces }
      for (const { netns, state } of readableNamespaces(snapshot)) {
        for (const [family, value] of Object.entries(state.truncated)) {
          yield { labels: { netns, family }, value }
        }
      }
      for (const { netns, nat } of snapshot.namespaces) {
        for (const [family, value] of Object.entries(nat?.truncated ?? {})) {
          yield { labels: { netns, family }, value }
        }
      }
    },
  }),
]
