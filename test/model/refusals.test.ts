import { describe, expect, test } from 'vitest'
import { parseAddress, parseEndpoint } from '../../src/model/addresses.ts'
import { createStep, type ModelState } from '../../src/model/step.ts'
import type { Destination } from '../../src/snapshot.ts'
import { plainSocket, type WireSocket } from '../support/kernel/netlink-builder.ts'
import {
  createReading,
  plainSettings,
  plainStepOptions,
  replayDumps,
} from '../support/kernel/readings.ts'

const FIRST = 40_000
const PORTS = 100

interface Look {
  readonly sockets: readonly WireSocket[]
  readonly refused?: readonly Destination[]
  /** Connections opened since the look before. */
  readonly opened?: number
  /** What live connections say of timestamps. */
  readonly answer?: boolean
}

/** Samples five seconds apart, and what is known after the last: of connect(), and the cause of tcp_bind. */
function play(looks: readonly Look[], { tcpTwReuse = 0, gap = 5 } = {}) {
  const step = createStep(plainStepOptions)
  const range = { first: FIRST, last: FIRST + PORTS - 1 }
  const settings = { ...plainSettings, range, tcpTwReuse, tcpTimestamps: 1 }
  let state: ModelState | undefined
  let activeOpens = 1000
  return looks.map(({ sockets, refused, opened = 0, answer }, turn) => {
    activeOpens += opened
    const atSeconds = gap * turn
    const dumps = [{ protocol: 'tcp', explicit: false, sockets }] as const
    const context = {
      ...{ atSeconds, unixSeconds: 1_700_000_000 + atSeconds, refused },
      askTimestamps: () => answer,
    }
    const reading = createReading(replayDumps(dumps), settings)
    const taken = step(state, { ...reading, activeOpens }, context)
    state = taken.state
    const [connect, bind] = taken.namespace.pools
    const { availablePorts, uncertainPorts } = connect ?? {}
    return {
      ...{ availablePorts, uncertainPorts, exactness: taken.namespace.exactness },
      cause: bind?.cause?.cause,
    }
  })
}

const connection = (at: number, to: number, part: Partial<WireSocket> = {}): WireSocket => ({
  ...plainSocket,
  device: 0,
  local: [10, 0, 0, 5],
  localPort: FIRST + at,
  remote: [192, 168, 1, to],
  remotePort: 443,
  ...part,
})
const each = <T>(count: number, make: (at: number) => T): T[] =>
  Array.from({ length: count }, (_, at) => make(at))
const TIME_WAIT = { state: 6, timer: 3, expiresMs: 50_000 } as const
const to = (last: number): Destination => ({
  source: '10.0.0.5',
  destination: `192.168.1.${last}:443`,
})
/** Ten destinations, ten ports each, as clients that bind first leave them. */
const spread = each(100, (at) => connection(at, at % 10))

