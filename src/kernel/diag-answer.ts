// Answers of NETLINK_SOCK_DIAG: one datagram -> rows of a SocketBatch. Mirrors include/uapi/linux/inet_diag.h,
// filled by net/ipv4/inet_diag.c:inet_diag_msg_common_fill() and tcp_diag.c.
//
//   struct inet_diag_msg (72)
//   0  u8   family            40 u32 interface       56 u32 rqueue
//   1  u8   state             44 u64 cookie          60 u32 wqueue
//   2  u8   timer             52 u32 expires (ms)    64 u32 uid
//   4  be16 source port                              68 u32 inode
//   6  be16 destination port                         72 attributes
//   8  be32[4] source address
//   24 be32[4] destination address

import { DecodeError, FLAG, type Protocol, type SocketBatch, STATE } from '../observation.ts'
import { AF_INET, AF_INET6, SOCK_DIAG_BY_FAMILY, TCPDIAG_GETSOCK } from './diag-request.ts'
import { align4, attributeEnd, attributeType, type DatagramEnd, walkDatagram } from './netlink.ts'

export const DIAG_MESSAGE_BYTES = 72
const V4_MAPPED = 0xffff
const TIMER_TIME_WAIT = 3
/** struct tcp_info: tcpi_options stands behind five bytes, its lowest bit is TCPI_OPT_TIMESTAMPS. */
export const INET_DIAG_INFO = 2
const OPTIONS_OFFSET = 5
const TIMESTAMPS = 1
const INET_DIAG_SKV6ONLY = 11
const INET_DIAG_CGROUP_ID = 21

/** The kernel's state numbers (include/net/tcp_states.h) agree with ours from 1 to 11 except for CLOSE. */
const KERNEL_CLOSE = 7
const KERNEL_NEW_SYN_RECV = 12

/**
 * Appends the sockets of one datagram to `batch`, whose columns must have room for `length / 88` rows, apart from those
 * that `leaveOut` is true of. Messages of another sequence are left-overs and skipped, like unknown attributes, message
 * types and families; a short fixed part or a misleading length throws DecodeError.
 */
export function decodeDatagram(
  datagram: Uint8Array,
  sequence: number,
  batch: SocketBatch,
  leaveOut?: (batch: SocketBatch, row: number) => boolean,
): DatagramEnd {
  return walkDatagram(datagram, sequence, (view, type, start, end) => {
    if (type !== SOCK_DIAG_BY_FAMILY && type !== TCPDIAG_GETSOCK) return
    const row = batch.length
    decodeSocket(view, start, end, batch)
    if (batch.length > row && leaveOut?.(batch, row)) batch.length = row
  })
}

function decodeSocket(view: DataView, at: number, end: number, batch: SocketBatch): void {
  if (at + DIAG_MESSAGE_BYTES > end) {
    throw new DecodeError(`Cannot decode socket: ${end - at} bytes, need ${DIAG_MESSAGE_BYTES}`, at)
  }
  const family = view.getUint8(at)
  if (family !== AF_INET && family !== AF_INET6) return

  const row = batch.length
  const minisock = view.getUint8(at + 2) === TIMER_TIME_WAIT
  const state = stateCode(view.getUint8(at + 1), batch.protocol)
  batch.state[row] = state
  batch.flags[row] = minisock ? FLAG.minisock : 0
  batch.localPort[row] = view.getUint16(at + 4, false)
  batch.remotePort[row] = view.getUint16(at + 6, false)
  copyAddress(view, at + 8, family, batch.localAddress, row * 4)
  copyAddress(view, at + 24, family, batch.remoteAddress, row * 4)
  batch.device[row] = view.getUint32(at + 40, true)
  batch.expiresMs[row] = minisock ? view.getUint32(at + 52, true) : 0
  batch.uid[row] = view.getUint32(at + 64, true)
  batch.cgroupId[row] = 0
  const isWaiting = state === STATE.listen || state === STATE.bound
  batch.inode[row] = isWaiting ? view.getUint32(at + 68, true) : 0
  decodeAttributes(view, at + DIAG_MESSAGE_BYTES, end, batch)
  batch.length = row + 1
}

function decodeAttributes(view: DataView, start: number, end: number, batch: SocketBatch): void {
  const row = batch.length
  for (let offset = start; offset < end; ) {
    const next = attributeEnd(view, offset, end)
    const type = attributeType(view, offset)
    if (type === INET_DIAG_SKV6ONLY && next >= offset + 5) {
      if (view.getUint8(offset + 4) !== 0)
        batch.flags[row] = (batch.flags[row] ?? 0) | FLAG.ipv6Only
    } else if (type === INET_DIAG_CGROUP_ID && next >= offset + 12) {
      batch.cgroupId[row] =
        view.getUint32(offset + 4, true) + view.getUint32(offset + 8, true) * 2 ** 32
    } else if (type === INET_DIAG_INFO && next > offset + 4 + OPTIONS_OFFSET) {
      const hasTimestamps = (view.getUint8(offset + 4 + OPTIONS_OFFSET) & TIMESTAMPS) !== 0
      const flag = hasTimestamps ? FLAG.timestamps : FLAG.noTimestamps
      batch.flags[row] = (batch.flags[row] ?? 0) | flag
    }
    offset = align4(next)
  }
}

function copyAddress(
  view: DataView,
  from: number,
  family: number,
  words: Uint32Array,
  to: number,
): void {
  if (family === AF_INET) {
    words[to] = 0
    words[to + 1] = 0
    words[to + 2] = V4_MAPPED
    words[to + 3] = view.getUint32(from, false)
    return
  }
  for (let word = 0; word < 4; word++) words[to + word] = view.getUint32(from + word * 4, false)
}

/** In a TCP dump CLOSE stands for state bit 13: bound, neither connected nor listening. The same for UDP. */
function stateCode(kernelState: number, protocol: Protocol): number {
  if (kernelState === KERNEL_CLOSE) return STATE.bound
  if (kernelState === KERNEL_NEW_SYN_RECV) return STATE.synRecv
  if (protocol === 'udp') return kernelState === STATE.established ? STATE.established : STATE.bound
  return kernelState <= STATE.closing ? kernelState : STATE.unknown
}
