// Netlink framing: datagram -> messages. Mirrors include/uapi/linux/netlink.h.
// https://docs.kernel.org/userspace-api/netlink/intro.html
//
//   struct nlmsghdr          struct nlattr
//   0  u32 length            0  u16 length (header included)
//   4  u16 type              2  u16 type (two high bits are flags)
//   6  u16 flags
//   8  u32 sequence
//   12 u32 port id
//
// Integers are in the host's byte order; every platform koffi serves us on is little-endian.

import { DecodeError } from '../observation.ts'

export const NLMSG_HEADER_BYTES = 16
export const NLMSG_ERROR = 2
export const NLMSG_DONE = 3
export const NLM_F_REQUEST_DUMP = 0x301
const NLATTR_HEADER_BYTES = 4

/** #define NLMSG_ALIGN(len) ( ((len)+NLMSG_ALIGNTO-1) & ~(NLMSG_ALIGNTO-1) ), the same for attributes. */
export function align4(length: number): number {
  return (length + 3) & ~3
}

/**
 * Checks the header at `offset` and returns where its message ends. A length that misleads (shorter than the header,
 * beyond the datagram) is an error, so that walking a datagram always makes progress.
 */
export function messageEnd(view: DataView, offset: number, datagramEnd: number): number {
  if (offset + NLMSG_HEADER_BYTES > datagramEnd) {
    throw new DecodeError(
      `Cannot decode netlink header: ${datagramEnd - offset} bytes left, need ${NLMSG_HEADER_BYTES}`,
      offset,
    )
  }
  const length = view.getUint32(offset, true)
  if (length < NLMSG_HEADER_BYTES || offset + length > datagramEnd) {
    throw new DecodeError(
      `Cannot decode netlink message: length ${length} of ${datagramEnd - offset} bytes`,
      offset,
    )
  }
  return offset + length
}

/** The same for the attribute at `offset` inside a message. */
export function attributeEnd(view: DataView, offset: number, end: number): number {
  const length = offset + NLATTR_HEADER_BYTES <= end ? view.getUint16(offset, true) : 0
  if (length < NLATTR_HEADER_BYTES || offset + length > end) {
    throw new DecodeError(
      `Cannot decode netlink attribute: length ${length} of ${end - offset} bytes`,
      offset,
    )
  }
  return offset + length
}

/**
 * The errno that NLMSG_ERROR and NLMSG_DONE carry as their first word, as a positive number; 0 for success.
 * NLMSG_DONE of old kernels has no payload at all.
 */
export function messageErrno(view: DataView, offset: number, end: number): number {
  const payload = offset + NLMSG_HEADER_BYTES
  return payload + 4 <= end ? -view.getInt32(payload, true) : 0
}