describe('refusals of a destination that has ports left', () => {
  test('close what is in doubt when that alone explains them, once three samples agree', () => {
    const looks = each(5, () => ({ sockets: spread, refused: [to(3)] }))
    const seen = play([{ sockets: spread }, ...looks])
    expect(seen.map(({ availablePorts }) => availablePorts)).toEqual([90, 90, 90, 90, 0, 0])
    // Its own ten connections may be bound or not: that changes nothing for it.
    expect(seen[5]).toMatchObject({ uncertainPorts: 0, exactness: 'inferred' })
  })

  test('prove nothing when as many connections were opened in between as there were ports', () => {
    const burst = (opened: number) => ({ sockets: spread, refused: [to(3)], opened })
    const ends = [45, 90].map((opened) => play(each(8, () => burst(opened))).at(-1))
    expect(ends.map((end) => end?.availablePorts)).toEqual([90, 90])
    expect(play(each(8, () => burst(44))).at(-1)).toMatchObject({ availablePorts: 0 })
  })

  test('prove nothing when the ports have come free since', () => {
    const full = { sockets: each(100, (at) => connection(at, 3)), refused: [to(3)] }
    const looks = each(5, () => [full, { sockets: spread, refused: [to(3)] }]).flat()
    expect(play(looks).at(-1)).toMatchObject({ availablePorts: 90 })
  })

  test('count of a destination that no connection leads to as well', () => {
    const looks = each(5, () => ({ sockets: spread, refused: [to(77)] }))
    expect(play(looks)[4]).toMatchObject({ availablePorts: 0, uncertainPorts: 0 })
  })

  test('leave a peer of which no connection has timestamps as it was', () => {
    const ended = each(48, (at) => connection(at, 3, TIME_WAIT))
    const sockets = [...ended, ...each(2, (at) => connection(48 + at, 3)), ...spread.slice(50)]
    const look = { sockets, answer: false }
    const refused = each(5, () => ({ ...look, refused: [to(3)] }))
    const seen = play([look, look, ...refused, ...each(14, () => look)], { tcpTwReuse: 1 })
    const before = seen[1]?.availablePorts ?? 0
    expect(seen.slice(1).filter(({ availablePorts = 0 }) => availablePorts > before)).toEqual([])
    expect(seen[6]?.availablePorts).toBe(0)
    expect(seen.at(-1)?.availablePorts).toBe(before)
  })

  test('are remembered of sixteen destinations', () => {
    const all = Array.from({ length: 20 }, (_, at) => to(50 + at))
    const step = createStep(plainStepOptions)
    const reading = { ...createReading([]), activeOpens: 1000 }
    const clock = { atSeconds: 5, unixSeconds: 5 }
    const { state } = step(undefined, reading, { ...clock, refused: all })
    const { refusals } = state.closed.refusals
    expect(refusals.map(({ destination }) => destination)).toEqual(
      all.slice(0, 16).map(({ destination }) => destination),
    )
  })

  test('are believed for a minute', () => {
    const refused = each(5, () => ({ sockets: spread, refused: [to(3)] }))
    const after = each(12, () => ({ sockets: spread }))
    const seen = play([...refused, ...after]).slice(4)
    expect(seen.map(({ availablePorts }) => availablePorts)).toEqual([
      ...each(12, () => 0),
      ...[90],
    ])
  })

  test('change nothing where ports are left that are in no doubt', () => {
    const sockets = spread.slice(0, 97)
    const looks = each(5, () => ({ sockets, refused: [to(3)] }))
    expect(play(looks)[4]).toMatchObject({ availablePorts: 90, uncertainPorts: 87 })
    const nearly = each(5, () => ({ sockets: spread.slice(0, 98), refused: [to(3)] }))
    expect(play(nearly)[4]).toMatchObject({ availablePorts: 2, uncertainPorts: 0 })
  })

  test('leave nothing exact, even where nothing in sight explains them', () => {
    const seen = play(each(6, () => ({ sockets: [], refused: [to(3)] })))
    expect(seen.map(({ availablePorts }) => availablePorts)).toEqual(each(6, () => 100))
    expect(seen.map(({ exactness }) => exactness)).toEqual([
      ...['exact', 'exact', 'exact', 'exact'],
      ...['inferred', 'inferred'],
    ])
  })

  test('are refuted by a destination that gets more ports than it had', () => {
    const growing = each(9, (turn) => ({
      sockets: [...spread, ...each(turn + 1, (at) => connection(10 * at, 3))],
      refused: [to(3)],
      opened: 1,
    }))
    const seen = play(growing)
    expect(seen.map(({ availablePorts }) => (availablePorts ?? 0) > 0)).toEqual(each(9, () => true))
  })

  test('hold TIME_WAITs of which nobody knows whether they can be recycled', () => {
    const sockets = each(100, (at) => connection(at, 3, TIME_WAIT))
    const seen = play(
      each(5, () => ({ sockets, refused: [to(3)] })),
      { tcpTwReuse: 1 },
    )
    expect(seen[1]).toMatchObject({ availablePorts: 100, uncertainPorts: 100 })
    expect(seen[4]).toMatchObject({ availablePorts: 0, uncertainPorts: 0 })
    const others = play(
      each(5, () => ({ sockets, refused: [to(4)] })),
      { tcpTwReuse: 1 },
    )
    // Of another destination they tell that the ports themselves are closed.
    expect(others[4]).toMatchObject({ availablePorts: 0 })
  })
})

