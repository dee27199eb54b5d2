// Answers of nf_tables: one datagram -> rules that translate sources. Mirrors include/uapi/linux/netfilter/nf_tables.h
// and, for rules of iptables-nft, the xtables targets that it wraps (nf_nat.h).
//
// A rule is a list of expressions that work on registers: `masquerade to :40000-40099` loads two numbers with
// `immediate` and names the registers in `masq`.

import { DecodeError, type NatRule, type PortRange, type Protocol } from '../observation.ts'
import { NFGENMSG_BYTES } from './conntrack-request.ts'
import { type DatagramEnd, listAttributes, walkDatagram } from './netlink.ts'

const SUBSYSTEM = 10 << 8
export const NFT_MSG = {
  newRule: SUBSYSTEM | 6,
  getRule: SUBSYSTEM | 7,
  newGeneration: SUBSYSTEM | 15,
  getGeneration: SUBSYSTEM | 16,
} as const
const NFTA_GEN_ID = 1
const NFTA_RULE_EXPRESSIONS = 4
const NFTA_LIST_ELEM = 1
const NFTA_EXPR = { name: 1, data: 2 } as const
const NFTA_IMMEDIATE = { register: 1, data: 2 } as const
const NFTA_DATA_VALUE = 1
const NFTA_META = { register: 1, key: 2 } as const
const NFT_META = { familyOfPacket: 15, transport: 16 } as const
const NFTA_PAYLOAD = { register: 1, base: 2, offset: 3, length: 4 } as const
const NFT_PAYLOAD_NETWORK_HEADER = 1
const IPV4_PROTOCOL_OFFSET = 9
const NFTA_CMP = { register: 1, operator: 2, data: 3 } as const
const NFT_CMP_EQ = 0
const NFTA_MASQ = { firstPort: 2, lastPort: 3 } as const
const NFTA_NAT = {
  type: 1,
  family: 2,
  firstAddress: 3,
  lastAddress: 4,
  firstPort: 5,
  lastPort: 6,
  flags: 7,
} as const
const NFT_NAT_SNAT = 0
const NFT_REG32_00 = 8
const NFTA_TARGET = { name: 1, revision: 2, info: 3 } as const
const RANGE = { addresses: 1, ports: 2, netmap: 64 } as const
/** The family of a table; one of NFPROTO_INET holds rules for both. */
const NFPROTO = { ipv4: 2, ipv6: 10 } as const
const PROTOCOLS: Readonly<Record<number, Protocol>> = { 6: 'tcp', 17: 'udp' }

type Attributes = ReadonlyMap<number, Uint8Array>

/**
 * Calls `found` for each rule of one datagram: with what it says of IPv4 sources, or undefined where it translates
 * none, and with whether it may translate IPv6 sources. Throws DecodeError when a length misleads.
 */
export function decodeRules(
  datagram: Uint8Array,
  sequence: number,
  found: (rule: NatRule | undefined, ipv6: boolean) => void,
): DatagramEnd {
  return walkDatagram(datagram, sequence, (view, type, start, end) => {
    if (type !== NFT_MSG.newRule) return
    const expressions = decodeMessage(view, start, end).get(NFTA_RULE_EXPRESSIONS)
    const made = expressions && decodeExpressions(expressions, view.getUint8(start))
    if (made === undefined) found(undefined, false)
    else found(made.family === NFPROTO.ipv6 ? undefined : made.rule, made.family !== NFPROTO.ipv4)
  })
}

/** Calls `found` with the generation, which changes with every change of any rule. */
export function decodeGeneration(
  datagram: Uint8Array,
  sequence: number,
  found: (generation: number) => void,
): DatagramEnd {
  let seen = false
  const end = walkDatagram(datagram, sequence, (view, type, start, end) => {
    if (type !== NFT_MSG.newGeneration) return
    found(numberOf(decodeMessage(view, start, end).get(NFTA_GEN_ID)) ?? 0)
    seen = true
  })
  return seen ? 'done' : end
}

function decodeMessage(view: DataView, start: number, end: number): Attributes {
  if (start + NFGENMSG_BYTES > end) {
    throw new DecodeError(
      `Cannot decode nf_tables message: ${end - start} bytes, need ${NFGENMSG_BYTES}`,
      start,
    )
  }
  return decodeAttributes(bytesOf(view, start + NFGENMSG_BYTES, end))
}

