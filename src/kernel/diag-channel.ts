// The dump of sockets over NETLINK_SOCK_DIAG: question -> batches.

import { createSocketBatch, type Protocol, type SocketBatch, STATE } from '../observation.ts'
import { DIAG_MESSAGE_BYTES, decodeDatagram } from './diag-answer.ts'
import { type DumpFilter, type DumpQuestion, encodeDumpRequest } from './diag-request.ts'
import type { Libc } from './libc.ts'
import { NLMSG_HEADER_BYTES } from './netlink.ts'
import {
  DATAGRAM_BYTES,
  dumpDatagrams,
  type NetlinkChannel,
  openNetlinkChannel,
} from './netlink-channel.ts'

const NETLINK_SOCK_DIAG = 4

/** Rows that fit into one datagram whatever the kernel sends. */
export const BATCH_ROWS = Math.ceil(DATAGRAM_BYTES / (NLMSG_HEADER_BYTES + DIAG_MESSAGE_BYTES))

/** Opens a diag socket in the calling thread's network namespace. See openNetlinkChannel(). */
export function openDiagChannel(libc: Libc, buffer?: Uint8Array): NetlinkChannel {
  return openNetlinkChannel(libc, NETLINK_SOCK_DIAG, buffer)
}

/**
 * Rows that a batch has before it is handed on. What follows works with tables, which the kernel's walk through its
 * sockets pushes out of the caches of the processor: they are fetched once for so many rows, not once for each
 * datagram.
 */
const FULL_ROWS = 4096

/** Creates a batch for dumpSockets(): a full one, and any datagram of a channel. */
export function createDumpBatch(): SocketBatch {
  return createSocketBatch(FULL_ROWS + BATCH_ROWS)
}

/**
 * Asks one question and yields its sockets, many at a time and always in the same `batch`, which has room for FULL_ROWS
 * and one datagram. Throws SourceError when the kernel refuses or stays silent, DecodeError when the bytes are wrong.
 *
 * The kernel knows an idle socket by its remote port, which is 0. So may be that of a connection: of those nothing
 * tells who chose the local port. They are left out, and the result says whether there were any.
 */
export function* dumpSockets(
  channel: NetlinkChannel,
  question: DumpQuestion,
  filter: DumpFilter,
  batch: SocketBatch,
): Generator<SocketBatch, boolean, void> {
  const protocol: Protocol = question.kind === 'legacy' ? 'tcp' : question.protocol
  const sequence = dumpSequence(question, filter)
  let leftOut = false
  const leaveOut = (_: SocketBatch, row: number) => {
    const isUntold = isConnectedToZero(batch, row)
    if (isUntold) leftOut = true
    return isUntold
  }
  const untold = filter.choice === 'explicit_or_idle' ? leaveOut : undefined
  const dump = {
    request: encodeDumpRequest(question, filter, sequence),
    what: `${protocol} sockets`,
    decode: (datagram: Uint8Array) => decodeDatagram(datagram, sequence, batch, untold),
  }
  batch.protocol = protocol
  batch.explicit = filter.choice === 'explicit' || filter.choice === 'explicit_or_idle'
  batch.length = 0
  for (const _datagram of dumpDatagrams(channel, dump)) {
    if (batch.length < FULL_ROWS) continue
    yield batch
    batch.length = 0
  }
  if (batch.length > 0) yield batch
  return leftOut
}

function isConnectedToZero({ remotePort, state }: SocketBatch, row: number): boolean {
  return remotePort[row] === 0 && state[row] !== STATE.listen && state[row] !== STATE.bound
}

/** Tells the answers of the dumps over one channel apart, should one have been abandoned half-way. */
function dumpSequence(question: DumpQuestion, filter: DumpFilter): number {
  const family = question.kind === 'legacy' ? 0 : question.family
  const protocol = question.kind === 'legacy' || question.protocol === 'tcp' ? 0 : 1
  const choice = ['auto', 'explicit', 'any', 'explicit_or_idle'].indexOf(filter.choice)
  return 1 + choice + 4 * protocol + 8 * family
}
