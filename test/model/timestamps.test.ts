import { describe, expect, test } from 'vitest'
import type { ShowSockets } from '../../src/model/own-timestamps.ts'
import { createStep, type ModelState } from '../../src/model/step.ts'
import { plainSocket, type WireSocket } from '../support/kernel/netlink-builder.ts'
import {
  createReading,
  plainSettings,
  plainStepOptions,
  replayDumps,
} from '../support/kernel/readings.ts'

const PORTS = 100
const settings = {
  ...plainSettings,
  range: { first: 40_000, last: 40_000 + PORTS - 1 },
  tcpTwReuse: 1,
}

interface Look {
  /** TIME_WAITs by the last byte of the peer. */
  readonly timeWaits: Readonly<Record<number, number>>
  readonly expiresMs?: number
  readonly own?: number
  /** What live connections say by the last byte of the peer; the property is missing where nobody may ask. */
  readonly answers?: Readonly<Record<number, boolean | 'mixed'>>
  /** Address at which this host listens; the property is missing where nobody may ask. */
  readonly listens?: readonly number[]
}

function timeWaits({ timeWaits, expiresMs = 50_000 }: Look, local?: readonly number[]) {
  return Object.entries(timeWaits).flatMap(([to, count], row) =>
    Array.from(
      { length: count },
      (_, at): WireSocket => ({
        ...plainSocket,
        ...{
          device: 0,
          state: 6,
          timer: 3,
          expiresMs,
          localPort: 40_000 + ((50 * row + at) % 100),
        },
        remote: local ?? [192, 168, 1, Number(to)],
        ...(local && { local: [...local] }),
      }),
    ),
  )
}

function showListener(local: readonly number[]): ShowSockets {
  const listener: WireSocket = {
    ...plainSocket,
    ...{ local, localPort: 443, remote: [0, 0, 0, 0], remotePort: 0, state: 10 },
  }
  return (see) => {
    for (const batch of replayDumps([{ protocol: 'tcp', explicit: true, sockets: [listener] }])) {
      see(batch)
    }
    return true
  }
}

/** One sample after another, `gap` seconds apart, and what was asked in each. */
function play(looks: readonly Look[], { gap = 5, local }: { gap?: number; local?: number[] } = {}) {
  const step = createStep(plainStepOptions)
  let state: ModelState | undefined
  return looks.map((look, turn) => {
    const asked: number[] = []
    const reading = createReading(
      replayDumps([{ protocol: 'tcp', explicit: false, sockets: timeWaits(look, local) }]),
      { ...settings, tcpTimestamps: look.own ?? 1 },
    )
    const { answers, listens } = look
    const taken = step(state, reading, {
      atSeconds: gap * turn,
      unixSeconds: 1_700_000_000,
      // All ports are tested: nothing else is in doubt.
      testPorts: ({ ambiguous }) =>
        new Map(ambiguous.map((port) => [port, { closed: false, testedAtSeconds: gap * turn }])),
      // None of them lives.
      lookTimestamps: () => true,
      listListeners: listens && showListener(listens),
      askTimestamps:
        answers &&
        (({ address, port }) => {
          expect(port).toBe(443)
          const to = (address[3] ?? 0) & 0xff
          asked.push(to)
          return answers[to]
        }),
    })
    state = taken.state
    const { availablePorts, uncertainPorts, reclaimablePorts } = taken.namespace.pools[0] ?? {}
    const { exactness } = taken.namespace
    return { availablePorts, uncertainPorts, reclaimablePorts, exactness, asked }
  })
}

