import { describe, expect, test } from 'vitest'
import { createNatStep, type NatModelState } from '../../../src/model/nat/step.ts'
import type { NatReading } from '../../../src/observation.ts'
import { addressOf, type Entry, readingOf } from './conntrack.ts'
import { connect, HUNDRED, NAT, play, poolOf, SERVER } from './play.ts'

describe('the NAT of a namespace', () => {
  test('says nothing where nothing is translated', () => {
    const own = [{ client: `${NAT}:40000`, answers: SERVER, nat: `${NAT}:40000` }]
    expect(play([readingOf(own, { rules: HUNDRED })])).toBeUndefined()
  })

  test('tells what is left, what is free, and what holds the rest', () => {
    const entries = [...connect(70), ...connect(20, { from: 40_070, evictable: true })]
    const nat = play([readingOf(entries, { rules: HUNDRED })])
    expect(poolOf(nat)).toMatchObject({
      capacityPorts: 100,
      availablePorts: 30,
      unusedPorts: 10,
      reclaimablePorts: 20,
      utilizationRatio: 0.7,
      worstDestination: { source: NAT, destination: SERVER },
      heldPorts: { established: 70, time_wait: 0 },
      cause: { cause: 'nat_connections', ports: 70, owners: [{ owner: 'shop/cart' }] },
    })
    expect(poolOf(nat, 'nat_udp')).toMatchObject({
      capacityPorts: 100,
      availablePorts: 100,
      worstDestination: undefined,
      cause: undefined,
    })
    expect(nat?.failureProbabilities).toEqual([
      { pool: 'nat_tcp', ratio: 0 },
      { pool: 'nat_udp', ratio: 0 },
    ])
  })

  test('on a kernel that does not evict, closed connections hold their ports', () => {
    const entries = [...connect(10), ...connect(60, { from: 40_010, evictable: true })]
    expect(poolOf(play([readingOf(entries, { rules: HUNDRED, evicts: false })]))).toMatchObject({
      availablePorts: 30,
      unusedPorts: 30,
      reclaimablePorts: 0,
      heldPorts: { established: 10, time_wait: 60 },
      cause: { cause: 'nat_churn', ports: 60 },
    })
  })

  test('says when it was read and whether the kernel evicts', () => {
    const evicting = play([readingOf(connect(1)), readingOf(connect(1))])
    expect(evicting).toMatchObject({ readAtSeconds: 1_700_000_005, evicts: true })
    expect(play([readingOf(connect(1), { evicts: false })])).toMatchObject({ evicts: false })
  })

  test('a destination that is followed no longer does not count as an idle one', () => {
    const step = createNatStep({
      ...{ top: 2, peakWindowSeconds: 60, forecastHorizonSeconds: 900, natRanges: [] },
    })
    const ports = { first: 40_000, last: 40_399 }
    const rules = [{ protocol: undefined, addresses: undefined, ports }]
    const first = connect(40)
    const bigger = Array.from({ length: 45 }, (_, at) =>
      connect(60, { answers: `198.51.100.${100 + at}:443` }),
    ).flat()
    let state: NatModelState | undefined
    const followed = [0, 1, 2, 3, 4].map((turn) => {
      const reading = readingOf(turn === 0 ? first : [...first, ...bigger], { rules })
      const clock = { atSeconds: 5 * turn, unixSeconds: 5 * turn, nameClient: () => undefined }
      state = step(state, reading, clock)?.state
      return state?.pools.nat_tcp?.forecast.tracks.some(({ key }) => key.includes(SERVER))
    })
    expect(followed[0]).toBe(true)
    expect(followed.at(-1)).toBe(false)
  })

  test('an exhausted destination is certain to fail, and risk and ETA say so', () => {
    const nat = play([readingOf(connect(100), { rules: HUNDRED })])
    expect(poolOf(nat)).toMatchObject({ availablePorts: 0, riskRatio: 1, etaSeconds: 0 })
    expect(nat?.failureProbabilities[0]?.ratio).toBe(1)
  })

  test('a pool that fails sooner than it is full is known by that, not by its ports', () => {
    const block = connect(8000, { from: 10_000 })
    const spread = Array.from({ length: 9000 }, (_, at) => ({
      ...connect(1, { from: 1024 + 7 * at })[0],
      answers: '198.51.100.10:443',
    })) as Entry[]
    const rules = [{ ...HUNDRED[0], ports: { first: 10_000, last: 19_999 } }] as NatReading['rules']
    const nat = play([
      readingOf([...block, ...spread.filter(({ nat: to }) => Number(to.split(':')[1]) >= 10_000)], {
        rules,
      }),
    ])
    // 0.8 of 10,000 in one block: the product of the shares of starts is near 0.8^5.
    expect(nat?.failureProbabilities[0]?.ratio).toBeCloseTo(0.8 ** 5, 1)
    expect(poolOf(nat)?.worstDestination?.destination).toBe(SERVER)
  })

  test('a small range decides over a wide one that has more ports taken', () => {
    const other = '203.0.113.8'
    const nat = play(
      [
        readingOf([
          ...connect(90),
          ...connect(5000, { from: 1024 }).map((entry) => ({
            ...entry,
            nat: entry.nat.replace(NAT, other),
          })),
        ]),
      ],
      { natRanges: [{ address: addressOf(NAT), first: 40_000, last: 40_099 }] },
    )
    expect(poolOf(nat)).toMatchObject({ capacityPorts: 100, availablePorts: 10 })
    expect(nat?.ranges.filter(({ protocol }) => protocol === 'tcp')).toEqual([
      { protocol: 'tcp', source: NAT, firstPort: 40_000, lastPort: 40_099, origin: 'option' },
      { protocol: 'tcp', source: other, firstPort: 1024, lastPort: 65_535, origin: 'default' },
    ])
    expect(nat?.truncated).toMatchObject({ ephemeral_port_nat_range_info: 0 })
  })

  test('ranges that --top leaves out are counted', () => {
    const entries = [3, 1, 2].flatMap((last) =>
      connect(1).map((entry) => ({ ...entry, nat: entry.nat.replace(NAT, `203.0.113.20${last}`) })),
    )
    const nat = play([readingOf(entries)])
    const addresses = ['203.0.113.201', '203.0.113.202']
    expect(nat?.ranges.map(({ source }) => source)).toEqual([...addresses, ...addresses])
    expect(nat?.truncated).toMatchObject({ ephemeral_port_nat_range_info: 2 })
  })

  test('rows add up, with what is small in other, and ports outside the range in nothing', () => {
    const entries = [
      ...connect(60, { clients: 3 }),
      ...connect(7, { from: 40_090, answers: '198.51.100.10:443' }),
      ...connect(5, { from: 50_000 }),
    ]
    const nat = play([readingOf(entries, { rules: HUNDRED })])
    expect(nat?.destinations).toEqual([
      { protocol: 'tcp', source: NAT, destination: SERVER, usedPorts: 60 },
      { protocol: 'tcp', source: 'other', destination: 'other', usedPorts: 7 },
    ])
    expect(nat?.clients).toEqual([
      { protocol: 'tcp', client: '10.0.0.1', owner: 'shop/cart', ownerKind: 'pod', usedPorts: 27 },
      {
        protocol: 'tcp',
        client: '10.0.0.2',
        owner: 'unknown',
        ownerKind: 'unknown',
        usedPorts: 20,
      },
      { protocol: 'tcp', client: 'other', owner: 'other', ownerKind: 'other', usedPorts: 20 },
    ])
    expect(nat?.truncated).toEqual({
      ephemeral_port_nat_destination_used_ports: 1,
      ephemeral_port_nat_client_used_ports: 1,
      ephemeral_port_nat_range_info: 0,
    })
  })

  test('a destination without ports of its range has no row, and one without connections loses it', () => {
    const other = connect(50, { from: 40_040, answers: '198.51.100.10:443' })
    const outside = connect(5, { from: 50_000, answers: '198.51.100.11:443' })
    const nat = play([
      readingOf([...connect(40), ...other, ...outside], { rules: HUNDRED }),
      readingOf([...other, ...outside], { rules: HUNDRED }),
    ])
    expect(nat?.destinations).toEqual([
      { protocol: 'tcp', source: NAT, destination: '198.51.100.10:443', usedPorts: 50 },
    ])
    expect(nat?.truncated.ephemeral_port_nat_destination_used_ports).toBe(0)
  })

  test('what has no row is counted for both protocols', () => {
    const few = connect(7)
    const udp = connect(7).map((entry) => ({ ...entry, protocol: 'udp' as const }))
    const nat = play([readingOf([...few, ...udp], { rules: HUNDRED })])
    expect(nat?.truncated.ephemeral_port_nat_destination_used_ports).toBe(2)
    expect(nat?.pools.map(({ reclaimablePorts }) => reclaimablePorts)).toEqual([0, undefined])
  })

  test('a client keeps its row while it has few ports', () => {
    const clientsOf = (count: number) =>
      readingOf([...connect(60), ...connect(count, { from: 40_060, clients: 2 })], {
        rules: HUNDRED,
      })
    const rows = play([clientsOf(20), clientsOf(4)])?.clients
    expect(rows?.map(({ client, usedPorts }) => `${client} ${usedPorts}`)).toEqual([
      '10.0.0.1 62',
      '10.0.0.2 2',
    ])
  })

  test('an address that translates no more has no range any more', () => {
    const moved = connect(10).map((entry) => ({
      ...entry,
      nat: entry.nat.replace(NAT, '203.0.113.8'),
    }))
    const nat = play([readingOf(connect(10)), readingOf(moved)])
    expect(nat?.ranges.map(({ source }) => source)).toEqual(['203.0.113.8', '203.0.113.8'])
  })

  test('the forecast sees a small range fill beside a wide one', () => {
    const wide = connect(50, { from: 1024 }).map((entry) => ({
      ...entry,
      nat: entry.nat.replace(NAT, '203.0.113.8'),
    }))
    const rising = Array.from({ length: 12 }, (_, at) =>
      readingOf([...wide, ...connect(20 + 4 * at)]),
    )
    const natRanges = [{ address: addressOf(NAT), first: 40_000, last: 40_099 }]
    const pool = poolOf(play(rising, { natRanges }))
    // 36 ports left at 0.8 a second.
    expect(pool?.etaSeconds).toBeGreaterThan(30)
    expect(pool?.etaSeconds).toBeLessThan(60)
  })

  test('a pool keeps its size while nothing is translated, and the forecast sees it coming', () => {
    const quiet = play([
      readingOf(connect(10), { rules: HUNDRED }),
      readingOf([], { rules: HUNDRED }),
    ])
    expect(poolOf(quiet)).toMatchObject({
      capacityPorts: 100,
      availablePorts: 100,
      utilizationPeakRatio: 0.1,
    })
    const rising = Array.from({ length: 12 }, (_, at) =>
      readingOf(connect(20 + 4 * at), { rules: HUNDRED }),
    )
    const pool = poolOf(play(rising))
    expect(pool?.riskRatio).toBeGreaterThan(0.8)
    // 36 ports left at 0.8 a second.
    expect(pool?.etaSeconds).toBeGreaterThan(30)
    expect(pool?.etaSeconds).toBeLessThan(60)
  })
})
