import { describe, expect, test } from 'vitest'
import { modelConnectPool } from '../../src/model/pools.ts'
import { createStep, type ModelState } from '../../src/model/step.ts'
import type { NamespaceState } from '../../src/snapshot.ts'
import { plainSocket, type WireSocket } from '../support/kernel/netlink-builder.ts'
import { createReading, plainSettings, replayDumps } from '../support/kernel/readings.ts'
import { account, connection, tcp } from './accounts.ts'

/** A destination with fewer ports has no row. */
const LEAST = 8

/** Ports each destination holds, in multiples of LEAST, by the last byte of its address; some in TIME_WAIT. */
type Load = Readonly<Record<number, number | { ports: number; timeWait: number }>>

function connect(load: Load): WireSocket[] {
  return Object.entries(load).flatMap(([to, held]) => {
    const { ports, timeWait } = typeof held === 'number' ? { ports: held, timeWait: 0 } : held
    return Array.from({ length: Math.round(LEAST * ports) }, (_, at): WireSocket => {
      const socket = { ...plainSocket, device: 0, localPort: 40000 + at }
      const remote = [192, 168, 1, Number(to)]
      if (at >= LEAST * timeWait) return { ...socket, remote }
      return { ...socket, remote, state: 6, timer: 3, expiresMs: 30_000 }
    })
  })
}

interface PlayOptions {
  readonly top: number
  readonly rangePorts?: number
  readonly reuse?: boolean
}

/** One sample after another, five seconds apart. */
function play({ top, rangePorts = 20, reuse = false }: PlayOptions, loads: readonly Load[]) {
  const step = createStep({
    top,
    peakWindowSeconds: 60,
    forecastHorizonSeconds: 900,
    destinations: true,
    listeners: true,
    owners: true,
  })
  const settings = {
    ...plainSettings,
    range: { first: 40000, last: 39999 + Math.round(LEAST * rangePorts) },
    tcpTwReuse: reuse ? 1 : 0,
  }
  let state: ModelState | undefined
  return loads.map((load, turn): NamespaceState => {
    const dumps = [{ protocol: 'tcp', explicit: false, sockets: connect(load) }] as const
    const clock = { atSeconds: 5 * turn, unixSeconds: 1_700_000_000 + 5 * turn }
    const taken = step(state, createReading(replayDumps(dumps), settings), clock)
    state = taken.state
    return taken.namespace
  })
}

/** The last bytes of the destinations that have a row. */
const rowsOf = (namespace: NamespaceState | undefined) =>
  namespace?.destinations?.rows.map(({ destination }) => /(\d+):443$/.exec(destination)?.[1])

const worstOf = (namespace: NamespaceState | undefined) => namespace?.pools[0]?.worstDestination

const hiddenOf = (namespace: NamespaceState | undefined) =>
  namespace?.truncated.ephemeral_port_destination_used_ports

