// Whether a peer sends TCP timestamps: a dump of the live connections to one remote address and port, with INET_DIAG_INFO.
// Mirrors include/uapi/linux/inet_diag.h (struct inet_diag_hostcond) and tcp.h (struct tcp_info, tcpi_options).
// No dump tells it of a TIME_WAIT, which can be recycled only if they were negotiated
// (docs/development/port-model.md#what-listings-do-not-tell).
//
//   struct inet_diag_hostcond (8 and the address)
//   0  u8  family
//   1  u8  prefix length
//   4  s32 port, -1 for any
//   8  be32 address, one or four words

import { type PortRange, STATE } from '../observation.ts'
import { DIAG_MESSAGE_BYTES } from './diag-answer.ts'
import { openDiagChannel } from './diag-channel.ts'
import {
  AF_INET,
  AF_INET6,
  encodeDumpRequest,
  encodeFilter,
  TCPDIAG_GETSOCK,
} from './diag-request.ts'
import { type Libc, SystemError } from './libc.ts'
import {
  align4,
  attributeEnd,
  messageEnd,
  messageErrno,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_HEADER_BYTES,
} from './netlink.ts'
import type { NetlinkChannel } from './netlink-channel.ts'
import { refusable } from './refused-call.ts'

/** A remote address as four words, IPv4 as ::ffff:a.b.c.d, and the port. */
export interface Remote {
  readonly address: readonly number[]
  readonly port: number
}

const INET_DIAG_BC_D_COND = 8
const INET_DIAG_INFO = 2
const ATTRIBUTE_TYPE_MASK = 0x3fff
/** tcpi_options stands behind five bytes; its lowest bit is TCPI_OPT_TIMESTAMPS. */
const OPTIONS_OFFSET = 5
const TIMESTAMPS = 1
/** What has shaken hands and is not a minisock: those have no INET_DIAG_INFO. */
const STATES = [STATE.established, STATE.finWait1, STATE.closeWait, STATE.lastAck, STATE.closing]
const SEQUENCE = 1

/**
 * Looks at the first live connections of the range to `remote` that the kernel lists, in the calling thread's namespace.
 * Returns true where all of them negotiated timestamps, false where none did, 'mixed' where they differ, undefined where
 * there is none. Throws SourceError when the kernel refuses, DecodeError when the bytes are wrong.
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
  channel.send(encodePeerRequest(range, remote))
  for (;;) {
    const datagram = channel.receive()
    const { answers, done } = decodePeers(datagram)
    const [first] = answers
    if (first !== undefined) return answers.every((one) => one === first) ? first : 'mixed'
    if (done) return undefined
  }
}

export function encodePeerRequest(range: PortRange, remote: Remote): Uint8Array {
  const states = STATES.reduce((bits, state) => bits | (1 << state), 0)
  const program = encodePeerFilter(range, remote)
  return encodeDumpRequest(
    { kind: 'legacy' },
    { program, states, extensions: 1 << (INET_DIAG_INFO - 1) },
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

function decodePeers(datagram: Uint8Array): {
  readonly answers: boolean[]
  readonly done: boolean
} {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength)
  const answers: boolean[] = []
  for (let offset = 0; offset < datagram.length; ) {
    const end = messageEnd(view, offset, datagram.length)
    const type = view.getUint16(offset + 4, true)
    if (type === NLMSG_DONE || type === NLMSG_ERROR) {
      const errno = messageErrno(view, offset, end)
      if (errno !== 0) throw new SystemError('dump of peers', errno)
      if (type === NLMSG_DONE) return { answers, done: true }
    } else if (type === TCPDIAG_GETSOCK) {
      const options = findOptions(view, offset + NLMSG_HEADER_BYTES + DIAG_MESSAGE_BYTES, end)
      if (options !== undefined) answers.push((options & TIMESTAMPS) !== 0)
    }
    offset = Math.min(align4(end), datagram.length)
  }
  return { answers, done: false }
}

function findOptions(view: DataView, start: number, end: number): number | undefined {
  for (let offset = start; offset < end; ) {
    const next = attributeEnd(view, offset, end)
    const type = view.getUint16(offset + 2, true) & ATTRIBUTE_TYPE_MASK
    if (type === INET_DIAG_INFO && next > offset + 4 + OPTIONS_OFFSET) {
      return view.getUint8(offset + 4 + OPTIONS_OFFSET)
    }
    offset = align4(next)
  }
  return undefined
}
