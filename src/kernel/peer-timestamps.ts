// Which live connections have TCP timestamps: dumps with INET_DIAG_INFO, of all in the range or of those to one remote
// address and port. And who listens: a peer that is this host sends timestamps when we do. Mirrors
// include/uapi/linux/inet_diag.h (struct inet_diag_hostcond) and tcp.h (struct tcp_info, tcpi_options). No dump tells
// it of a TIME_WAIT, which can be recycled only if they were negotiated
// (docs/development/port-model.md#what-listings-do-not-tell).
//
//   struct inet_diag_hostcond (8 and the address)
//   0  u8  family
//   1  u8  prefix length
//   4  s32 port, -1 for any
//   8  be32 address, one or four words

import { createSocketBatch, FLAG, type PortRange, type SocketBatch, STATE } from '../observation.ts'
import { decodeDatagram, INET_DIAG_INFO } from './diag-answer.ts'
import { BATCH_ROWS, openDiagChannel } from './diag-channel.ts'
import {
  AF_INET,
  AF_INET6,
  encodeDumpRequest,
  encodeFilter,
  type RawFilter,
  STATE_BIT_LISTEN,
} from './diag-request.ts'
import { type Libc, SystemError } from './libc.ts'
import { dumpDatagrams, type NetlinkChannel } from './netlink-channel.ts'
import { refusable } from './refused-call.ts'

/** A remote address as four words, IPv4 as ::ffff:a.b.c.d, and the port. */
export interface Remote {
  readonly address: readonly number[]
  readonly port: number
}

const INET_DIAG_BC_D_COND = 8
/** What has shaken hands and is not a minisock: those have no INET_DIAG_INFO. */
const STATES = bitsOf([
  STATE.established,
  STATE.finWait1,
  STATE.closeWait,
  STATE.lastAck,
  STATE.closing,
])
/** A FIN_WAIT2 is a minisock only once its owner has gone. */
const ALL_LIVE_STATES = STATES | bitsOf([STATE.finWait2])
const ASK_INFO = 1 << (INET_DIAG_INFO - 1)
const ALL_PORTS = { first: 0, last: 65_535 }
const SEQUENCE = 1

function bitsOf(states: readonly number[]): number {
  return states.reduce((bits, state) => bits | (1 << state), 0)
}

/**
 * Shows `see` every live connection of the range, many at a time and always in the same batch, with FLAG.timestamps or
 * FLAG.noTimestamps where the kernel tells. In the calling thread's namespace. Throws SourceError when the kernel
 * refuses, DecodeError when the bytes are wrong.
 */
export function readTimestamps(
  libc: Libc,
  range: PortRange,
  see: (batch: SocketBatch) => void,
): void {
  const program = encodeFilter(range, 'any')
  readAll(libc, { program, states: ALL_LIVE_STATES, extensions: ASK_INFO }, see)
}

/** Shows `see` every TCP listener of the calling thread's namespace. Throws as readTimestamps() does. */
export function readListeners(libc: Libc, see: (batch: SocketBatch) => void): void {
  const program = encodeFilter(ALL_PORTS, 'any')
  readAll(libc, { program, states: STATE_BIT_LISTEN, extensions: 0 }, see)
}

function readAll(libc: Libc, filter: RawFilter, see: (batch: SocketBatch) => void): void {
  const channel = refusable('Cannot read timestamps from netlink', () => openDiagChannel(libc))
  try {
    dumpAll(channel, filter, see)
  } finally {
    channel.close()
  }
}

function dumpAll(
  channel: NetlinkChannel,
  filter: RawFilter,
  see: (batch: SocketBatch) => void,
): void {
  const batch = createSocketBatch(BATCH_ROWS)
  const dump = {
    request: encodeDumpRequest({ kind: 'legacy' }, filter, SEQUENCE),
    what: 'live connections',
    decode: (datagram: Uint8Array) => decodeDatagram(datagram, SEQUENCE, batch),
  }
  for (const _datagram of dumpDatagrams(channel, dump)) {
    see(batch)
    batch.length = 0
  }
}

/**
 * Looks at the first live connections of the range to `remote` that the kernel lists, in the calling thread's
 * namespace. Returns true where all of them negotiated timestamps, false where none did, 'mixed' where they differ,
 * undefined where there is none. Throws SourceError when the kernel refuses, DecodeError when the bytes are wrong.
 */
export function readPeerTimestamps(
  libc: Libc,
  range: PortRange,
  remote: Remote,
): boolean | 'mixed' | undefined {
  return refusable('Cannot read timestamps from netlink', () => {
    const channel = openDiagChannel(libc)
    try {
      return askPeerTimestamps(channel, range, remote)
    } finally {
      channel.close()
    }
  })
}

/** Asks over a channel, of which it reads the first datagrams only: until one has a connection. */
export function askPeerTimestamps(
  channel: NetlinkChannel,
  range: PortRange,
  remote: Remote,
): boolean | 'mixed' | undefined {
  const batch = createSocketBatch(BATCH_ROWS)
  channel.send(encodePeerRequest(range, remote))
  for (;;) {
    const end = decodeDatagram(channel.receive(), SEQUENCE, batch)
    if (typeof end === 'object') throw new SystemError('dump of peers', end.errno)
    const told = batch.flags.subarray(0, batch.length).filter((flags) => flags !== 0)
    const [first] = told
    if (first !== undefined) {
      return told.every((one) => one === first) ? first === FLAG.timestamps : 'mixed'
    }
    if (end === 'done') return undefined
    batch.length = 0
  }
}

export function encodePeerRequest(range: PortRange, remote: Remote): Uint8Array {
  const program = encodePeerFilter(range, remote)
  return encodeDumpRequest(
    { kind: 'legacy' },
    { program, states: STATES, extensions: ASK_INFO },
    SEQUENCE,
  )
}

/** "Local port within the range and remote address and port": a condition that fails jumps beyond the end. */
function encodePeerFilter(range: PortRange, { address, port }: Remote): Uint8Array {
  const isIpv4 = address[0] === 0 && address[1] === 0 && address[2] === 0xffff
  const words = isIpv4 ? address.slice(3) : address
  const condition = new Uint8Array(12 + 4 * words.length)
  const view = new DataView(condition.buffer)
  view.setUint8(0, INET_DIAG_BC_D_COND)
  view.setUint8(1, condition.length)
  view.setUint16(2, condition.length + 4, true)
  view.setUint8(4, isIpv4 ? AF_INET : AF_INET6)
  view.setUint8(5, 32 * words.length)
  view.setInt32(8, port, true)
  words.forEach((word, index) => {
    view.setUint32(12 + 4 * index, word, false)
  })
  const local = encodeFilter(range, 'any')
  const program = new Uint8Array(local.length + condition.length)
  program.set(local)
  program.set(condition, local.length)
  // The conditions on the local port, of eight bytes each, jump beyond the end of the whole program.
  const whole = new DataView(program.buffer)
  whole.setUint16(2, program.length + 4, true)
  whole.setUint16(10, program.length - 8 + 4, true)
  return program
}