describe('TIME_WAITs under tcp_tw_reuse', () => {
  const waits = { 9: 50 }
  /** Samples of the time before they began. */
  const before = [{ timeWaits: {} }, { timeWaits: {} }, { timeWaits: {} }] as const

  test('are available but uncertain while nobody knows of timestamps', () => {
    expect(play([{ timeWaits: waits }])[0]).toMatchObject({
      ...{ availablePorts: 100, uncertainPorts: 50, exactness: 'inferred' },
    })
  })

  test('are available where live connections have them: inferred, since others may be of another machine', () => {
    const look = { timeWaits: waits, answers: { 9: true } }
    expect(play([...before, look]).at(-1)).toMatchObject({
      ...{ availablePorts: 100, uncertainPorts: 0, reclaimablePorts: 50, exactness: 'inferred' },
    })
  })

  test('are uncertain where they ended before anybody looked: our own timestamps may have been off', () => {
    const look = { timeWaits: waits, answers: { 9: true }, listens: [127, 0, 0, 1] }
    const old = [50_000, 45_000, 40_000].map((expiresMs) => ({ ...look, expiresMs }))
    for (const local of [undefined, [127, 0, 0, 1]]) {
      const looks = play([...old, before[0], look], local && { local })
      expect(looks.map(({ uncertainPorts }) => uncertainPorts)).toEqual([50, 50, 50, 0, 0])
      expect(looks[0]).toMatchObject({ availablePorts: 100, exactness: 'inferred' })
    }
  })

  test('are held where live connections do not', () => {
    const look = { timeWaits: waits, answers: { 9: false } }
    expect(play([look])[0]).toMatchObject({
      ...{ availablePorts: 50, uncertainPorts: 0, reclaimablePorts: 0, exactness: 'inferred' },
    })
  })

  test('are available but uncertain where live connections differ, at once', () => {
    const wanted = { availablePorts: 100, uncertainPorts: 50, exactness: 'inferred' }
    const looks = [
      ...before,
      ...Array.from({ length: 48 }, () => ({ timeWaits: waits, answers: { 9: true } })),
      ...Array.from({ length: 3 }, () => ({ timeWaits: waits, answers: { 9: 'mixed' as const } })),
    ]
    const told = play(looks)
    expect(told.slice(3, 51).every(({ uncertainPorts }) => uncertainPorts === 0)).toBe(true)
    for (const look of told.slice(51)) expect(look).toMatchObject(wanted)
    expect(play([...before, { timeWaits: waits, answers: { 9: 'mixed' } }]).at(-1)).toMatchObject(
      wanted,
    )
  })

  test('are uncertain again where for minutes no connection lived that could tell', () => {
    const once = { timeWaits: waits, answers: { 9: true } }
    const never = Array.from({ length: 62 }, () => ({ timeWaits: waits, answers: {} }))
    const told = play([...before, once, ...never])
    expect(told.map(({ uncertainPorts }) => uncertainPorts)).toEqual([
      ...[0, 0, 0],
      ...Array.from({ length: 60 }, () => 0),
      ...[50, 50, 50],
    ])
    // Asked again a minute before, and then every ten seconds.
    const turns = told.flatMap(({ asked }, turn) => (asked.length > 0 ? [turn] : []))
    expect(turns).toEqual([3, 51, 53, 55, 57, 59, 61, 63, 65])
  })

  test('are certain where the peer is this host', () => {
    for (const local of [
      [127, 0, 0, 1],
      [10, 0, 0, 5],
    ]) {
      for (const listens of [local, [0, 0, 0, 0]]) {
        const look = { timeWaits: waits, listens }
        // What was told is kept while nobody can ask.
        const told = play([...before, look, { timeWaits: waits }], { local })
        for (const one of told.slice(-2)) {
          expect(one).toMatchObject({ availablePorts: 100, uncertainPorts: 0, exactness: 'exact' })
        }
      }
    }
  })

  test('are uncertain where nobody listens at the address of this host: its NAT rules may lead elsewhere', () => {
    const local = [10, 0, 0, 5]
    for (const listens of [undefined, [10, 0, 0, 6], [127, 0, 0, 1]]) {
      const look = { timeWaits: waits, ...(listens && { listens }) }
      const want = { availablePorts: 100, uncertainPorts: 50, exactness: 'inferred' }
      expect(play([...before, look], { local }).at(-1)).toMatchObject(want)
    }
  })

  test('of an address of this host follow live connections, and are never exact without a listener', () => {
    const local = [10, 0, 0, 5]
    const [yes, no] = [true, false].map((answer) =>
      play([...before, { timeWaits: waits, answers: { 5: answer }, listens: [10, 0, 0, 6] }], {
        local,
      }).at(-1),
    )
    expect(yes).toMatchObject({ availablePorts: 100, uncertainPorts: 0, exactness: 'inferred' })
    expect(no).toMatchObject({ availablePorts: 50, uncertainPorts: 0, exactness: 'inferred' })
  })

  test('are held where live connections to a listener have none: NAT leads elsewhere', () => {
    const look = { timeWaits: waits, listens: [10, 0, 0, 5], answers: { 5: false } }
    const told = play([...before, look, look], { local: [10, 0, 0, 5] })
    for (const one of told.slice(-2)) {
      expect(one).toMatchObject({ availablePorts: 50, uncertainPorts: 0, exactness: 'inferred' })
    }
    const yes = play([...before, { ...look, answers: { 5: true } }], { local: [10, 0, 0, 5] })
    expect(yes.at(-1)).toMatchObject({ availablePorts: 100, exactness: 'exact' })
  })

  test('are uncertain where live connections to a listener differ', () => {
    const look = { timeWaits: waits, listens: [10, 0, 0, 5], answers: { 5: 'mixed' as const } }
    expect(play([...before, look], { local: [10, 0, 0, 5] }).at(-1)).toMatchObject({
      ...{ availablePorts: 100, uncertainPorts: 50, exactness: 'inferred' },
    })
  })

  test('are uncertain once the listener has been gone for minutes', () => {
    const local = [127, 0, 0, 1]
    const there = { timeWaits: waits, listens: local }
    const gone = { timeWaits: waits, listens: [127, 0, 0, 2] }
    const looks = [...before, ...Array.from({ length: 100 }, (_, at) => (at < 40 ? there : gone))]
    const told = play(looks, { local }).map(({ uncertainPorts }) => uncertainPorts)
    expect(told.indexOf(50)).toBe(3 + 48)
    expect(told.slice(51).every((uncertain) => uncertain === 50)).toBe(true)
  })
})

