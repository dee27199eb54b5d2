import { describe, expect, test } from 'vitest'
import type { NatRule } from '../../../src/observation.ts'
import type { NatState } from '../../../src/snapshot.ts'
import { addressOf, type Entry, readingOf } from './conntrack.ts'
import { connect, HUNDRED, NAT, play, poolOf, SERVER, shuffle } from './play.ts'

describe('the range of a destination', () => {
  test('of two rules a destination has the range that its ports are in, else the smaller', () => {
    const rules: readonly NatRule[] = [
      { protocol: 'tcp', addresses: undefined, ports: { first: 40_000, last: 40_029 } },
      { protocol: 'tcp', addresses: undefined, ports: { first: 50_000, last: 50_059 } },
    ]
    const at = (count: number, from: number, port: number) =>
      Array.from({ length: count }, (_, index) => ({
        client: `10.0.0.1:${1024 + index}`,
        answers: `198.51.100.9:${port}`,
        nat: `${NAT}:${from + index}`,
      }))
    const small = play([readingOf([...at(20, 40_000, 443), ...at(12, 50_000, 80)], { rules })])
    expect(poolOf(small)).toMatchObject({ capacityPorts: 30, availablePorts: 10 })
    const wide = play([readingOf([...at(2, 40_000, 443), ...at(58, 50_000, 80)], { rules })])
    expect(poolOf(wide)).toMatchObject({
      capacityPorts: 60,
      availablePorts: 2,
      worstDestination: { source: NAT, destination: '198.51.100.9:80' },
    })
  })

  describe('of two rules for one destination', () => {
    const of = (first: number, last: number): NatRule => {
      return { protocol: 'tcp', addresses: undefined, ports: { first, last } }
    }
    const plain: NatRule = { protocol: 'tcp', addresses: undefined, ports: undefined }
    const spread = (count: number, step: number, more: Partial<Entry> = {}) =>
      Array.from(
        { length: count },
        (_, at) => connect(1, { from: 1024 + step * at, ...more })[0],
      ).filter((entry) => entry !== undefined)
    const failureOf = (nat: NatState | undefined) => nat?.failureProbabilities[0]?.ratio

    test('the fuller range counts', () => {
      const rules = [of(40_000, 40_029), of(50_000, 50_099)]
      const both = [...connect(29), ...connect(60, { from: 50_000 })]
      const small = play([readingOf(both, { rules })])
      expect(poolOf(small)).toMatchObject({ capacityPorts: 30, availablePorts: 1 })
      const few = [...connect(12), ...connect(60, { from: 50_000 })]
      const wide = play([readingOf(few, { rules })])
      expect(poolOf(wide)).toMatchObject({ capacityPorts: 100, availablePorts: 40 })
    })

    test('ports that the kernel gives away do not make a range full', () => {
      const rules = [of(40_000, 40_029), of(50_000, 50_099)]
      const closed = [...connect(30, { evictable: true }), ...connect(60, { from: 50_000 })]
      const nat = play([readingOf(closed, { rules })])
      expect(poolOf(nat)).toMatchObject({ capacityPorts: 100, availablePorts: 40 })
      const kept = play([readingOf(closed, { rules, evicts: false })])
      expect(poolOf(kept)).toMatchObject({ capacityPorts: 30, availablePorts: 0 })
    })

    test.each([
      [12, 60, 100],
      [24, 60, 30],
      [15, 50, 30],
    ])('of closed connections alone, %i and %i, the range has %i ports', (few, many, size) => {
      const rules = [of(40_000, 40_029), of(50_000, 50_099)]
      const closed = [...connect(few), ...connect(many, { from: 50_000 })]
      const nat = play([
        readingOf(
          closed.map((one) => ({ ...one, evictable: true })),
          { rules },
        ),
      ])
      expect(poolOf(nat)).toMatchObject({ capacityPorts: size, availablePorts: size })
    })

    test('connections from low ports fill their own range within that of a rule', () => {
      const nat = play([readingOf(connect(200, { from: 700 }), { rules: [of(550, 1023), plain] })])
      expect(poolOf(nat)).toMatchObject({ capacityPorts: 424, availablePorts: 224 })
    })

    test('each of several destinations has the range of its own ports', () => {
      const rules = [of(40_000, 40_029), of(50_000, 50_059), of(55_000, 55_099)]
      const to = (last: number) => ({ answers: `198.51.100.${last}:443` })
      const all = [
        ...connect(40, { from: 50_000, ...to(1) }),
        ...connect(20, to(2)),
        ...connect(70, { from: 55_000, ...to(3) }),
      ]
      const nat = play([readingOf(all, { rules })], { top: 3 })
      expect(nat?.destinations.map(({ usedPorts }) => usedPorts)).toEqual([70, 40, 20])
      expect(poolOf(nat)).toMatchObject({ capacityPorts: 100, availablePorts: 30 })
    })

    test.each<[string, readonly NatRule[]]>([
      ['another with ports', [of(40_000, 40_099), of(30_000, 60_000)]],
      ['one without ports', [plain, of(40_000, 40_099)]],
      [
        'one that names the address',
        [
          of(40_000, 40_099),
          { ...plain, addresses: { first: addressOf(NAT), last: addressOf(NAT) } },
        ],
      ],
      [
        'nine others',
        [
          plain,
          ...[1, 2, 3, 4, 5, 6, 7, 8, 9].map((at) => of(100 * at, 100 * at + 20)),
          of(40_000, 40_099),
        ],
      ],
    ])('a full range that is part of %s is full', (_name, rules) => {
      const nat = play([readingOf([...connect(100), ...connect(150, { from: 41_000 })], { rules })])
      expect(poolOf(nat)).toMatchObject({
        capacityPorts: 100,
        availablePorts: 0,
        worstDestination: { destination: SERVER },
      })
      expect(failureOf(nat)).toBe(1)
      expect(nat?.ranges[0]?.origin).toBe('smallest_rule')
    })

    test('ports that are in the smaller one by chance make it not the range', () => {
      const rules = [plain, of(40_000, 40_099)]
      const nat = play([readingOf([...spread(900, 67), ...connect(2)], { rules })])
      expect(poolOf(nat)).toMatchObject({ capacityPorts: 64_512, availablePorts: 64_512 - 902 })
      const own = play([readingOf(connect(15), { rules })])
      expect(poolOf(own)).toMatchObject({ capacityPorts: 100, availablePorts: 85 })
    })

    test('the mirror: connections of the one without ports are counted', () => {
      const named = {
        ...of(50_000, 50_099),
        addresses: { first: addressOf(NAT), last: addressOf(NAT) },
      }
      const nat = play([readingOf(connect(130, { from: 33_000 }), { rules: [named, plain] })])
      expect(poolOf(nat)).toMatchObject({ capacityPorts: 64_512, availablePorts: 64_382 })
    })
  })

  test('ports that come and go in the smaller range by chance change nothing, and those of its own rule do', () => {
    const of = (first: number, last: number): NatRule => {
      return { protocol: 'tcp', addresses: undefined, ports: { first, last } }
    }
    const rules = [of(40_000, 40_029), of(39_000, 41_999)]
    const order = shuffle(3000)
    // A third of the wide range, other ports in each listing, so that the small one has 4 to 16 of them.
    const chance = (listing: number) =>
      order
        .slice(97 * listing, 97 * listing + 1000)
        .flatMap((port) => connect(1, { from: 39_000 + port }))
    const at = (listing: number) => readingOf(chance(listing), { rules })
    const listings = Array.from({ length: 20 }, (_, listing) => listing)
    for (const one of listings) expect(poolOf(play([at(one)]))?.capacityPorts).toBe(3000)
    expect(poolOf(play(listings.map(at)))).toMatchObject({ capacityPorts: 3000, riskRatio: 0 })

    // Beside a hundred ports of the wide range its own clients have 5 ports of it, or 14 and then fewer.
    const spread = Array.from({ length: 100 }, (_, at) => connect(1, { from: 39_000 + 10 * at })[0])
    const own = (ports: number) =>
      readingOf([...spread.filter((entry) => entry !== undefined), ...connect(ports)], { rules })
    const sizeAfter = (...ports: number[]) => poolOf(play(ports.map(own)))?.capacityPorts
    expect([sizeAfter(5), sizeAfter(14), sizeAfter(14, 5), sizeAfter(14, 1)]).toEqual([
      3000, 30, 30, 3000,
    ])
  })

  test('a range stands out from five standard deviations on, and goes on to from two', () => {
    const rules = [
      { protocol: 'tcp' as const, addresses: undefined, ports: { first: 40_000, last: 40_029 } },
      { protocol: 'tcp' as const, addresses: undefined, ports: { first: 39_000, last: 41_999 } },
    ]
    // A tenth of the ports outside: three of the thirty by chance, with a deviation of 1.64.
    const outside = Array.from({ length: 297 }, (_, at) =>
      connect(1, { from: at < 150 ? 39_000 + at : 41_000 + at }),
    ).flat()
    const own = (ports: number) => readingOf([...outside, ...connect(ports)], { rules })
    const sizeAfter = (...ports: number[]) => poolOf(play(ports.map(own)))?.capacityPorts
    expect([sizeAfter(11), sizeAfter(12), sizeAfter(12, 7), sizeAfter(12, 6)]).toEqual([
      3000, 30, 30, 3000,
    ])
  })

  test('one connection from a low port makes the pool no smaller', () => {
    const plain = [{ protocol: undefined, addresses: undefined, ports: undefined }]
    const mount = connect(1, { from: 700, answers: '198.51.100.10:2049' })
    for (const rules of [plain, undefined]) {
      const nat = play([readingOf([...connect(200), ...mount], { rules })])
      expect(poolOf(nat)).toMatchObject({ capacityPorts: 64_512, availablePorts: 64_512 - 200 })
    }
  })

  test('a pool of low ports that grows is known from eight ports on, and is not about to fail', () => {
    const rules = [{ protocol: undefined, addresses: undefined, ports: undefined }]
    const at = (ports: number) =>
      readingOf(
        [...connect(300), ...connect(ports, { from: 600, answers: '198.51.100.10:2049' })],
        {
          rules,
        },
      )
    const seen = (...ports: number[]) => poolOf(play(ports.map(at)))
    expect(seen(7)).toMatchObject({ capacityPorts: 64_512, availablePorts: 64_212 })
    expect(seen(8)).toMatchObject({ capacityPorts: 424, availablePorts: 416 })
    expect(seen(8, 4)).toMatchObject({ capacityPorts: 424, availablePorts: 420 })
    expect(seen(8, 3)).toMatchObject({ capacityPorts: 64_512, availablePorts: 64_212 })
    // From 80 to 92 ports within five minutes: there are 332 left.
    const growing = Array.from({ length: 60 }, (_, step) => 80 + Math.floor(step / 5))
    for (const listings of [growing.slice(0, 28), growing]) {
      expect(seen(...listings)?.riskRatio).toBeLessThan(0.1)
    }
  })

  test.each([
    ['1-511', 1, 511],
    ['600-1023', 600, 424],
  ])('clients with low ports have the range %s, where no rule names ports', (_name, from, size) => {
    const plain = [{ protocol: undefined, addresses: undefined, ports: undefined }]
    for (const rules of [plain, undefined]) {
      const ntp = connect(size, { from, protocol: 'udp' })
      const other = connect(300, { from: 20_000, protocol: 'udp' })
      const nat = play([readingOf([...ntp, ...other], { rules })])
      expect(poolOf(nat, 'nat_udp')).toMatchObject({
        capacityPorts: size,
        availablePorts: 0,
        worstDestination: { source: NAT, destination: SERVER },
      })
      expect(nat?.failureProbabilities[1]).toEqual({ pool: 'nat_udp', ratio: 1 })
      expect(poolOf(nat)).toMatchObject({ capacityPorts: 64_512, availablePorts: 64_512 })
    }
    const ported = play([readingOf(connect(40, { from }), { rules: HUNDRED })])
    expect(poolOf(ported)).toMatchObject({ capacityPorts: 100, availablePorts: 100 })
  })
})
