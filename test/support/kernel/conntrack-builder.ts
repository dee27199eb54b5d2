// An encoder of the answers of ctnetlink and nf_tables, written from include/uapi/linux/netfilter/*.h and apart from the
// product's decoder, so that neither is tested against itself.

import { buildAttribute, buildMessage } from './netlink-builder.ts'

/** Addresses as four bytes. */
export interface WireTuple {
  readonly source: readonly number[]
  readonly destination: readonly number[]
  readonly sourcePort: number
  readonly destinationPort: number
  readonly zone?: number | undefined
}

export interface WireEntry {
  readonly protocol: number
  readonly original: WireTuple
  readonly reply: WireTuple
  /** Bits of enum ip_conntrack_status. */
  readonly status: number
  /** enum tcp_conntrack; undefined where there is no protocol info. */
  readonly tcpState?: number | undefined
  readonly zone?: number | undefined
}

const NESTED = 0x8000
export const STATUS = {
  assured: 4,
  confirmed: 8,
  sourceNat: 16,
  dying: 512,
  offload: 16384,
} as const

export const plainEntry: WireEntry = {
  protocol: 6,
  original: {
    source: [10, 77, 1, 5],
    destination: [10, 77, 2, 2],
    sourcePort: 33_333,
    destinationPort: 443,
  },
  reply: {
    source: [10, 77, 2, 2],
    destination: [10, 77, 2, 1],
    sourcePort: 443,
    destinationPort: 40_017,
  },
  status: STATUS.assured | STATUS.confirmed | STATUS.sourceNat,
  tcpState: 3,
}

function be16(value: number): number[] {
  return [value >> 8, value & 0xff]
}

export function be32(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff]
}

export function buildNest(type: number, ...attributes: readonly number[][]): number[] {
  return buildAttribute(type | NESTED, attributes.flat())
}

function buildTuple(type: number, protocol: number, tuple: WireTuple): number[] {
  const v6 = tuple.source.length === 16
  return buildNest(
    type,
    buildNest(
      1,
      buildAttribute(v6 ? 3 : 1, tuple.source),
      buildAttribute(v6 ? 4 : 2, tuple.destination),
    ),
    buildNest(
      2,
      buildAttribute(1, [protocol]),
      buildAttribute(2, be16(tuple.sourcePort)),
      buildAttribute(3, be16(tuple.destinationPort)),
    ),
    ...(tuple.zone === undefined ? [] : [buildAttribute(3, be16(tuple.zone))]),
  )
}

/** As ctnetlink_fill_info() orders it, with what it puts around it. */
export function buildEntry(entry: WireEntry, sequence: number): number[] {
  const { protocol, tcpState, zone } = entry
  return buildMessage(0x100, sequence, [
    2,
    0,
    0,
    0,
    ...buildTuple(1, protocol, entry.original),
    ...buildTuple(2, protocol, entry.reply),
    ...(zone === undefined ? [] : buildAttribute(18, be16(zone))),
    ...buildAttribute(3, be32(entry.status)),
    ...buildAttribute(7, be32(431_999)),
    ...(tcpState === undefined
      ? []
      : buildNest(
          4,
          buildNest(
            1,
            buildAttribute(1, [tcpState]),
            buildAttribute(2, [7]),
            buildAttribute(3, [7]),
            buildAttribute(4, [35, 0]),
            buildAttribute(5, [35, 0]),
          ),
        )),
    ...buildAttribute(8, be32(0)),
    ...buildAttribute(12, be32(0x12345678)),
    ...buildAttribute(11, be32(1)),
  ])
}

/** One expression of a rule, its data made of attributes. */
export function buildExpression(name: string, ...data: readonly number[][]): number[] {
  return buildNest(1, buildAttribute(1, [...Buffer.from(name), 0]), buildNest(2, ...data))
}

export function buildRule(sequence: number, ...expressions: readonly number[][]): number[] {
  const text = (value: string) => [...Buffer.from(value), 0]
  return buildMessage(0xa06, sequence, [
    2,
    0,
    0,
    0,
    ...buildAttribute(1, text('nat')),
    ...buildAttribute(2, text('post')),
    ...buildAttribute(3, [0, 0, 0, 0, 0, 0, 0, 9]),
    ...buildNest(4, ...expressions),
  ])
}

/** Loads bytes into a register. */
export function buildImmediate(register: number, value: readonly number[]): number[] {
  return buildExpression(
    'immediate',
    buildAttribute(1, be32(register)),
    buildNest(2, buildAttribute(1, value)),
  )
}