/** The payloads by type; of a list, whose elements share one type, see listElements(). */
function decodeAttributes(bytes: Uint8Array): Attributes {
  const attributes = new Map<number, Uint8Array>()
  for (const { type, payload } of walkAttributes(bytes)) attributes.set(type, payload)
  return attributes
}

function* walkAttributes(
  bytes: Uint8Array,
): Generator<{ readonly type: number; readonly payload: Uint8Array }> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (const { type, from, to } of listAttributes(view, 0, bytes.length)) {
    yield { type, payload: bytes.subarray(from, to) }
  }
}

interface SourceRule {
  /** One of NFPROTO, or another number where it applies to both. */
  readonly family: number
  readonly rule: NatRule
}

/** The rule that a list of expressions makes in a table of that family, undefined where it translates no source. */
function decodeExpressions(list: Uint8Array, tableFamily: number): SourceRule | undefined {
  const values = new Map<number, Uint8Array>()
  /** Registers that hold the number of the transport protocol, or that of the packet's family. */
  const loads = new Map<number, 'protocol' | 'family'>()
  const forget = (register: number): void => {
    for (const held of [values, loads]) {
      for (const other of held.keys()) if (blockOf(other) === blockOf(register)) held.delete(other)
    }
  }
  let family = tableFamily
  let protocol: Protocol | undefined
  for (const { type, payload } of walkAttributes(list)) {
    if (type !== NFTA_LIST_ELEM) continue
    const expression = decodeAttributes(payload)
    const data = decodeAttributes(expression.get(NFTA_EXPR.data) ?? new Uint8Array(0))
    const loaded = (register: number): Uint8Array | undefined =>
      values.get(numberOf(data.get(register)) ?? -1)
    const portsIn = (at: { readonly firstPort: number; readonly lastPort: number }) =>
      data.has(at.firstPort)
        ? (portsOf(loaded(at.firstPort), loaded(at.lastPort)) ?? 'unknown')
        : undefined
    switch (textOf(expression.get(NFTA_EXPR.name))) {
      case 'immediate': {
        const value = decodeAttributes(data.get(NFTA_IMMEDIATE.data) ?? new Uint8Array(0))
        const bytes = value.get(NFTA_DATA_VALUE)
        const register = numberOf(data.get(NFTA_IMMEDIATE.register))
        if (register === undefined) break
        forget(register)
        if (bytes !== undefined) values.set(register, bytes)
        break
      }
      case 'meta':
      case 'payload': {
        const register = numberOf(data.get(NFTA_META.register))
        if (register === undefined) break
        forget(register)
        const load = loadOf(data)
        if (load !== undefined) loads.set(register, load)
        break
      }
      case 'cmp': {
        const value = decodeAttributes(data.get(NFTA_CMP.data) ?? new Uint8Array(0))
        if (numberOf(data.get(NFTA_CMP.operator)) !== NFT_CMP_EQ) break
        const load = loads.get(numberOf(data.get(NFTA_CMP.register)) ?? -1)
        const wanted = value.get(NFTA_DATA_VALUE)?.[0] ?? 0
        if (load === 'family') family = wanted
        if (load === 'protocol') {
          protocol = PROTOCOLS[wanted]
          if (protocol === undefined) return undefined
        }
        break
      }
      case 'masq':
        return {
          family,
          rule: {
            protocol,
            addresses: undefined,
            ports: portsIn(NFTA_MASQ),
          },
        }
      case 'nat': {
        const flags = numberOf(data.get(NFTA_NAT.flags)) ?? 0
        if (numberOf(data.get(NFTA_NAT.type)) !== NFT_NAT_SNAT || flags & RANGE.netmap) break
        return {
          family: familyOf(numberOf(data.get(NFTA_NAT.family))) ?? family,
          rule: {
            protocol,
            addresses: addressesOf(loaded(NFTA_NAT.firstAddress), loaded(NFTA_NAT.lastAddress)),
            ports: portsIn(NFTA_NAT),
          },
        }
      }
      case 'target': {
        const rule = decodeTarget(data)
        if (rule) return { family, rule: { protocol, ...rule } }
        break
      }
      default:
        // It may have loaded any register anew, as ct, fib and numgen do.
        loads.clear()
        values.clear()
    }
  }
  return undefined
}

