// Answers of ctnetlink: one datagram -> rows of a ConntrackBatch. Mirrors net/netfilter/nf_conntrack_netlink.c:
// ctnetlink_fill_info(). An entry is a nest of attributes:
//
//   CTA_TUPLE_ORIG, CTA_TUPLE_REPLY          CTA_STATUS     be32
//     CTA_TUPLE_IP                           CTA_ZONE       be16, of both directions
//       CTA_IP_V4_SRC, CTA_IP_V4_DST  be32   CTA_PROTOINFO
//     CTA_TUPLE_PROTO                          CTA_PROTOINFO_TCP
//       CTA_PROTO_NUM                 u8         CTA_PROTOINFO_TCP_STATE  u8
//       CTA_PROTO_SRC_PORT, _DST_PORT be16
//     CTA_TUPLE_ZONE  be16, of this direction only

import { type ConntrackBatch, type ConntrackTuples, DecodeError } from '../observation.ts'
import {
  CT_NEW,
  CTA,
  CTA_IP,
  CTA_PROTO,
  CTA_TUPLE,
  IPS,
  NFGENMSG_BYTES,
} from './conntrack-request.ts'
import {
  align4,
  attributeEnd,
  attributeHead,
  attributeType,
  type DatagramEnd,
  walkDatagram,
} from './netlink.ts'

const IPPROTO_TCP = 6
const IPPROTO_UDP = 17
const CTA_PROTOINFO_TCP = 1
const CTA_PROTOINFO_TCP_STATE = 1
/**
 * The first of the states whose entries nf_nat_core.c:nf_nat_may_kill() evicts, include/uapi/.../nf_conntrack_tcp.h.
 */
const TCP_CONNTRACK_TIME_WAIT = 7
const NEVER_EVICTED = IPS.dying | IPS.fixedTimeout | IPS.offload | IPS.hardwareOffload

/** Bits that say which parts of a tuple were there. */
const PART = { source: 1, destination: 2, sourcePort: 4, destinationPort: 8, all: 15 } as const

/**
 * Appends the IPv4 entries of TCP and UDP of one datagram to `batch`, which must have room for one row in
 * ENTRY_LEAST_BYTES. Entries of other protocols and families have no port and are skipped, as are unknown attributes. A
 * short or misleading length throws DecodeError.
 */
export function decodeConntrack(
  datagram: Uint8Array,
  sequence: number,
  batch: ConntrackBatch,
): DatagramEnd {
  return walkDatagram(datagram, sequence, (view, type, start, end) => {
    if (type === CT_NEW) decodeEntry(view, start, end, batch)
  })
}

/** Netlink header, nfgenmsg and two tuples with addresses, protocol and ports: no row comes of less. */
export const ENTRY_LEAST_BYTES = 16 + NFGENMSG_BYTES + 2 * (4 + (4 + 2 * 8) + (4 + 3 * 8))

function decodeEntry(view: DataView, start: number, end: number, batch: ConntrackBatch): void {
  if (start + NFGENMSG_BYTES > end) {
    throw new DecodeError(
      `Cannot decode conntrack entry: ${end - start} bytes, need ${NFGENMSG_BYTES}`,
      start,
    )
  }
  const row = batch.length
  let original = 0
  let reply = 0
  let status = 0
  let state = 0
  batch.protocol[row] = 0
  batch.original.zone[row] = 0
  batch.reply.zone[row] = 0
  for (let offset = start + NFGENMSG_BYTES; offset < end; ) {
    const next = attributeEnd(view, offset, end)
    switch (attributeType(view, offset)) {
      case CTA.tupleOriginal:
        original = decodeTuple(view, offset + 4, next, batch, batch.original)
        break
      case CTA.tupleReply:
        reply = decodeTuple(view, offset + 4, next, batch, batch.reply)
        break
      case CTA.status:
        if (next >= offset + 8) status = view.getUint32(offset + 4, false)
        break
      case CTA.protoInfo:
        state = decodeState(view, offset + 4, next)
        break
      case CTA.zone:
        if (next >= offset + 6) {
          batch.original.zone[row] = view.getUint16(offset + 4, false)
          batch.reply.zone[row] = view.getUint16(offset + 4, false)
        }
        break
    }
    offset = align4(next)
  }
  if (original !== PART.all || reply !== PART.all) return
  const protocol = batch.protocol[row]
  if (protocol !== IPPROTO_TCP && protocol !== IPPROTO_UDP) return
  const sourceNat = (status & IPS.sourceNat) !== 0
  batch.sourceNat[row] = sourceNat ? 1 : 0
  batch.evictable[row] =
    sourceNat &&
    protocol === IPPROTO_TCP &&
    state >= TCP_CONNTRACK_TIME_WAIT &&
    (status & NEVER_EVICTED) === 0
      ? 1
      : 0
  batch.length = row + 1
}

