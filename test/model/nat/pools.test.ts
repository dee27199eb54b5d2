import { describe, expect, test } from 'vitest'
import type { NatOptions } from '../../../src/model/nat/step.ts'
import type { NatReading } from '../../../src/observation.ts'
import { addressOf, type Entry, readingOf } from './conntrack.ts'
import { connect, HUNDRED, NAT, play, poolOf, SERVER, shuffle } from './play.ts'

describe('the worst destination of a NAT pool', () => {
  test('has the values of the worst destination, though another was named before', () => {
    const rules = [
      { protocol: undefined, addresses: undefined, ports: { first: 10_000, last: 11_999 } },
    ]
    const order = shuffle(2000)
    const fill = (answers: string, count: number) =>
      order.slice(0, count).flatMap((port) => connect(1, { from: 10_000 + port, answers }))
    const [first, second] = ['198.51.100.1:443', '198.51.100.2:443']
    const playBoth = (one: number, other: number) =>
      play([
        readingOf(fill(first, one), { rules }),
        readingOf([...fill(first, one), ...fill(second, other)], { rules }),
      ])
    const alone = play([readingOf(fill(second, 1989), { rules })])
    expect(alone?.failureProbabilities[0]?.ratio).toBeGreaterThan(0.2)
    const both = playBoth(1974, 1989)
    expect(both?.failureProbabilities).toEqual(alone?.failureProbabilities)
    expect(poolOf(both)).toMatchObject({
      availablePorts: 11,
      worstDestination: { destination: second },
    })
    // Where the two are about as likely to fail the name stays, and the values are still those of the worse.
    expect(poolOf(playBoth(1940, 1942))).toMatchObject({
      availablePorts: 58,
      worstDestination: { destination: first },
    })
  })

  test('the worst destination is the one that fails most, however many ports it has left', () => {
    const rules = [
      { protocol: undefined, addresses: undefined, ports: { first: 10_000, last: 10_999 } },
    ]
    const block = connect(900, { from: 10_000 })
    const order = shuffle(1000).slice(0, 985)
    const spread = order.flatMap((port) =>
      connect(1, { from: 10_000 + port, answers: '198.51.100.10:443' }),
    )
    const nat = play([readingOf([...block, ...spread], { rules })])
    expect(nat?.failureProbabilities[0]?.ratio).toBeGreaterThan(0.3)
    expect(poolOf(nat)).toMatchObject({
      availablePorts: 100,
      worstDestination: { destination: SERVER },
    })
  })

  test.each<[string, number, Partial<Entry>, NatReading['rules'], string | undefined]>([
    ['645 of 64,512 ports', 645, {}, undefined, undefined],
    ['646 of 64,512 ports', 646, {}, undefined, SERVER],
    ['646 that may be evicted', 646, { evictable: true }, undefined, SERVER],
    ['8 of 100 ports', 8, {}, HUNDRED, SERVER],
    [
      '4 of 5 ports',
      4,
      {},
      [{ ...HUNDRED[0], ports: { first: 40_000, last: 40_004 } }] as never,
      undefined,
    ],
    [
      '5 of 5 ports',
      5,
      {},
      [{ ...HUNDRED[0], ports: { first: 40_000, last: 40_004 } }] as never,
      SERVER,
    ],
  ])('with %s the worst destination is named or not', (_, count, more, rules, destination) => {
    const nat = play([readingOf(connect(count, { from: 40_000, ...more }), { rules })])
    expect(poolOf(nat)?.worstDestination?.destination).toBe(destination)
  })

  test('of two destinations with few ports the one with more is the worst', () => {
    const other = connect(15, { from: 40_050, answers: '198.51.100.10:443' })
    const nat = play([readingOf([...connect(10), ...other], { rules: HUNDRED })])
    expect(poolOf(nat)).toMatchObject({
      availablePorts: 85,
      worstDestination: { destination: '198.51.100.10:443' },
    })
  })

  test('another destination is named once it has left more than 1 % less', () => {
    const mix = (count: number) =>
      readingOf([...connect(50), ...connect(count, { answers: '198.51.100.10:443' })], {
        rules: HUNDRED,
      })
    const namedAfter = (count: number) =>
      poolOf(play([mix(0), mix(count)]))?.worstDestination?.destination
    expect(namedAfter(51)).toBe(SERVER)
    expect(namedAfter(52)).toBe('198.51.100.10:443')
  })

  test('of two that may take as many ports still the one that fails sooner is the worst', () => {
    const rules = [{ ...HUNDRED[0], ports: { first: 40_000, last: 40_999 } }] as never
    const spread = shuffle(1000)
      .slice(0, 441)
      .flatMap((port) => connect(1, { from: 40_000 + port, answers: '198.51.100.10:443' }))
    const nat = play([readingOf([...spread, ...connect(440)], { rules })])
    expect(nat?.failureProbabilities[0]?.ratio).toBeCloseTo(0.01, 2)
    expect(poolOf(nat)).toMatchObject({
      availablePorts: 560,
      worstDestination: { destination: SERVER },
    })
  })

  test('fails hardly ever where all that is closed may be evicted', () => {
    const nat = play([readingOf(connect(100, { evictable: true }))], {
      natRanges: [{ address: addressOf(NAT), first: 40_000, last: 40_099 }],
    })
    expect(poolOf(nat)?.availablePorts).toBe(100)
    expect(nat?.failureProbabilities[0]?.ratio).toBeLessThan(0.001)
  })
})

describe('the rows of a NAT pool', () => {
  const natRanges = [{ address: addressOf(NAT), first: 40_000, last: 40_099 }]
  const wide = (count: number) =>
    connect(count, { from: 1024, answers: '198.51.100.10:443' }).map((entry) => ({
      ...entry,
      nat: entry.nat.replace(NAT, '203.0.113.8'),
    }))
  const rowsOf = (entries: readonly Entry[], changes: Partial<NatOptions> = { natRanges }) =>
    play([readingOf(entries)], changes)?.destinations.map(
      ({ destination, usedPorts }) => `${destination} ${usedPorts}`,
    )

  test('begin with what takes the largest share of its own range', () => {
    const rows = [`${SERVER} 50`, '198.51.100.10:443 700']
    expect(rowsOf([...wide(700), ...connect(50)])).toEqual(rows)
    expect(rowsOf([...wide(700), ...connect(50)], { natRanges, top: 1 })).toEqual([
      `${SERVER} 50`,
      'other 700',
    ])
  })

  test('leave out what is small in proportion, and what has fewer than eight ports', () => {
    expect(rowsOf([...wide(100), ...connect(50)])).toEqual([`${SERVER} 50`, 'other 100'])
    expect(rowsOf(connect(7))).toEqual(['other 7'])
    expect(rowsOf([...connect(8), ...wide(1)])).toEqual([`${SERVER} 8`, 'other 1'])
  })

  test('go by the ports that are taken for good', () => {
    const closed = connect(40, { from: 40_030, evictable: true, answers: '198.51.100.10:443' })
    const open = connect(30, { answers: '198.51.100.10:443' })
    expect(rowsOf([...closed, ...open, ...connect(60)], { natRanges, top: 1 })).toEqual([
      `${SERVER} 60`,
      'other 70',
    ])
  })
})
