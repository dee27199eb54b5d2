// What a play of samples tells of TIME_WAITs by where connect() goes: the numbers of the page.

import { describe, expect, test } from 'vitest'
import { createCensusTaker } from '../../src/model/census.ts'
import { advanceRecycling } from '../../src/model/recycling.ts'
import { createStep, type ModelState } from '../../src/model/step.ts'
import { plainSocket, type WireSocket } from '../support/kernel/netlink-builder.ts'
import {
  createReading,
  plainSettings,
  plainStepOptions,
  replayDumps,
} from '../support/kernel/readings.ts'

const FIRST = 40_000
const PORTS = 100
const GAP = 5
const settings = {
  ...plainSettings,
  range: { first: FIRST, last: FIRST + PORTS - 1 },
  tcpTwReuse: 1,
}
const TIME_WAIT = 6
const ESTABLISHED = 1

/** Seconds left of a TIME_WAIT by port, or `live`. */
type Stand = ReadonlyMap<number, number | 'live'>

function socketAt(port: number, left: number | 'live', peer: number): WireSocket {
  const remote = [192, 168, 1, peer]
  const socket = { ...plainSocket, device: 0, remote, localPort: FIRST + port }
  return left === 'live'
    ? { ...socket, state: ESTABLISHED }
    : { ...socket, state: TIME_WAIT, timer: 3, expiresMs: left * 1000 }
}

/** One sample after another; the peers are those of the columns. */
function play(
  samples: readonly (readonly Stand[])[],
  settingsAt: (turn: number) => Partial<typeof settings> = () => ({}),
) {
  const step = createStep(plainStepOptions)
  let state: ModelState | undefined
  return samples.map((columns, turn) => {
    const sockets = columns.flatMap((stand, peer) =>
      [...stand].map(([port, left]) => socketAt(port, left, peer + 1)),
    )
    const reading = createReading(replayDumps([{ protocol: 'tcp', explicit: false, sockets }]), {
      ...settings,
      ...settingsAt(turn),
    })
    const context = { atSeconds: 1000 + GAP * turn, unixSeconds: 1_700_000_000 }
    const taken = step(state, reading, context)
    state = taken.state
    const pool = taken.namespace.pools.find(({ pool: name }) => name === 'tcp_connect')
    const { availablePorts = -1, uncertainPorts = -1 } = pool ?? {}
    return {
      left: availablePorts,
      sure: availablePorts - uncertainPorts,
      is: taken.namespace.exactness,
    }
  })
}

const half = (parity: number) => Array.from({ length: PORTS / 2 }, (_, at) => 2 * at + parity)
/** The first half is full of old TIME_WAITs, which are the same in all samples. */
const firstHalf = (turn: number): Stand =>
  new Map(half(0).map((port) => [port, 45 - GAP * turn] as const))
const turns = [0, 1, 2, 3, 4]

/** Two connections more in the second half in each sample, which have ended. */
const passingBy = turns.map(
  (turn): Stand =>
    new Map([
      ...firstHalf(turn),
      ...half(1)
        .slice(0, 2 * turn)
        .map((port, at) => [port, 58 - GAP * (turn - 1 - Math.floor(at / 2))] as const),
    ]),
)

