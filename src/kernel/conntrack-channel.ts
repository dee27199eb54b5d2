// The dump of conntrack entries over NETLINK_NETFILTER: filter -> batches. Needs CAP_NET_ADMIN in the user namespace
// that owns the network namespace.

import { type ConntrackBatch, createConntrackBatch } from '../observation.ts'
import { decodeConntrack, ENTRY_LEAST_BYTES } from './conntrack-answer.ts'
import { type ConntrackFilter, encodeConntrackDump } from './conntrack-request.ts'
import type { Libc } from './libc.ts'
import {
  DATAGRAM_BYTES,
  dumpDatagrams,
  type NetlinkChannel,
  openNetlinkChannel,
} from './netlink-channel.ts'

const NETLINK_NETFILTER = 12

/** Opens a netfilter socket in the calling thread's network namespace. See openNetlinkChannel(). */
export function openNetfilterChannel(libc: Libc, buffer?: Uint8Array): NetlinkChannel {
  return openNetlinkChannel(libc, NETLINK_NETFILTER, buffer)
}

/** Creates a batch that any datagram of a channel fits into. */
export function createConntrackDumpBatch(): ConntrackBatch {
  return createConntrackBatch(Math.ceil(DATAGRAM_BYTES / ENTRY_LEAST_BYTES))
}

/**
 * Lists the entries that fit the filter, datagram by datagram, each time in the same `batch`. A kernel without filters
 * lists all. `sequence` tells this dump from others over the same channel. Throws SourceError and DecodeError.
 */
export function* dumpConntrack(
  channel: NetlinkChannel,
  filter: ConntrackFilter,
  sequence: number,
  batch: ConntrackBatch,
): Generator<ConntrackBatch, void, void> {
  const dump = {
    request: encodeConntrackDump(filter, sequence),
    what: 'conntrack entries',
    decode: (datagram: Uint8Array) => {
      batch.length = 0
      return decodeConntrack(datagram, sequence, batch)
    },
  }
  for (const _datagram of dumpDatagrams(channel, dump)) if (batch.length > 0) yield batch
}
