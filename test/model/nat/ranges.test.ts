import { describe, expect, test } from 'vitest'
import {
  createRangeChooser,
  DEFAULT_NAT_RANGE,
  smallestNatRange,
} from '../../../src/model/nat/ranges.ts'
import type { NatRule } from '../../../src/observation.ts'
import { addressOf } from './conntrack.ts'

const address = addressOf('203.0.113.7')
const any: NatRule = { protocol: undefined, addresses: undefined, ports: undefined }
const ports = (first: number, last: number) => ({ first, last })
const snat = (first: string, last: string, range?: { first: number; last: number }): NatRule => ({
  ...any,
  addresses: { first: addressOf(first), last: addressOf(last) },
  ports: range,
})
/** Of clients with low ports, where a rule names no ports. */
const low = [ports(1, 511), ports(600, 1023)]
const plain = { ...DEFAULT_NAT_RANGE, rivals: [DEFAULT_NAT_RANGE, ...low] }
const choose = (rules: readonly NatRule[] | undefined, protocol: 'tcp' | 'udp' = 'tcp') =>
  createRangeChooser(protocol, { rules, unreadRules: false }, [])(address)

describe('createRangeChooser()', () => {
  test.each<[string, readonly NatRule[] | undefined, object]>([
    ['no rule could be read', undefined, { ...plain, origin: 'default' }],
    ['no rule fits', [snat('10.0.0.1', '10.0.0.2')], { ...plain, origin: 'default' }],
    ['masquerade without ports', [any], { ...plain, origin: 'rule' }],
    [
      'masquerade with ports',
      [{ ...any, ports: ports(40_000, 40_099) }],
      { ...ports(40_000, 40_099), origin: 'rule' },
    ],
    ['two rules that agree', [any, { ...any, protocol: 'tcp' }], { ...plain, origin: 'rule' }],
    [
      'two rules that differ: never their union',
      [
        { ...any, ports: ports(1024, 20_000) },
        { ...any, ports: ports(40_000, 40_099) },
      ],
      {
        ...ports(40_000, 40_099),
        origin: 'smallest_rule',
        rivals: [ports(40_000, 40_099), ports(1024, 20_000)],
      },
    ],
    ...[ports(40_000, 40_199), ports(39_900, 40_099), ports(50_000, 50_099)].map(
      (other): [string, readonly NatRule[], object] => [
        `two rules, one of ${other.first} to ${other.last}`,
        [
          { ...any, ports: other },
          { ...any, ports: ports(40_000, 40_099) },
        ],
        {
          ...ports(40_000, 40_099),
          origin: 'smallest_rule',
          rivals: [ports(40_000, 40_099), other],
        },
      ],
    ),
    [
      'a rule whose ports a map decides',
      [{ ...any, ports: 'unknown' }],
      { ...plain, origin: 'default' },
    ],
    [
      'such a rule beside another',
      [
        { ...any, ports: 'unknown' },
        { ...any, ports: ports(40_000, 40_099) },
      ],
      {
        ...ports(40_000, 40_099),
        origin: 'smallest_rule',
        rivals: [ports(40_000, 40_099), DEFAULT_NAT_RANGE, ...low],
      },
    ],
    [
      'such a rule beside one without ports',
      [{ ...any, ports: 'unknown' }, any],
      { ...plain, origin: 'default' },
    ],
    [
      'a rule of another protocol',
      [any, { ...any, protocol: 'udp', ports: ports(40_000, 40_009) }],
      { ...plain, origin: 'rule' },
    ],
    [
      'a rule that names the address, and masquerade to fewer ports',
      [{ ...any, ports: ports(50_000, 50_009) }, snat('203.0.113.7', '203.0.113.9')],
      {
        ...ports(50_000, 50_009),
        origin: 'smallest_rule',
        rivals: [ports(50_000, 50_009), DEFAULT_NAT_RANGE, ...low],
      },
    ],
    [
      'a rule that names the address with ports, and masquerade without',
      [any, snat('203.0.113.7', '203.0.113.9', ports(40_000, 40_099))],
      {
        ...ports(40_000, 40_099),
        origin: 'smallest_rule',
        rivals: [ports(40_000, 40_099), DEFAULT_NAT_RANGE, ...low],
      },
    ],
  ])('%s', (_name, rules, expected) => {
    expect(choose(rules)).toEqual(expected)
  })

  test('of a thousand rules all count, and one without ports beside them', () => {
    const blocks = Array.from({ length: 1000 }, (_, at) => ports(1024 + 64 * at, 1087 + 64 * at))
    const rules = [any, ...blocks.toReversed().map((block) => ({ ...any, ports: block }))]
    expect(choose(rules)).toEqual({
      ...blocks[0],
      origin: 'smallest_rule',
      rivals: [...blocks, DEFAULT_NAT_RANGE, ...low],
    })
  })

  test('each address has the ranges of the rules that name it, and those with the same rules share them', () => {
    const rules = [
      { ...any, ports: ports(50_000, 50_099) },
      snat('10.0.0.1', '10.0.0.3', ports(40_000, 40_009)),
      snat('10.0.0.3', '10.0.0.4', ports(41_000, 41_019)),
      snat('255.255.255.255', '255.255.255.255', ports(42_000, 42_019)),
    ]
    const rangeOf = createRangeChooser('tcp', { rules, unreadRules: false }, [])
    const firstsOf = (host: string) => {
      const { first, rivals = [] } = rangeOf(addressOf(host))
      return rivals.length > 0 ? rivals.map((one) => one.first) : [first]
    }
    expect(
      ['10.0.0.0', '10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5'].map(firstsOf),
    ).toEqual([
      [50_000],
      [40_000, 50_000],
      [40_000, 50_000],
      [40_000, 41_000, 50_000],
      [41_000, 50_000],
      [50_000],
    ])
    expect(firstsOf('255.255.255.255')).toEqual([42_000, 50_000])
    expect(rangeOf(addressOf('10.0.0.2'))).toBe(rangeOf(addressOf('10.0.0.1')))
  })

  test('rules that were made to have too many ranges for the addresses are refused', () => {
    // Each address has one rule more than the one before.
    const rules = Array.from({ length: 1000 }, (_, at): NatRule => {
      const addresses = { first: address + at, last: address + 4000 }
      return { ...any, addresses, ports: ports(1024 + at, 40_000) }
    })
    const rangeOf = createRangeChooser('tcp', { rules, unreadRules: false }, [])
    const all = (count: number) => Array.from({ length: count }, (_, at) => rangeOf(address + at))
    expect(all(700).at(-1)?.rivals?.length).toBe(700)
    // 724 x 725 / 2 are more than 262,144.
    expect(() => all(724)).toThrow(expect.objectContaining({ reason: 'unsupported' }))
  })

  test('rules that were not read may give any ports', () => {
    const chooseBeside = (rules: readonly NatRule[] | undefined) =>
      createRangeChooser('tcp', { rules, unreadRules: true }, [])(address)
    for (const rules of [undefined, [], [any], [any, { ...any, ports: 'unknown' as const }]]) {
      expect(chooseBeside(rules)).toEqual({ ...plain, origin: 'default' })
    }
    expect(chooseBeside([{ ...any, ports: ports(40_000, 40_099) }])).toEqual({
      ...ports(40_000, 40_099),
      origin: 'smallest_rule',
      rivals: [ports(40_000, 40_099), DEFAULT_NAT_RANGE, ...low],
    })
  })

  test('an option wins over all rules, for its address alone', () => {
    const options = [{ address, ...ports(2000, 2999) }]
    const rules = [{ ...any, ports: ports(40_000, 40_099) }]
    const chooser = createRangeChooser('udp', { rules, unreadRules: false }, options)
    expect(chooser(address)).toEqual({
      ...options[0],
      address: undefined,
      origin: 'option',
    })
    expect(chooser(address + 1).origin).toBe('rule')
  })
})

test('smallestNatRange() is the least that any rule or option leaves to a pool', () => {
  expect(smallestNatRange(undefined, [])).toBe(64_512)
  expect(smallestNatRange([any, { ...any, ports: ports(40_000, 40_099) }], [])).toBe(100)
  expect(smallestNatRange([], [{ address, ...ports(1, 20) }])).toBe(20)
})
