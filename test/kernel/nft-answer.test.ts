import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeRules } from '../../src/kernel/nft-answer.ts'
import { DecodeError, type NatRule } from '../../src/observation.ts'
import {
  be32,
  buildExpression,
  buildImmediate,
  buildNest,
  buildRule,
} from '../support/kernel/conntrack-builder.ts'
import { buildAttribute } from '../support/kernel/netlink-builder.ts'
import { decodeExpressions, SEQUENCE } from '../support/kernel/nft-rules.ts'

const port = (value: number) => [value >> 8, value & 0xff]
const register = (type: number, number: number) => buildAttribute(type, be32(number))
const masquerade = buildExpression('masq', register(2, 1), register(3, 2))
const plainMasquerade = buildExpression('masq', register(1, 16))
const ports = [buildImmediate(1, port(40_000)), buildImmediate(2, port(40_099))]
const compare = (value: number, operator = 0) =>
  buildExpression(
    'cmp',
    register(1, 1),
    register(2, operator),
    buildNest(3, buildAttribute(1, [value])),
  )
const meta = (key: number) => buildExpression('meta', register(1, 1), register(2, key))
const load = (name: string) => buildExpression(name, register(1, 1))
const l4proto = (value: number, operator = 0) => [meta(16), compare(value, operator)]
const nfproto = (value: number, operator = 0) => [meta(15), compare(value, operator)]
const ipProtocol = (value: number) => [
  buildExpression('payload', register(1, 1), register(2, 1), register(3, 9), register(4, 1)),
  compare(value),
]
const sourceAddress = (to: number) =>
  buildExpression('payload', register(1, to), register(2, 1), register(3, 12), register(4, 4))
const snat = (...more: readonly number[][]) =>
  buildExpression('nat', register(1, 0), register(2, 2), ...more)
const target = (name: string, revision: number, info: readonly number[]) =>
  buildExpression(
    'target',
    buildAttribute(1, [...Buffer.from(name), 0]),
    register(2, revision),
    buildAttribute(3, info),
  )
const host32 = (value: number) => be32(value).reverse()
const address = [10, 77, 2, 9]
const ADDRESS = 0x0a4d0209
const wide = (bytes: readonly number[]) => [
  ...bytes,
  ...new Array<number>(16 - bytes.length).fill(0),
]

/** What `decodeRules()` is told of a rule in a table of that family, as its header has it. */
function decodeIn(family: number, ...expressions: readonly number[][]) {
  const bytes = Uint8Array.from(buildRule(SEQUENCE, ...expressions))
  bytes[16] = family
  const found: { readonly ipv4: boolean; readonly ipv6: boolean }[] = []
  decodeRules(bytes, SEQUENCE, (rule, ipv6) => found.push({ ipv4: rule !== undefined, ipv6 }))
  return found[0]
}

const none = { protocol: undefined, addresses: undefined, ports: undefined }
const range = { first: 40_000, last: 40_099 }

