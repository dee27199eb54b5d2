import { describe, expect, test } from 'vitest'
import {
  chooseNatRange,
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
  chooseNatRange({ address, protocol }, rules, [])

describe('chooseNatRange()', () => {
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

  test('of a hundred rules only the 64 with the fewest ports count', () => {
    const sizes = Array.from({ length: 100 }, (_, at) => 100 - at)
    const rules = sizes.map((size) => ({ ...any, ports: ports(40_000, 39_999 + size) }))
    expect(choose(rules).rivals).toEqual(
      sizes
        .toReversed()
        .slice(0, 64)
        .map((size) => ports(40_000, 39_999 + size)),
    )
  })

  test('an option wins over all rules, for its address alone', () => {
    const options = [{ address, ...ports(2000, 2999) }]
    const rules = [{ ...any, ports: ports(40_000, 40_099) }]
    expect(chooseNatRange({ address, protocol: 'udp' }, rules, options)).toEqual({
      ...options[0],
      address: undefined,
      origin: 'option',
    })
    expect(chooseNatRange({ address: address + 1, protocol: 'udp' }, rules, options).origin).toBe(
      'rule',
    )
  })
})

test('smallestNatRange() is the least that any rule or option leaves to a pool', () => {
  expect(smallestNatRange(undefined, [])).toBe(64_512)
  expect(smallestNatRange([any, { ...any, ports: ports(40_000, 40_099) }], [])).toBe(100)
  expect(smallestNatRange([], [{ address, ...ports(1, 20) }])).toBe(20)
})
