// IPv4 addresses of a namespace over NETLINK_ROUTE: RTM_GETADDR -> numbers. Mirrors include/uapi/linux/if_addr.h. Needs no
// right.
//
//   struct ifaddrmsg (8)
//   3  u8 scope
//   4  u32 index

import { DecodeError } from '../observation.ts'
import type { Libc } from './libc.ts'
import {
  align4,
  attributeEnd,
  attributeType,
  type DatagramEnd,
  encodeMessage,
  NLM_F_REQUEST_DUMP,
  walkDatagram,
} from './netlink.ts'
import { dumpDatagrams, openNetlinkChannel } from './netlink-channel.ts'
import { refusable } from './refused-call.ts'

const NETLINK_ROUTE = 0
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
  const channel = refusable('Cannot list addresses', () => openNetlinkChannel(libc, NETLINK_ROUTE))
  const addresses: number[] = []
  const request = encodeMessage(
    { type: RTM_GETADDR, flags: NLM_F_REQUEST_DUMP, sequence: SEQUENCE },
    Uint8Array.of(AF_INET, 0, 0, 0, 0, 0, 0, 0),
  )
  const decode = (datagram: Uint8Array) => decodeInterfaceAddresses(datagram, SEQUENCE, addresses)
  try {
    for (const _datagram of dumpDatagrams(channel, { request, what: 'addresses', decode })) {
      if (addresses.length >= most) break
    }
  } finally {
    channel.close()
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
    for (let offset = start + IFADDRMSG_BYTES; offset < end; ) {
      const next = attributeEnd(view, offset, end)
      if (attributeType(view, offset) === IFA_LOCAL && next >= offset + 8) {
        addresses.push(view.getUint32(offset + 4, false))
      }
      offset = align4(next)
    }
  })
}
