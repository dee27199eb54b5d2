// A netlink socket and the dump over it: request -> batches. The channel carries bytes only, so that tests replace the
// kernel at the datagram. It never blocks for longer than RECEIVE_TIMEOUT_MS, and no dump lasts longer than its limit,
// however fast its table grows.

import { SourceError } from '../observation.ts'
import { type Libc, SystemError } from './libc.ts'
import type { DatagramEnd } from './netlink.ts'
import { explainRefusal } from './refused-call.ts'

export interface NetlinkChannel {
  send(request: Uint8Array): void
  /** The next datagram; its bytes are overwritten by the next call. */
  receive(): Uint8Array
  close(): void
}

/** The family of addresses and devices. */
export const NETLINK_ROUTE = 0

const AF_NETLINK = 16
const SOCK_RAW = 3
const SOL_SOCKET = 1
const SO_RCVTIMEO = 20
const RECEIVE_TIMEOUT_MS = 1000
const DUMP_TIMEOUT_MS = 30_000
const ETIMEDOUT = 110
/** A table that changes while it is dumped is still again in a moment. */
const MOST_ATTEMPTS = 3

/**
 * The kernel fills at most 32 KiB a datagram (docs/development/port-model.md#what-can-be-seen); twice that shows it if
 * a kernel ever fills more.
 */
export const DATAGRAM_BYTES = 64 * 1024

/**
 * Opens a socket of one netlink family in the calling thread's network namespace. It keeps that namespace, and keeps it
 * alive, until it is closed, so close it in the function that opened it. Datagrams are received into `buffer`.
 */
export function openNetlinkChannel(
  libc: Libc,
  family: number,
  buffer: Uint8Array = new Uint8Array(DATAGRAM_BYTES),
): NetlinkChannel {
  const fd = libc.socket(AF_NETLINK, SOCK_RAW, family)
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
          `Cannot read netlink: a datagram of ${length} bytes exceeds the buffer of ${buffer.length}`,
        )
      }
      return buffer.subarray(0, length)
    },
    close: () => libc.close(fd),
  }
}

export interface Dump {
  readonly request: Uint8Array
  /** What is dumped, in the plural, for error messages. */
  readonly what: string
  /** Longest time that it may take, DUMP_TIMEOUT_MS where it is not given. */
  readonly limitMs?: number
  /** Decodes one datagram into wherever the caller keeps its rows. */
  readonly decode: (datagram: Uint8Array) => DatagramEnd
}

/**
 * Sends the request and yields once for each datagram that was decoded, the last one included. Throws SourceError when
 * the kernel refuses, stays silent, was interrupted or never ends, and DecodeError when the bytes are wrong.
 */
export function* dumpDatagrams(
  channel: NetlinkChannel,
  { request, what, limitMs = DUMP_TIMEOUT_MS, decode }: Dump,
): Generator<void, void, void> {
  const deadline = performance.now() + limitMs
  try {
    channel.send(request)
    for (;;) {
      const end = decode(channel.receive())
      if (typeof end === 'object') throw new SystemError(`dump of ${what}`, end.errno)
      yield
      if (end === 'done') return
      if (performance.now() > deadline) throw new SystemError(`dump of ${what}`, ETIMEDOUT)
    }
  } catch (error) {
    throw explainRefusal(`Cannot read ${what} from netlink`, error)
  }
}

/**
 * Calls `dump` again while its table changes under it, MOST_ATTEMPTS times and `limitMs` at most, and tells it the time
 * that is left. Each attempt has a channel of its own: a dump that was left early goes on, and the kernel refuses
 * another dump beside it (EBUSY). Throws what `open` and `dump` throw.
 */
export function dumpUndisturbed<T>(
  open: () => NetlinkChannel,
  dump: (channel: NetlinkChannel, limitMs: number) => T,
  limitMs = DUMP_TIMEOUT_MS,
): T {
  const deadline = performance.now() + limitMs
  for (let attempt = 1; ; attempt++) {
    const channel = open()
    try {
      return dump(channel, deadline - performance.now())
    } catch (error) {
      if (!isInterrupted(error) || attempt === MOST_ATTEMPTS) throw error
    } finally {
      channel.close()
    }
  }
}

/** A dump that took too long is a timeout as well, but would take as long again. */
function isInterrupted(error: unknown): boolean {
  const cause = error instanceof SourceError ? error.cause : undefined
  return cause instanceof SystemError && cause.code === 'EINTR'
}

/** struct timeval on 64-bit Linux: two 64-bit integers, seconds and microseconds. */
function encodeTimeval(milliseconds: number): Uint8Array {
  const bytes = new Uint8Array(16)
  const view = new DataView(bytes.buffer)
  view.setBigInt64(0, BigInt(Math.trunc(milliseconds / 1000)), true)
  view.setBigInt64(8, BigInt((milliseconds % 1000) * 1000), true)
  return bytes
}
