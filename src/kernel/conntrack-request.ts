// Questions to ctnetlink -> bytes. Mirrors include/uapi/linux/netfilter/{nfnetlink,nfnetlink_conntrack}.h, the filter
// is net/netfilter/nf_conntrack_netlink.c:ctnetlink_filter_match().
//
//   struct nfgenmsg (4), behind the netlink header of every message of this family
//   0  u8   family
//   1  u8   version (0)
//   2  be16 resource id

import { encodeAttribute, encodeMessage, NLM_F_REQUEST_DUMP } from './netlink.ts'

export const NFGENMSG_BYTES = 4
export const CT_NEW = 0x100
const CT_GET = 0x101
export const AF_INET = 2

/** Attributes of an entry. */
export const CTA = {
  tupleOriginal: 1,
  tupleReply: 2,
  status: 3,
  protoInfo: 4,
  zone: 18,
  filter: 25,
  statusMask: 26,
} as const
export const CTA_TUPLE = { ip: 1, proto: 2, zone: 3 } as const
export const CTA_IP = { v4Source: 1, v4Destination: 2 } as const
export const CTA_PROTO = { number: 1, sourcePort: 2, destinationPort: 3 } as const
const CTA_FILTER = { originalFlags: 1, replyFlags: 2 } as const
const FILTER_IP_DESTINATION = 1 << 1

/** Bits of an entry's status, include/uapi/linux/netfilter/nf_conntrack_common.h. */
export const IPS = {
  sourceNat: 1 << 4,
  dying: 1 << 9,
  fixedTimeout: 1 << 10,
  offload: 1 << 14,
  hardwareOffload: 1 << 15,
} as const

/**
 * Which entries the kernel sends. NB: kernels without a filter of this kind send all, so the reader must filter too.
 */
export interface ConntrackFilter {
  /** Entries whose source is translated, or those whose source is not. Undefined: both. */
  readonly sourceNat?: boolean
  /** An IPv4 address as a number, and the direction whose destination it is. */
  readonly destination?: { readonly direction: 'original' | 'reply'; readonly address: number }
}

/** Encodes a request for the IPv4 entries that fit the filter. `sequence` comes back in every message of the answer. */
export function encodeConntrackDump(filter: ConntrackFilter, sequence: number): Uint8Array {
  const { sourceNat, destination } = filter
  const attributes: Uint8Array[] = []
  if (sourceNat !== undefined) {
    attributes.push(encodeAttribute(CTA.status, be32(sourceNat ? IPS.sourceNat : 0)))
    attributes.push(encodeAttribute(CTA.statusMask, be32(IPS.sourceNat)))
  }
  if (destination !== undefined) {
    const original = destination.direction === 'original'
    const address = encodeAttribute(CTA_IP.v4Destination, be32(destination.address))
    const tuple = encodeAttribute(CTA_TUPLE.ip, address, { nested: true })
    const type = original ? CTA.tupleOriginal : CTA.tupleReply
    attributes.push(encodeAttribute(type, tuple, { nested: true }))
    const flags = Buffer.concat([
      encodeAttribute(CTA_FILTER.originalFlags, host32(original ? FILTER_IP_DESTINATION : 0)),
      encodeAttribute(CTA_FILTER.replyFlags, host32(original ? 0 : FILTER_IP_DESTINATION)),
    ])
    attributes.push(encodeAttribute(CTA.filter, flags, { nested: true }))
  }
  return encodeMessage(
    { type: CT_GET, flags: NLM_F_REQUEST_DUMP, sequence },
    Buffer.concat([encodeNfgenmsg(AF_INET), ...attributes]),
  )
}

/** Encodes the header that every message of this family begins with. */
export function encodeNfgenmsg(family: number): Uint8Array {
  return Uint8Array.of(family, 0, 0, 0)
}

function be32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value, false)
  return bytes
}

/** The flags of a filter are in the host's byte order, unlike everything else here. */
function host32(value: number): Uint8Array {
  return be32(value).reverse()
}