describe('live connections are asked', () => {
  test('one destination a sample, the one with the most ports first, and not again for minutes', () => {
    const look = { timeWaits: { 8: 20, 9: 30 }, answers: { 8: true, 9: false } }
    const looks = play(Array.from({ length: 50 }, () => look))
    expect(looks.map(({ asked }) => asked)).toEqual([
      ...[[9], [8]],
      ...Array.from({ length: 46 }, () => []),
      ...[[9], [8]],
    ])
    expect(looks[4]).toMatchObject({ availablePorts: 70, uncertainPorts: 0, exactness: 'inferred' })
  })

  test('again soon where there was none', () => {
    const look = { timeWaits: { 9: 30 }, answers: {} }
    const asked = play([look, look, look, look, look]).map((one) => one.asked)
    expect(asked).toEqual([[9], [], [9], [], [9]])
  })

  test('all in turn where there was none of several', () => {
    const look = { timeWaits: { 7: 10, 8: 20, 9: 30 }, answers: {} }
    const looks = play([look, look, look, look, look], { gap: 20 })
    expect(looks.map(({ asked }) => asked)).toEqual([[9], [8], [7], [9], [8]])
  })

  test('not while nobody may ask, and what they said is kept', () => {
    const look = { timeWaits: { 9: 30 }, answers: { 9: false } }
    const looks = play([look, { timeWaits: {} }, { timeWaits: { 9: 30 } }])
    expect(looks.map(({ availablePorts }) => availablePorts)).toEqual([70, 100, 70])
  })

  test('of at most 32 destinations', () => {
    const many = Object.fromEntries(Array.from({ length: 40 }, (_, to) => [100 + to, 2]))
    const look = {
      timeWaits: many,
      answers: Object.fromEntries(Object.keys(many).map((to) => [to, true])),
    }
    const looks = play(Array.from({ length: 50 }, () => look))
    expect(new Set(looks.flatMap(({ asked }) => asked)).size).toBe(32)
    expect(looks.at(-1)).toMatchObject({ uncertainPorts: 2, exactness: 'inferred' })
  })
})