describe('decodeRules()', () => {
  test.each<[string, readonly number[][], NatRule | undefined]>([
    ['masquerade', [plainMasquerade], none],
    ['masquerade to :40000-40099', [...ports, masquerade], { ...none, ports: range }],
    [
      'masquerade to :40000',
      [buildImmediate(1, port(40_000)), buildExpression('masq', register(2, 1))],
      { ...none, ports: { first: 40_000, last: 40_000 } },
    ],
    ['meta l4proto tcp masquerade', [...l4proto(6), plainMasquerade], { ...none, protocol: 'tcp' }],
    [
      'ip protocol udp masquerade',
      [...ipProtocol(17), plainMasquerade],
      { ...none, protocol: 'udp' },
    ],
    ['meta l4proto != tcp masquerade', [...l4proto(6, 1), plainMasquerade], none],
    ['ip protocol icmp masquerade', [...ipProtocol(1), plainMasquerade], undefined],
    [
      'a register that held the protocol and was loaded with something else',
      [
        meta(16),
        buildExpression('payload', register(1, 1), register(2, 1), register(3, 8), register(4, 1)),
        compare(6),
        plainMasquerade,
      ],
      none,
    ],
    [
      'snat to 10.77.2.9',
      [buildImmediate(1, address), snat(register(3, 1))],
      { ...none, addresses: { first: ADDRESS, last: ADDRESS } },
    ],
    [
      'snat to 10.77.2.9-10.77.2.10:40000-40099',
      [
        buildImmediate(1, address),
        buildImmediate(2, [10, 77, 2, 10]),
        buildImmediate(3, port(40_000)),
        buildImmediate(4, port(40_099)),
        snat(register(3, 1), register(4, 2), register(5, 3), register(6, 4)),
      ],
      { ...none, addresses: { first: ADDRESS, last: ADDRESS + 1 }, ports: range },
    ],
    [
      'masquerade to ports of a map',
      [buildExpression('lookup', register(1, 1)), buildExpression('masq', register(2, 1))],
      { ...none, ports: 'unknown' },
    ],
    ['snat to a map', [buildExpression('lookup', register(1, 1)), snat(register(3, 1))], none],
    [
      'meta mark set 0x1 snat to ip saddr map { ... } : 40000-40099',
      [
        buildImmediate(1, [0, 0, 0, 1]),
        buildExpression('meta', register(2, 3), register(3, 1)),
        sourceAddress(1),
        buildExpression('lookup', register(1, 1), register(2, 1)),
        buildImmediate(2, port(40_000)),
        buildImmediate(3, port(40_099)),
        snat(register(3, 1), register(5, 2), register(6, 3)),
      ],
      { ...none, ports: range },
    ],
    ...['meta', 'payload', 'numgen'].map((load): [string, readonly number[][], NatRule] => [
      `a register with an address that ${load} has overwritten`,
      [
        buildImmediate(1, address),
        load === 'payload'
          ? sourceAddress(1)
          : buildExpression(load, register(1, 1), register(2, 3)),
        snat(register(3, 1)),
      ],
      none,
    ]),
    [
      'a part of a register with a port that a longer load has overwritten',
      [
        buildImmediate(9, port(40_000)),
        buildExpression('payload', register(1, 1), register(2, 1), register(3, 8), register(4, 16)),
        buildExpression('masq', register(2, 9)),
      ],
      { ...none, ports: 'unknown' },
    ],
    [
      'an address that the load of another register leaves alone',
      [buildImmediate(1, address), sourceAddress(2), snat(register(3, 1))],
      { ...none, addresses: { first: ADDRESS, last: ADDRESS } },
    ],
    [
      'a prefix, which maps addresses and no ports',
      [buildImmediate(1, address), snat(register(3, 1), register(7, 64 | 1))],
      undefined,
    ],
    [
      'dnat',
      [buildImmediate(1, address), buildExpression('nat', register(1, 1), register(3, 1))],
      undefined,
    ],
    [
      'accept',
      [buildExpression('immediate', register(1, 0), buildNest(2, buildNest(2, register(1, 1))))],
      undefined,
    ],
    [
      '-j MASQUERADE --to-ports 40000-40099',
      [
        ...ipProtocol(6),
        target('MASQUERADE', 0, [
          ...host32(1),
          ...host32(2),
          ...be32(0),
          ...be32(0),
          ...port(40_000),
          ...port(40_099),
        ]),
      ],
      { protocol: 'tcp', addresses: undefined, ports: range },
    ],
    [
      '-j SNAT --to-source 10.77.2.9:40000-40099, revision 0',
      [
        target('SNAT', 0, [
          ...host32(1),
          ...host32(3),
          ...address,
          ...address,
          ...port(40_000),
          ...port(40_099),
        ]),
      ],
      { ...none, addresses: { first: ADDRESS, last: ADDRESS }, ports: range },
    ],
    [
      '-j SNAT --to-source 10.77.2.9:40000-40099, revision 2',
      [
        target('SNAT', 2, [
          ...host32(3),
          ...wide(address),
          ...wide(address),
          ...port(40_000),
          ...port(40_099),
          0,
          0,
          0,
          0,
        ]),
      ],
      { ...none, addresses: { first: ADDRESS, last: ADDRESS }, ports: range },
    ],
    ['-j KUBE-MARK-MASQ', [target('MARK', 2, [...host32(1)])], undefined],
  ])('%s', (_rule, expressions, expected) => {
    expect(decodeExpressions(...expressions)).toEqual(expected === undefined ? [] : [expected])
  })

  test.each<[string, number, readonly number[][], boolean, boolean]>([
    ['table ip', 2, [...ports, masquerade], true, false],
    ['table ip6', 10, [...ports, masquerade], false, true],
    ['table inet', 1, [plainMasquerade], true, true],
    ['table inet, meta nfproto ipv4', 1, [...nfproto(2), plainMasquerade], true, false],
    ['table inet, meta nfproto ipv6', 1, [...nfproto(10), plainMasquerade], false, true],
    ['table inet, meta nfproto != ipv6', 1, [...nfproto(10, 1), plainMasquerade], true, true],
    [
      'table inet, snat ip',
      1,
      [buildImmediate(1, address), buildExpression('nat', register(1, 0), register(2, 2))],
      true,
      false,
    ],
    [
      'table inet, snat ip6',
      1,
      [buildImmediate(1, wide(address)), buildExpression('nat', register(1, 0), register(2, 10))],
      false,
      true,
    ],
    ['ct mark 10', 1, [...nfproto(2), load('ct'), compare(10), plainMasquerade], true, false],
    [
      'numgen inc mod 2 0',
      1,
      [...l4proto(6), load('numgen'), compare(0), plainMasquerade],
      true,
      true,
    ],
    [
      'snat of any family',
      1,
      [...nfproto(2), buildExpression('nat', register(1, 0), register(2, 1))],
      true,
      false,
    ],
    ['accept in table ip6', 10, [...l4proto(6)], false, false],
  ])('tells the families of %s apart', (_rule, family, expressions, ipv4, ipv6) => {
    expect(decodeIn(family, ...expressions)).toEqual({ ipv4, ipv6 })
  })

  test('refuses a target that is cut', () => {
    expect(() => decodeExpressions(target('SNAT', 0, [0, 0, 0, 0]))).toThrow(DecodeError)
  })

  test('survives any corruption', () => {
    const bytes = buildRule(SEQUENCE, ...l4proto(6), ...ports, masquerade)
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 8 }),
        (damage) => {
          const damaged = Uint8Array.from(bytes)
          for (const [at, value] of damage) damaged[at % damaged.length] = value
          try {
            decodeRules(damaged, SEQUENCE, () => {})
          } catch (error) {
            if (!(error instanceof DecodeError)) throw error
          }
        },
      ),
      { numRuns: 1000 },
    )
  })
})