/**
 * Lengths and types in a tuple of IPv4 and ports without a zone, in the order in which every kernel so far sends them.
 */
const USUAL = {
  bytes: 48,
  ip: attributeHead(20, CTA_TUPLE.ip, true),
  source: attributeHead(8, CTA_IP.v4Source),
  destination: attributeHead(8, CTA_IP.v4Destination),
  proto: attributeHead(28, CTA_TUPLE.proto, true),
  number: attributeHead(5, CTA_PROTO.number),
  sourcePort: attributeHead(6, CTA_PROTO.sourcePort),
  destinationPort: attributeHead(6, CTA_PROTO.destinationPort),
} as const

/** Whether a tuple can be read at fixed places, which is most of what decoding saves. */
function isUsual(view: DataView, start: number, end: number): boolean {
  return (
    end - start === USUAL.bytes &&
    view.getUint32(start, true) === USUAL.ip &&
    view.getUint32(start + 4, true) === USUAL.source &&
    view.getUint32(start + 12, true) === USUAL.destination &&
    view.getUint32(start + 20, true) === USUAL.proto &&
    view.getUint32(start + 24, true) === USUAL.number &&
    view.getUint32(start + 32, true) === USUAL.sourcePort &&
    view.getUint32(start + 40, true) === USUAL.destinationPort
  )
}

/** Fills the row of one direction and returns the bits of the parts that were there. */
function decodeTuple(
  view: DataView,
  start: number,
  end: number,
  batch: ConntrackBatch,
  tuples: ConntrackTuples,
): number {
  if (isUsual(view, start, end)) {
    const row = batch.length
    tuples.source[row] = view.getUint32(start + 8, false)
    tuples.destination[row] = view.getUint32(start + 16, false)
    batch.protocol[row] = view.getUint8(start + 28)
    tuples.sourcePort[row] = view.getUint16(start + 36, false)
    tuples.destinationPort[row] = view.getUint16(start + 44, false)
    return PART.all
  }
  let parts = 0
  for (let offset = start; offset < end; ) {
    const next = attributeEnd(view, offset, end)
    const type = attributeType(view, offset)
    if (type === CTA_TUPLE.ip)
      parts |= decodeAddresses(view, offset + 4, next, tuples, batch.length)
    else if (type === CTA_TUPLE.proto) parts |= decodePorts(view, offset + 4, next, batch, tuples)
    else if (type === CTA_TUPLE.zone && next >= offset + 6) {
      tuples.zone[batch.length] = view.getUint16(offset + 4, false)
    }
    offset = align4(next)
  }
  return parts
}

function decodeAddresses(
  view: DataView,
  start: number,
  end: number,
  tuples: ConntrackTuples,
  row: number,
): number {
  let parts = 0
  for (let offset = start; offset < end; ) {
    const next = attributeEnd(view, offset, end)
    const type = attributeType(view, offset)
    if (next >= offset + 8) {
      if (type === CTA_IP.v4Source) {
        tuples.source[row] = view.getUint32(offset + 4, false)
        parts |= PART.source
      } else if (type === CTA_IP.v4Destination) {
        tuples.destination[row] = view.getUint32(offset + 4, false)
        parts |= PART.destination
      }
    }
    offset = align4(next)
  }
  return parts
}

function decodePorts(
  view: DataView,
  start: number,
  end: number,
  batch: ConntrackBatch,
  tuples: ConntrackTuples,
): number {
  const row = batch.length
  let parts = 0
  for (let offset = start; offset < end; ) {
    const next = attributeEnd(view, offset, end)
    const type = attributeType(view, offset)
    if (type === CTA_PROTO.number) {
      if (next >= offset + 5) batch.protocol[row] = view.getUint8(offset + 4)
    } else if (next >= offset + 6) {
      if (type === CTA_PROTO.sourcePort) {
        tuples.sourcePort[row] = view.getUint16(offset + 4, false)
        parts |= PART.sourcePort
      } else if (type === CTA_PROTO.destinationPort) {
        tuples.destinationPort[row] = view.getUint16(offset + 4, false)
        parts |= PART.destinationPort
      }
    }
    offset = align4(next)
  }
  return parts
}

function decodeState(view: DataView, start: number, end: number): number {
  for (let offset = start; offset < end; ) {
    const next = attributeEnd(view, offset, end)
    if (attributeType(view, offset) === CTA_PROTOINFO_TCP) {
      for (let inner = offset + 4; inner < next; ) {
        const after = attributeEnd(view, inner, next)
        if (attributeType(view, inner) === CTA_PROTOINFO_TCP_STATE && after >= inner + 5) {
          return view.getUint8(inner + 4)
        }
        inner = align4(after)
      }
    }
    offset = align4(next)
  }
  return 0
}
