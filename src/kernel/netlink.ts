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
const NLMSG_ERROR = 2
const NLMSG_DONE = 3
export const NLM_F_REQUEST_DUMP = 0x301
/** The table changed while it was dumped: the dump is not of one moment, and may lack what was there all the time. */
const NLM_F_DUMP_INTR = 0x10
const NLATTR_HEADER_BYTES = 4
const NLA_F_NESTED = 0x8000
const ATTRIBUTE_TYPE_MASK = 0x3fff
const EINTR = 4

/** How a datagram ended: more to come, the dump is complete, or the kernel refused with an errno. */
export type DatagramEnd = 'more' | 'done' | { readonly errno: number }

/** #define NLMSG_ALIGN(len) ( ((len)+NLMSG_ALIGNTO-1) & ~(NLMSG_ALIGNTO-1) ), the same for attributes. */
export function align4(length: number): number {
  return (length + 3) & ~3
}

/**
 * Checks the header at `offset` and returns where its message ends. A length that misleads (shorter than the header,
 * beyond the datagram) is an error, so that walking a datagram always makes progress.
 */
function messageEnd(view: DataView, offset: number, datagramEnd: number): number {
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

/** Checks the attribute at `offset` inside a message in the same way, and returns where it ends. */
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
function messageErrno(view: DataView, offset: number, end: number): number {
  const payload = offset + NLMSG_HEADER_BYTES
  return payload + 4 <= end ? -view.getInt32(payload, true) : 0
}

/**
 * Calls `visit` with each message of one datagram that answers `sequence` and carries data. Messages of another
 * sequence are left-overs and are skipped. An interrupted dump ends with EINTR, as libmnl has it. Throws DecodeError
 * when a length misleads, and what `visit` throws.
 */
export function walkDatagram(
  datagram: Uint8Array,
  sequence: number,
  visit: (view: DataView, type: number, start: number, end: number) => void,
): DatagramEnd {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength)
  let offset = 0
  while (offset < datagram.length) {
    const end = messageEnd(view, offset, datagram.length)
    if (view.getUint32(offset + 8, true) === sequence) {
      const type = view.getUint16(offset + 4, true)
      if ((view.getUint16(offset + 6, true) & NLM_F_DUMP_INTR) !== 0) return { errno: EINTR }
      if (type === NLMSG_DONE || type === NLMSG_ERROR) {
        const errno = messageErrno(view, offset, end)
        if (errno !== 0) return { errno }
        if (type === NLMSG_DONE) return 'done'
      } else visit(view, type, offset + NLMSG_HEADER_BYTES, end)
    }
    offset = Math.min(align4(end), datagram.length)
  }
  return 'more'
}

/** Lists the attributes between two offsets, each with the bounds of its payload. Throws as attributeEnd() does. */
export function* listAttributes(
  view: DataView,
  start: number,
  end: number,
): Generator<{ readonly type: number; readonly from: number; readonly to: number }, void, void> {
  for (let offset = start; offset < end; ) {
    const to = attributeEnd(view, offset, end)
    yield { type: attributeType(view, offset), from: offset + NLATTR_HEADER_BYTES, to }
    offset = align4(to)
  }
}

/** The type of the attribute at `offset`, without its flags. */
export function attributeType(view: DataView, offset: number): number {
  return view.getUint16(offset + 2, true) & ATTRIBUTE_TYPE_MASK
}

/** The first word of such an attribute. */
export function attributeHead(length: number, type: number, nested = false): number {
  return (((type | (nested ? NLA_F_NESTED : 0)) << 16) | length) >>> 0
}

/** Encodes one attribute, padded to four bytes. */
export function encodeAttribute(
  type: number,
  payload: Uint8Array,
  { nested = false } = {},
): Uint8Array {
  const length = NLATTR_HEADER_BYTES + payload.length
  const bytes = new Uint8Array(align4(length))
  const view = new DataView(bytes.buffer)
  view.setUint16(0, length, true)
  view.setUint16(2, type | (nested ? NLA_F_NESTED : 0), true)
  bytes.set(payload, NLATTR_HEADER_BYTES)
  return bytes
}

/** Encodes one message. */
export function encodeMessage(
  { type, flags, sequence }: { type: number; flags: number; sequence: number },
  payload: Uint8Array,
): Uint8Array {
  const bytes = new Uint8Array(NLMSG_HEADER_BYTES + payload.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, bytes.length, true)
  view.setUint16(4, type, true)
  view.setUint16(6, flags, true)
  view.setUint32(8, sequence, true)
  bytes.set(payload, NLMSG_HEADER_BYTES)
  return bytes
}