/** Registers of 16 bytes, NFT_REG_1 to NFT_REG_4, are made of four of 4 bytes each, NFT_REG32_00 and up. */
function blockOf(register: number): number {
  return register < NFT_REG32_00 ? register : 1 + Math.floor((register - NFT_REG32_00) / 4)
}

/** Undefined for NFPROTO_INET, which says nothing that the rule has not said before. */
function familyOf(family: number | undefined): number | undefined {
  return family === NFPROTO.ipv4 || family === NFPROTO.ipv6 ? family : undefined
}

/**
 * `meta nfproto`, `meta l4proto`, or `ip protocol` read from the packet, whose attributes have the numbers of those of
 * meta. Undefined of everything else.
 */
function loadOf(data: Attributes): 'protocol' | 'family' | undefined {
  if (!data.has(NFTA_PAYLOAD.length)) {
    const key = numberOf(data.get(NFTA_META.key))
    if (key === NFT_META.familyOfPacket) return 'family'
    return key === NFT_META.transport ? 'protocol' : undefined
  }
  const isProtocol =
    numberOf(data.get(NFTA_PAYLOAD.base)) === NFT_PAYLOAD_NETWORK_HEADER &&
    numberOf(data.get(NFTA_PAYLOAD.offset)) === IPV4_PROTOCOL_OFFSET &&
    numberOf(data.get(NFTA_PAYLOAD.length)) === 1
  return isProtocol ? 'protocol' : undefined
}

/**
 * MASQUERADE and SNAT of iptables-nft. Revision 0 is struct nf_nat_ipv4_multi_range_compat, in the host's byte order
 * but for addresses and ports: u32 count, u32 flags, be32 first and last address, be16 first and last port. Later ones
 * of SNAT are struct nf_nat_range: u32 flags, 16 bytes first and last address, be16 first and last port.
 */
function decodeTarget(data: Attributes): Omit<NatRule, 'protocol'> | undefined {
  const name = textOf(data.get(NFTA_TARGET.name))
  const info = data.get(NFTA_TARGET.info)
  if ((name !== 'MASQUERADE' && name !== 'SNAT') || info === undefined) return undefined
  const compat = (numberOf(data.get(NFTA_TARGET.revision)) ?? 0) === 0
  const at = compat
    ? { flags: 4, first: 8, last: 12, ports: 16 }
    : { flags: 0, first: 4, last: 20, ports: 36 }
  if (info.length < at.ports + 4) {
    throw new DecodeError(
      `Cannot decode the target ${name}: ${info.length} bytes, need ${at.ports + 4}`,
      0,
    )
  }
  const flags = new DataView(info.buffer, info.byteOffset).getUint32(at.flags, true)
  const part = (from: number, bytes: number) => info.subarray(from, from + bytes)
  return {
    addresses:
      flags & RANGE.addresses ? addressesOf(part(at.first, 4), part(at.last, 4)) : undefined,
    ports: flags & RANGE.ports ? portsOf(part(at.ports, 2), part(at.ports + 2, 2)) : undefined,
  }
}

function portsOf(first: Uint8Array | undefined, last = first): PortRange | undefined {
  if (first === undefined || last === undefined || first.length < 2 || last.length < 2) {
    return undefined
  }
  const ports = [first, last].map(([high = 0, low = 0]) => (high << 8) | low)
  return { first: Math.min(...ports), last: Math.max(...ports) }
}

function addressesOf(first: Uint8Array | undefined, last = first): NatRule['addresses'] {
  const [low, high] = [numberOf(first), numberOf(last)]
  return low === undefined || high === undefined ? undefined : { first: low, last: high }
}

/** A number of 32 bits in network order. */
function numberOf(bytes: Uint8Array | undefined): number | undefined {
  if (bytes === undefined || bytes.length < 4) return undefined
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, false)
}

/** A text that ends with a zero. */
function textOf(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? [])
    .toString('latin1')
    .replace(/\0.*$/s, '')
}

function bytesOf(view: DataView, start: number, end: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + start, end - start)
}
