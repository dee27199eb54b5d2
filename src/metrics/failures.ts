// Families about allocations that failed, by the kernel's own word and by trying: Snapshot -> samples.

import type { AllocationFailures, Probe, Snapshot } from '../snapshot.ts'
import { defineFamily, type Family, type Words } from './family.ts'

/** Namespace of threads that had ended, and of which nothing else tells where they were. */
const UNKNOWN = 'unknown'

function* countedFailures(
  snapshot: Snapshot,
): Iterable<AllocationFailures & { readonly netns: string }> {
  for (const { netns, allocationFailures } of snapshot.namespaces) {
    if (allocationFailures !== undefined) yield { netns, ...allocationFailures }
  }
  const { unattributedFailures } = snapshot
  if (unattributedFailures !== undefined) yield { netns: UNKNOWN, ...unattributedFailures }
}

export const failureFamilies: readonly Family[] = [
  defineFamily({
    name: 'ephemeral_port_allocation_failures_total',
    type: 'counter',
    help:
      'connect() calls that failed for want of a port, as the kernel recorded them, since the ' +
      'exporter started.',
    absent: 'without tracefs and with --no-collector.failures',
    details:
      'The record is the trace event sock:inet_sock_set_state. Only the pool tcp_connect can be ' +
      'observed, and no further connect() of a socket that was refused a connection before. ' +
      'netns=unknown counts failures of processes that ended before they were looked at, and of ' +
      'namespaces that were not known.',
    labels: ['netns', 'pool'],
    *samples(snapshot) {
      for (const { netns, pools } of countedFailures(snapshot)) {
        for (const { pool, total } of pools) yield { labels: { netns, pool }, value: total }
      }
    },
  }),
  defineFamily({
    name: 'ephemeral_port_destination_allocation_failures_total',
    type: 'counter',
    help:
      'Failures of ephemeral_port_allocation_failures_total by destination and by the owner of ' +
      'the program.',
    details:
      '50 pairs of a namespace have a series. The pair other,other counts later ones, failures that ' +
      'came too fast for the kernel to keep more than their number, and those of a namespace that ' +
      'failed in more ways within one sample than are told apart. A pair that ' +
      'has not failed for three hours makes room for a new one, and its series ends. A new ' +
      'pair is 0 until the last sample within 60 s, or within --sample.peak-window where that ' +
      'is shorter, so that increase() sees its first failure. A pair of a namespace that ends ' +
      'before is never counted here. A namespace in which an allocation has failed is not quiet ' +
      'any more. The family is absent without tracefs and with --no-collector.failures.',
    labels: ['netns', 'destination', 'owner'],
    *samples(snapshot) {
      for (const { netns, destinations } of countedFailures(snapshot)) {
        for (const { destination, owner, total } of destinations) {
          yield { labels: { netns, destination, owner }, value: total }
        }
      }
    },
  }),
  perProbe({
    name: 'ephemeral_port_probe_success',
    help: 'Whether binding an IPv4 socket to port 0 succeeded when it was last tried.',
    absent: 'without --collector.probe',
    details:
      'TCP for the pool tcp_bind, UDP for the pool udp. The socket is closed at once. The ' +
      'exporter tries when it reads the namespace, but not for 100 times as long as the last ' +
      'try took. That answer stands meanwhile. No probe can judge tcp_connect, whose pool ' +
      'depends on the destination.',
    value: ({ success }) => Number(success),
  }),
  perProbe({
    name: 'ephemeral_port_probe_duration_seconds',
    help: 'How long the kernel searched for the port of ephemeral_port_probe_success.',
    absent: 'without --collector.probe',
    details: 'A pool that is nearly empty costs every application that much CPU.',
    value: ({ durationSeconds }) => durationSeconds,
  }),
]

function perProbe(
  row: Words & { readonly name: string; readonly value: (probe: Probe) => number },
): Family {
  const { value, ...rest } = row
  return defineFamily({
    ...rest,
    type: 'gauge',
    labels: ['netns', 'pool'],
    *samples(snapshot) {
      for (const { netns, probes } of snapshot.namespaces) {
        for (const probe of probes)
          yield { labels: { netns, pool: probe.pool }, value: value(probe) }
      }
    },
  })
}
