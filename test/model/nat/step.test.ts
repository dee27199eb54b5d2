import { describe, expect, test } from 'vitest'
import { createNatStep, type NatModelState } from '../../../src/model/nat/step.ts'
import type { NatReading, NatRule } from '../../../src/observation.ts'
import type { NatState } from '../../../src/snapshot.ts'
import { addressOf, type Entry, readingOf } from './conntrack.ts'

const NAT = '203.0.113.7'
const SERVER = '198.51.100.9:443'
const HUNDRED = [
  { protocol: undefined, addresses: undefined, ports: { first: 40_000, last: 40_099 } },
]
const options = { top: 2, peakWindowSeconds: 60, forecastHorizonSeconds: 900, ranges: [] }

const connect = (count: number, more: Partial<Entry> & { from?: number; clients?: number } = {}) =>
  Array.from({ length: count }, (_, at): Entry => {
    const { from = 40_000, clients = 1, ...rest } = more
    const nat = `${NAT}:${from + at}`
    return { client: `10.0.0.${1 + (at % clients)}:${5000 + at}`, answers: SERVER, nat, ...rest }
  })

function play(readings: readonly NatReading[], changes: Partial<typeof options> = {}) {
  const step = createNatStep({ ...options, ...changes })
  let state: NatModelState | undefined
  let nat: NatState | undefined
  readings.forEach((reading, at) => {
    const learned = step(state, reading, {
      atSeconds: 5 * at,
      unixSeconds: 1_700_000_000 + 5 * at,
      nameClient: (address) =>
        address === '10.0.0.1' ? { owner: 'shop/cart', ownerKind: 'pod' } : undefined,
    })
    state = learned?.state
    nat = learned?.nat
  })
  return nat
}

const poolOf = (nat: NatState | undefined, name = 'nat_tcp') =>
  nat?.pools.find(({ pool }) => pool === name)

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

  test('of two rules for one destination the fuller range counts, unless one is part of the other', () => {
    const play2 = (last: number, entries: readonly Entry[]) => {
      const of = (first: number, last: number): NatRule => {
        return { protocol: 'tcp', addresses: undefined, ports: { first, last } }
      }
      const rules = [of(40_000, 40_029), of(last - 99, last)]
      return poolOf(play([readingOf(entries, { rules })]))
    }
    const both = [...connect(29), ...connect(60, { from: 50_000 })]
    expect(play2(50_099, both)).toMatchObject({ capacityPorts: 30, availablePorts: 1 })
    const wide = [...connect(12), ...connect(60, { from: 50_000 })]
    expect(play2(50_099, wide)).toMatchObject({ capacityPorts: 100, availablePorts: 40 })
    // Which of the two rules took the ports that both have is not known.
    const nested = [...connect(30), ...connect(20, { from: 40_050 })]
    expect(play2(40_099, nested)).toMatchObject({ capacityPorts: 100, availablePorts: 50 })
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
      { ranges: [{ address: addressOf(NAT), first: 40_000, last: 40_099 }] as never },
    )
    expect(poolOf(nat)).toMatchObject({ capacityPorts: 100, availablePorts: 10 })
    expect(nat?.ranges.filter(({ protocol }) => protocol === 'tcp')).toEqual([
      { protocol: 'tcp', source: NAT, firstPort: 40_000, lastPort: 40_099, origin: 'option' },
      { protocol: 'tcp', source: other, firstPort: 1024, lastPort: 65_535, origin: 'default' },
    ])
    expect(nat?.truncated).toMatchObject({ ephemeral_port_nat_range_info: 0 })
  })

  test('ranges that --top leaves out are counted', () => {
    const entries = [1, 2, 3].flatMap((last) =>
      connect(1).map((entry) => ({ ...entry, nat: entry.nat.replace(NAT, `203.0.113.20${last}`) })),
    )
    const nat = play([readingOf(entries)])
    expect(nat?.ranges).toHaveLength(4)
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
    expect(pool?.riskRatio).toBeGreaterThan(0.9)
    // 36 ports left at 0.8 a second.
    expect(pool?.etaSeconds).toBeGreaterThan(30)
    expect(pool?.etaSeconds).toBeLessThan(60)
  })
})
