// IPv4 addresses of a namespace over NETLINK_ROUTE: RTM_GETADDR -> numbers. Mirrors include/uapi/linux/if_addr.h. Needs
// no right.
//
//   struct ifaddrmsg (8)
//   3  u8 scope
//   4  u32 index

import { DecodeError } from '../observation.ts'
import type { Libc } from './libc.ts'
import {
  type DatagramEnd,
  encodeMessage,
  listAttributes,
  NLM_F_REQUEST_DUMP,
  walkDatagram,
} from './netlink.ts'
import {
  dumpDatagrams,
  dumpUndisturbed,
  NETLINK_ROUTE,
  type NetlinkChannel,
  openNetlinkChannel,
} from './netlink-channel.ts'
import { refusable } from './refused-call.ts'

const RTM_NEWADDR = 20
const RTM_GETADDR = 22
const AF_INET = 2
const IFADDRMSG_BYTES = 8
const IFA_LOCAL = 2
const RT_SCOPE_HOST = 254
const SEQUENCE = 1

/**
 * Reads the addresses of the calling thread's namespace, without those of loopback kind, and stops at `most`. Throws
 * SourceError or DecodeError.
 */
export function readInterfaceAddresses(libc: Libc, most: number): readonly number[] {
  const open = () =>
    refusable('Cannot list addresses', () => openNetlinkChannel(libc, NETLINK_ROUTE))
  return dumpUndisturbed(open, (channel, limitMs) => dumpAddresses(channel, limitMs, most))
}

function dumpAddresses(channel: NetlinkChannel, limitMs: number, most: number): readonly number[] {
  const addresses: number[] = []
  const request = encodeMessage(
    { type: RTM_GETADDR, flags: NLM_F_REQUEST_DUMP, sequence: SEQUENCE },
    Uint8Array.of(AF_INET, 0, 0, 0, 0, 0, 0, 0),
  )
  const decode = (datagram: Uint8Array) => decodeInterfaceAddresses(datagram, SEQUENCE, addresses)
  for (const _ of dumpDatagrams(channel, { request, what: 'addresses', limitMs, decode })) {
    if (addresses.length >= most) break
  }
  return addresses.slice(0, most)
}

/** Appends the addresses of one datagram. Throws DecodeError when a length misleads. */
export function decodeInterfaceAddresses(
  datagram: Uint8Array,
  sequence: number,
  addresses: number[],
): DatagramEnd {
  return walkDatagram(datagram, sequence, (view, type, start, end) => {
    if (type !== RTM_NEWADDR) return
    if (start + IFADDRMSG_BYTES > end) {
      throw new DecodeError(
        `Cannot decode address: ${end - start} bytes, need ${IFADDRMSG_BYTES}`,
        start,
      )
    }
    if (view.getUint8(start) !== AF_INET || view.getUint8(start + 3) >= RT_SCOPE_HOST) return
    for (const { type, from, to } of listAttributes(view, start + IFADDRMSG_BYTES, end)) {
      if (type === IFA_LOCAL && to >= from + 4) addresses.push(view.getUint32(from, false))
    }
  })
}