describe('rankDestinations()', () => {
  test('gives the best a row, worst first, ties in the order of addresses', () => {
    const [only] = play({ top: 3 }, [{ 1: 2, 2: 4, 3: 1, 4: 4 }])
    expect(rowsOf(only)).toEqual(['2', '4', '1'])
  })

  test('keeps a member outside the best for two samples and drops it at the third', () => {
    const samples = play({ top: 1 }, [{ 1: 1 }, ...Array(4).fill({ 1: 1, 2: 9, 3: 8 })])
    expect(samples.map(rowsOf)).toEqual([['1'], ['2', '1'], ['2', '1'], ['2'], ['2']])
  })

  test('counts only samples in a row, so one good sample lets a member stay', () => {
    const [out, back] = [
      { 1: 1, 2: 9, 3: 8 },
      { 1: 10, 2: 9 },
    ]
    const samples = play({ top: 1 }, [{ 1: 1 }, out, out, back, out, out, out])
    expect(samples.map(rowsOf)).toEqual([
      ['1'],
      ['2', '1'],
      ['2', '1'],
      ['1', '2'],
      ['2', '1'],
      ['2', '1'],
      ['2'],
    ])
  })

  test('keeps a member for good while it is among the best 2 x top', () => {
    const samples = play({ top: 1 }, [{ 1: 1 }, ...Array(5).fill({ 1: 1, 2: 9 })])
    expect(samples.slice(1).map(rowsOf)).toEqual(Array(5).fill(['2', '1']))
  })

  test('shows a member without connections at zero, behind all others, until it leaves', () => {
    const samples = play({ top: 2 }, [{ 1: 9 }, ...Array(3).fill({ 2: 1 })])
    expect(samples.map(rowsOf)).toEqual([['1'], ['2', '1'], ['2', '1'], ['2']])
    expect(samples[1]?.destinations?.rows[1]).toMatchObject({ usedPorts: 0, utilizationRatio: 0 })
    expect(worstOf(samples[1])?.destination).toBe('192.168.1.2:443')
  })

  test('never lists more than 2 x top, of which the least leaves first', () => {
    const samples = play({ top: 1 }, [{ 1: 1 }, { 1: 1, 2: 2 }, { 1: 1, 2: 2, 3: 3 }])
    expect(samples.map(rowsOf)).toEqual([['1'], ['2', '1'], ['3', '2']])
  })

  test('gives no row to a destination that only has reclaimable ports', () => {
    const [mixed, alone] = [
      { 1: { ports: 5, timeWait: 5 }, 2: 1 },
      { 1: { ports: 5, timeWait: 5 }, 2: { ports: 3, timeWait: 3 } },
    ].map((load) => play({ top: 9, reuse: true }, [load])[0])
    expect(rowsOf(mixed)).toEqual(['2'])
    expect(mixed?.pools[0]).toMatchObject({ reclaimablePorts: 0, availablePorts: 19 * LEAST })

    expect(rowsOf(alone)).toEqual([])
    expect(alone?.destinations).toEqual({ count: 2, rows: [], other: undefined })
    expect(hiddenOf(alone)).toBe(0)
    // Nobody is worst: then it is the most that any destination could recycle.
    expect(alone?.pools[0]).toMatchObject({
      reclaimablePorts: 5 * LEAST,
      availablePorts: 20 * LEAST,
      worstDestination: undefined,
    })
  })
})

describe('renderDestinations()', () => {
  test('sums what the rows leave out and counts the destinations behind it', () => {
    const load = { 1: 6, 2: { ports: 5, timeWait: 2 }, 3: { ports: 4, timeWait: 3 }, 4: 2, 5: 1 }
    const [only] = play({ top: 2 }, [load])
    expect(only?.destinations).toMatchObject({
      count: 5,
      rows: [
        { usedPorts: 6 * LEAST, timeWaitPorts: 0 },
        { usedPorts: 5 * LEAST, timeWaitPorts: 2 * LEAST },
      ],
      other: { usedPorts: 7 * LEAST, timeWaitPorts: 3 * LEAST },
    })
    expect(hiddenOf(only)).toBe(3)
  })

  test('leaves `other` out when every port is in a row', () => {
    const [only] = play({ top: 2 }, [{ 1: 3, 2: 2 }])
    expect(only?.destinations?.other).toBeUndefined()
    expect(hiddenOf(only)).toBe(0)
  })

  test('does not take a row that holds nothing for one of those that hold ports', () => {
    const [, later] = play({ top: 1 }, [{ 1: 9 }, { 2: 5, 3: 4, 4: 3 }])
    expect(rowsOf(later)).toEqual(['2', '1'])
    expect(later?.destinations?.other).toEqual({ usedPorts: 7 * LEAST, timeWaitPorts: 0 })
    expect(hiddenOf(later)).toBe(2)
  })

  test('does not count destinations of reclaimable ports alone as hidden', () => {
    const load = { 1: 5, 2: { ports: 9, timeWait: 9 }, 3: 1 }
    const [only] = play({ top: 1, reuse: true }, [load])
    expect(only?.destinations).toMatchObject({
      count: 3,
      other: { usedPorts: LEAST, timeWaitPorts: 0 },
    })
    expect(hiddenOf(only)).toBe(1)
  })
})