describe('TIME_WAITs that connect() passes by', () => {
  test('are held after three samples, and no number is exact', () => {
    const seen = play(passingBy.map((stand) => [stand]))
    expect(seen.map(({ left }) => left)).toEqual([100, 100, 100, 44, 42])
    expect(seen.at(-1)).toMatchObject({ is: 'inferred' })
  })

  test('of one peer say nothing of those of another', () => {
    const other: Stand = new Map(half(0).map((port) => [port, 30] as const))
    const seen = play(passingBy.map((stand) => [other, stand]))
    expect(seen.at(-1)?.left).toBe(42)
    const alone = play(passingBy.map(() => [other]))
    expect(alone.at(-1)?.left).toBe(100)
  })

  test('prove nothing where a port of the first half was free', () => {
    const free = passingBy.map((stand) => new Map([...stand].filter(([port]) => port > 2)))
    expect(play(free.map((stand) => [stand])).at(-1)?.left).toBe(100)
  })

  test('prove nothing where connect() goes by steps', () => {
    const seen = play(
      passingBy.map((stand) => [stand]),
      () => ({ portStepWidth: 4 }),
    )
    expect(seen.at(-1)?.left).toBe(100)
  })

  test('prove nothing where they were too young, or have ended meanwhile', () => {
    const young = turns.map((turn): Stand => {
      const second = half(1).slice(0, 2 * turn)
      return new Map([...half(0), ...second].map((port) => [port, 57] as const))
    })
    expect(play(young.map((stand) => [stand])).at(-1)?.left).toBe(100)
    const ending = passingBy.map((stand): Stand => {
      return new Map([...stand].map(([port, left]) => [port, port % 2 === 0 ? GAP : left] as const))
    })
    expect(play(ending.map((stand) => [stand])).at(-1)?.left).toBe(100)
  })

  test('prove nothing where another range alone moves them', () => {
    const live = half(1).slice(20, 40)
    const stands = turns.map((turn): Stand => {
      const stand = new Map<number, number | 'live'>(live.map((port) => [port, 'live']))
      for (const port of [-8, -6, -4, -2, ...half(0)]) stand.set(port, 45 - GAP * turn)
      return stand
    })
    const seen = play(
      stands.map((stand) => [stand]),
      (turn) => ({ range: { first: FIRST - 2 * turn, last: FIRST + PORTS - 1 } }),
    )
    expect(seen.map(({ left }) => left)).toEqual([80, 82, 84, 86, 88])
  })

  test('prove nothing where they are from before own timestamps', () => {
    const stands = [0, 1, 2, 3, 4, 5, 6].map((turn): Stand => {
      const old = half(0).map((port) => [port, 60 - GAP * turn] as const)
      const come = half(1)
        .slice(0, 8 * Math.max(0, turn - 2))
        .map((port, at) => [port, 57 - GAP * (turn - 3 - Math.floor(at / 8))] as const)
      return new Map(turn === 0 ? [] : [...old, ...come])
    })
    const seen = play(
      stands.map((stand) => [stand]),
      (turn) => ({ tcpTimestamps: turn < 2 ? 0 : 1 }),
    )
    expect(seen.slice(1).map(({ left }) => left)).toEqual([50, 50, 50, 50, 50, 50])
  })

  test('prove nothing where more are recycled than passed by', () => {
    const recycling = passingBy.map((stand, turn): Stand => {
      const again = half(0).slice(5 * turn, 5 * turn + 5)
      return new Map([...stand, ...again.map((port) => [port, 'live'] as const)])
    })
    expect(play(recycling.map((stand) => [stand])).at(-1)?.left).toBeGreaterThan(80)
  })
})

test('of many destinations those four are followed that have most of them', () => {
  const peers = [1, 2, 3, 4, 5, 6]
  const sockets = peers.flatMap((peer) => half(0).map((port) => socketAt(port, 40, peer)))
  const dumps = [{ protocol: 'tcp' as const, explicit: false, sockets }]
  const census = createCensusTaker()(settings, replayDumps(dumps))
  const { destination } = census.flows.columns()
  const recyclable = new Uint32Array(peers.length)
  for (let flow = 0; flow < census.flows.flowCount(); flow++) {
    const to = destination[flow] ?? 0
    recyclable[to] = 20 + to
  }
  const { memory } = advanceRecycling({
    ...{ census, settings, before: undefined, atSeconds: 1, recyclable },
  })
  // The last word of a key's remote address.
  const followed = memory.map(({ key }) => peers.find((peer) => key.includes(0xc0a80100 + peer)))
  expect(followed).toEqual([6, 5, 4, 3])
})

test('where they are recycled again, they are in doubt again', () => {
  const again = [5, 6].map((turn): Stand => {
    const before = passingBy.at(-1) ?? new Map()
    return new Map(
      [...before].map(([port, left]) => {
        const isRecycled = port % 2 === 0 && port < 40
        return [port, isRecycled ? 57 : Number(left) - GAP * (turn - 4)] as const
      }),
    )
  })
  const seen = play([...passingBy, ...again].map((stand) => [stand]))
  expect(seen[4]?.left).toBe(42)
  expect(seen[5]?.left).toBeGreaterThan(80)
  expect(seen[5]?.sure).toBeLessThan(50)
})

test('a connection that ends is none that has come', () => {
  const live = half(1).slice(0, 20)
  const ending = turns.map((turn): Stand => {
    const second = live.map((port, at) => {
      const ended = 1 + Math.floor(at / 4)
      return [port, turn < ended ? 'live' : 58 - GAP * (turn - ended)] as const
    })
    return new Map([...firstHalf(turn), ...second])
  })
  const seen = play(ending.map((stand) => [stand]))
  // Four live still.
  expect(seen.at(-1)?.left).toBe(96)
})
