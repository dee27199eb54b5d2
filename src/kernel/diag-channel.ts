// A NETLINK_SOCK_DIAG socket and the dump over it: question -> batches. The channel carries bytes only, so that tests
// replace the kernel at the datagram. It never blocks for longer than RECEIVE_TIMEOUT_MS.

import { createSocketBatch, type Protocol, type SocketBatch, SourceError } from '../observation.ts'
import { DIAG_MESSAGE_BYTES, decodeDatagram } from './diag-answer.ts'
import { type DumpFilter, type DumpQuestion, encodeDumpRequest } from './diag-request.ts'
import { errnoReason } from './errno.ts'
import { type Libc, SystemError } from './libc.ts'
import { NLMSG_HEADER_BYTES } from './netlink.ts'

export interface DiagChannel {
  send(request: Uint8Array): void
  /** The next datagram; its bytes are overwritten by the next call. */
  receive(): Uint8Array
  close(): void
}

const AF_NETLINK = 16
const SOCK_RAW = 3
const NETLINK_SOCK_DIAG = 4
const SOL_SOCKET = 1
const SO_RCVTIMEO = 20
const RECEIVE_TIMEOUT_MS = 1000

/**
 * The kernel fills at most 32 KiB a datagram (docs/development/port-model.md#what-can-be-seen); twice that shows it if
 * a kernel ever fills more.
 */
export const DATAGRAM_BYTES = 64 * 1024

/** Rows that fit into one datagram whatever the kernel sends. */
export const BATCH_ROWS = Math.ceil(DATAGRAM_BYTES / (NLMSG_HEADER_BYTES + DIAG_MESSAGE_BYTES))

/**
 * Opens a diag socket in the calling thread's network namespace. It keeps that namespace, and keeps it alive, until it
 * is closed, so close it in the function that opened it. Datagrams are received into `buffer`.
 */
export function openDiagChannel(
  libc: Libc,
  buffer: Uint8Array = new Uint8Array(DATAGRAM_BYTES),
): DiagChannel {
  const fd = libc.socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG)
  try {
    libc.setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, encodeTimeval(RECEIVE_TIMEOUT_MS))
  } catch (error) {
    libc.close(fd)
    throw error
  }
  return {
    send: (request) => libc.send(fd, request),
    receive: () => {
      const length = libc.recv(fd, buffer)
      if (length > buffer.length) {
        throw new SourceError(
          'malformed',
          `Cannot read socket dump: a datagram of ${length} bytes exceeds the buffer of ${buffer.length}`,
        )
      }
      return buffer.subarray(0, length)
    },
    close: () => libc.close(fd),
  }
}

/** Creates a batch that any datagram of a channel fits into. */
export function createDumpBatch(): SocketBatch {
  return createSocketBatch(BATCH_ROWS)
}

/**
 * Asks one question and yields its sockets datagram by datagram, each time in the same `batch`. Throws SourceError when
 * the kernel refuses or stays silent, DecodeError when the bytes are wrong.
 */
export function* dumpSockets(
  channel: DiagChannel,
  question: DumpQuestion,
  filter: DumpFilter,
  batch: SocketBatch,
): Generator<SocketBatch, void, void> {
  const protocol: Protocol = question.kind === 'legacy' ? 'tcp' : question.protocol
  const sequence = dumpSequence(question, filter)
  try {
    channel.send(encodeDumpRequest(question, filter, sequence))
    for (;;) {
      batch.protocol = protocol
      batch.explicit = filter.choice === 'explicit'
      batch.length = 0
      const end = decodeDatagram(channel.receive(), sequence, batch)
      if (typeof end === 'object') throw new SystemError(`dump of ${protocol} sockets`, end.errno)
      if (batch.length > 0) yield batch
      if (end === 'done') return
    }
  } catch (error) {
    if (!(error instanceof SystemError)) throw error
    throw new SourceError(
      errnoReason(error.code),
      `Cannot read ${protocol} sockets from netlink: ${error.message}`,
      { cause: error },
    )
  }
}

/** Tells the answers of the dumps over one channel apart, should one have been abandoned half-way. */
function dumpSequence(question: DumpQuestion, filter: DumpFilter): number {
  const family = question.kind === 'legacy' ? 0 : question.family
  const protocol = question.kind === 'legacy' || question.protocol === 'tcp' ? 0 : 1
  const choice = ['auto', 'explicit', 'any'].indexOf(filter.choice)
  return 1 + choice + 4 * protocol + 8 * family
}

/** struct timeval on 64-bit Linux: two 64-bit integers, seconds and microseconds. */
function encodeTimeval(milliseconds: number): Uint8Array {
  const bytes = new Uint8Array(16)
  const view = new DataView(bytes.buffer)
  view.setBigInt64(0, BigInt(Math.trunc(milliseconds / 1000)), true)
  view.setBigInt64(8, BigInt((milliseconds % 1000) * 1000), true)
  return bytes
}