describe('a destination with few ports', () => {
  const few = (ports: number) => ports / LEAST

  test('gets a row from 8 ports on and keeps it to below half of them', () => {
    const loads = [7, 8, 4, 3, 3, 3].map((ports) => ({ 1: few(ports) }))
    const samples = play({ top: 5 }, loads)
    expect(samples.map(rowsOf)).toEqual([[], ['1'], ['1'], ['1'], ['1'], []])
    expect(samples.map((one) => one.destinations?.other?.usedPorts)).toEqual([
      ...[7, undefined, undefined, undefined, undefined, 3],
    ])
    expect(samples.map(hiddenOf)).toEqual([0, 0, 0, 0, 0, 0])
  })

  test('is the worst all the same, though nobody is named', () => {
    const [only] = play({ top: 5 }, [{ 1: few(7), 2: few(6) }])
    expect(only?.pools[0]).toMatchObject({ availablePorts: 153, worstDestination: undefined })
  })

  test('of a big range has less than 1 % of it', () => {
    const loads = [{ 1: few(29) }, { 1: few(30) }]
    const samples = play({ top: 5, rangePorts: 3000 / LEAST }, loads)
    expect(samples.map(rowsOf)).toEqual([[], ['1']])
  })

  test('of a tiny one has less than a quarter of what is open', () => {
    const samples = play({ top: 5, rangePorts: few(12) }, [{ 1: few(2) }, { 1: few(3) }])
    expect(samples.map(rowsOf)).toEqual([[], ['1']])
  })
})

describe('modelConnectPool()', () => {
  test.each([
    [[0, 2, 4, 6, 8, 10, 12, 14, 16], false],
    [[0, 2, 4, 6, 8, 10, 12, 14, 16, 18], true],
    [[1, 3, 5, 7, 9, 11, 13, 15, 17, 19], false],
  ])('searches slowly once the half is taken that connect() begins with: %j, %s', (at, slow) => {
    const sockets = at.map((offset) => ({ ...connection, localPort: 40_000 + offset }))
    const { ports, columns } = account(tcp(...sockets))
    const context = { worst: 0, members: [], previous: undefined }
    expect(modelConnectPool({ ports, columns, uncertainPorts: () => 0 }, context).slow).toBe(slow)
  })

  const named = (namespace: NamespaceState) => worstOf(namespace)?.destination.split(':')[0]

  test('keeps the name of the worst until a rival is worse by more than 1 % of the capacity', () => {
    const samples = play({ top: 5, rangePorts: 200 }, [
      { 1: 50, 2: 49 },
      { 1: 50, 2: 51 },
      { 1: 50, 2: 52 },
      { 1: 50, 2: 53 },
      { 1: 52, 2: 52 },
    ])
    expect(samples.map(named)).toEqual([
      '192.168.1.1',
      '192.168.1.1',
      '192.168.1.1',
      '192.168.1.2',
      '192.168.1.2',
    ])
    // The numbers are those of the worst all the same.
    expect(samples[2]?.pools[0]).toMatchObject({
      availablePorts: 148 * LEAST,
      utilizationRatio: 0.26,
    })
  })

  test('names the one that is exhausted, however little the other lacks', () => {
    const few = (one: number, two: number) => ({ 1: one / LEAST, 2: two / LEAST })
    const samples = play({ top: 5, rangePorts: 1000 / LEAST }, [
      ...[few(992, 900), few(992, 996), few(992, 999), few(992, 1000), few(1000, 1000)],
    ])
    expect(samples.map(named)).toEqual([
      ...['192.168.1.1', '192.168.1.1', '192.168.1.2', '192.168.1.2', '192.168.1.2'],
    ])
  })

  test('names another source of the same remote another destination', () => {
    const step = createStep({
      top: 5,
      peakWindowSeconds: 60,
      forecastHorizonSeconds: 900,
      destinations: true,
      listeners: true,
      owners: true,
    })
    const from = (last: number, ports: number) =>
      connect({ 9: ports }).map((socket) => ({ ...socket, local: [10, 0, 0, last] }))
    const read = (sockets: WireSocket[]) =>
      createReading(replayDumps([{ protocol: 'tcp', explicit: false, sockets }]))
    const clock = { atSeconds: 0, unixSeconds: 1_700_000_000 }
    const { state } = step(undefined, read([...from(7, 3), ...from(5, 2)]), clock)
    const later = step(state, read([...from(7, 3), ...from(5, 3)]), { ...clock, atSeconds: 5 })
    expect(worstOf(later.namespace)?.source).toBe('10.0.0.7')
  })
})