describe('refusals of a destination whose live connections have timestamps', () => {
  const live = each(2, (at) => connection(at, 3))
  const left = each(98, (at) => connection(2 + at, 3, TIME_WAIT))
  const start: Look[] = each(3, () => ({ sockets: live, answer: true }))
  const mixed = (count: number, part: Partial<Look> = {}): Look[] =>
    each(count, () => ({ sockets: [...live, ...left], answer: true, ...part }))

  test('hold its TIME_WAITs, which are of machines without', () => {
    const seen = play([...start, ...mixed(5, { refused: [to(3)] })], { tcpTwReuse: 1 })
    expect(seen.slice(3).map(({ availablePorts }) => availablePorts)).toEqual([98, 98, 98, 0, 0])
    // Before anything was refused that was inferred.
    expect(seen[3]).toMatchObject({ exactness: 'inferred' })
    expect(seen.at(-1)).toMatchObject({ uncertainPorts: 0, exactness: 'inferred' })
  })

  test('leave them uncertain for minutes, whatever live connections say', () => {
    const looks = [...start, ...mixed(5, { refused: [to(3)] }), ...mixed(59)]
    const seen = play(looks, { tcpTwReuse: 1 }).slice(8)
    expect(seen.slice(0, 11).every(({ availablePorts }) => availablePorts === 0)).toBe(true)
    expect(seen.slice(11).map(({ uncertainPorts }) => uncertainPorts)).toEqual(each(48, () => 98))
  })

  test('hold those of this host as well, whose other end may be translated to another', () => {
    const home = { local: [127, 0, 0, 1], remote: [127, 0, 0, 1] }
    const refused = [{ source: '127.0.0.1', destination: '127.0.0.1:443' }]
    const [here, gone] = [live, left].map((all) => all.map((one) => ({ ...one, ...home })))
    const waiting: Look = { sockets: [...(here ?? []), ...(gone ?? [])] }
    const looks = [...each(3, () => ({ sockets: here ?? [] })), waiting]
    const seen = play([...looks, ...each(4, () => ({ ...waiting, refused }))], { tcpTwReuse: 1 })
    expect(seen.map(({ availablePorts }) => availablePorts)).toEqual([
      ...[98, 98, 98, 98],
      ...[98, 98, 98, 0],
    ])
  })

  test('prove nothing while as many connections were opened as there were TIME_WAITs', () => {
    const bursts = mixed(8, { refused: [to(3)], opened: 49 })
    expect(play([...start, ...bursts], { tcpTwReuse: 1 }).at(-1)).toMatchObject({
      availablePorts: 98,
    })
  })

  test('change nothing where other ports are left', () => {
    const looks = mixed(6, { refused: [to(3)], sockets: [...live, ...left.slice(9)] })
    expect(play([...start, ...looks], { tcpTwReuse: 1 }).at(-1)).toMatchObject({
      availablePorts: 98,
    })
  })
})

describe('refusals against what parity has acquitted', () => {
  /** All of connect()'s parity, to one destination: clients that do not bind, or so it looks. */
  const even = each(50, (at) => connection(2 * at, 7))
  const odd = each(50, (at) => connection(2 * at + 1, at % 10))

  test('close that too, where the rest does not explain them', () => {
    const sockets = [...even, ...odd]
    const before = each(2, () => ({ sockets: even }))
    expect(play(before)[1]).toMatchObject({ availablePorts: 50, uncertainPorts: 0 })
    const looks = each(4, () => ({ sockets, refused: [to(3)] }))
    const seen = play([...before, ...looks])
    expect(seen.map(({ availablePorts }) => (availablePorts ?? 0) > 0)).toEqual([
      ...[true, true, true, true, true],
      ...[false],
    ])
    expect(seen.at(-1)).toMatchObject({ uncertainPorts: 0, exactness: 'inferred' })
  })
})

describe('the cause of a full pool of bind()', () => {
  test('is that clients bind first, where many use ports that connect() would not have chosen', () => {
    expect(play([{ sockets: spread }])[0]).toMatchObject({ cause: 'bind_before_connect' })
    // Those of the first half alone are what connect() takes.
    const even = each(50, (at) => connection(2 * at, at % 10))
    const busy = each(100, (at) => connection(at, 77))
    expect(play([{ sockets: even }])[0]).toMatchObject({ cause: 'many_connections' })
    expect(play([{ sockets: [...even, ...busy] }])[0]).toMatchObject({ cause: 'many_connections' })
  })

  test('is not, where a burst to one destination has left TIME_WAITs that can be recycled', () => {
    const left = each(100, (at) => connection(at, 7, TIME_WAIT))
    const [look] = play([{ sockets: left }], { tcpTwReuse: 1 })
    expect(look).toMatchObject({ availablePorts: 100, cause: 'churn' })
  })

  test('is not, where a destination has all of the first half, or had a moment ago', () => {
    const most = each(90, (at) => connection(at < 40 ? 2 * at : 2 * (at - 40) + 1, 7))
    const rest = each(10, (at) => connection(80 + 2 * at, at))
    expect(play([{ sockets: [...most, ...rest] }])[0]).toMatchObject({ cause: 'many_connections' })
  })
})

describe('addresses in text', () => {
  test('are the words they were made of', () => {
    expect(parseEndpoint('10.0.0.9:443')).toEqual({
      address: [0, 0, 0xffff, 0x0a000009],
      port: 443,
    })
    expect(parseEndpoint('[2001:db8::1]:8443')).toEqual({
      address: [0x20010db8, 0, 0, 1],
      port: 8443,
    })
    expect(parseAddress('fe80::ffff:ffff')).toEqual([0xfe800000, 0, 0, 0xffffffff])
    expect([parseAddress('nowhere'), parseEndpoint('')]).toEqual([undefined, undefined])
  })
})
