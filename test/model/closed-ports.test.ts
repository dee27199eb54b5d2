import { describe, expect, test } from 'vitest'
import { createStep, type ModelState } from '../../src/model/step.ts'
import type { NetSettings } from '../../src/observation.ts'
import { plainSocket, type WireSocket } from '../support/kernel/netlink-builder.ts'
import {
  createReading,
  plainSettings,
  plainStepOptions,
  replayDumps,
} from '../support/kernel/readings.ts'

const FIRST = 40_000
const PORTS = 100
const settings = { ...plainSettings, range: { first: FIRST, last: FIRST + PORTS - 1 } }

interface Look {
  readonly auto?: readonly WireSocket[]
  readonly explicit?: readonly WireSocket[]
  readonly tests?: ReadonlyMap<number, boolean>
  readonly portsReopen?: boolean
  readonly settings?: NetSettings
}

/** One sample after another, `gap` seconds apart: what is said of connect() in each. */
function play(looks: readonly Look[], gap = 5) {
  const step = createStep(plainStepOptions)
  let state: ModelState | undefined
  return looks.map((look, turn) => {
    const { auto = [], explicit = [], tests, portsReopen = true } = look
    const atSeconds = gap * turn
    const dumps = [
      { protocol: 'tcp', explicit: true, sockets: explicit },
      { protocol: 'tcp', explicit: false, sockets: auto },
    ] as const
    const told = [...(tests ?? [])].map(
      ([port, closed]) => [port, { closed, testedAtSeconds: atSeconds }] as const,
    )
    const reading = { ...createReading(replayDumps(dumps), look.settings ?? settings), portsReopen }
    const taken = step(state, reading, {
      atSeconds,
      unixSeconds: 1_700_000_000 + atSeconds,
      testPorts: tests && (() => new Map(told)),
    })
    state = taken.state
    const { exactness, pools, protocols } = taken.namespace
    const { availablePorts, unusedPorts, uncertainPorts } = pools[0] ?? {}
    const inbound = protocols[0]?.inboundSockets
    return { availablePorts, unusedPorts, uncertainPorts, inbound, exactness }
  })
}

const connection = (at: number, to: number, part: Partial<WireSocket> = {}): WireSocket => ({
  ...plainSocket,
  device: 0,
  localPort: FIRST + at,
  remote: [192, 168, 1, to],
  ...part,
})
const TIME_WAIT = { state: 6, timer: 3, expiresMs: 50_000 } as const
const listener = (at: number): WireSocket =>
  connection(at, 0, { state: 10, remotePort: 0, local: [0, 0, 0, 0], remote: [0, 0, 0, 0] })
const accepted = (at: number, part: Partial<WireSocket> = {}) =>
  connection(at, 77, { remotePort: 55_000 + at, ...part })
const each = <T>(count: number, make: (at: number) => T): T[] =>
  Array.from({ length: count }, (_, at) => make(at))

const areOpen = (...at: readonly number[]) => new Map(at.map((port) => [FIRST + port, false]))

/** The destination that the numbers are of, beside one with a single port. */
const worst = each(2, (at) => connection(10 + at, 8))

describe('ports of listeners that have gone', () => {
  const listening = { explicit: each(20, listener) }

  test('are open when connect() has taken them', () => {
    const [before, after] = play([listening, { auto: each(100, (at) => connection(at, 9)) }])
    expect(before).toMatchObject({ availablePorts: 80, exactness: 'exact' })
    expect(after).toMatchObject({ availablePorts: 0, uncertainPorts: 0, inbound: 0 })
  })

  test('stay closed while clients are left, through their TIME_WAIT, and no longer', () => {
    const clients = (part?: Partial<WireSocket>) => each(20, (at) => accepted(at, part))
    const looks = play([
      { ...listening, auto: clients() },
      { auto: clients() },
      { auto: clients(TIME_WAIT) },
      {},
      { auto: [connection(3, 9)] },
    ])
    expect(looks.map(({ availablePorts }) => availablePorts)).toEqual([80, 80, 80, 100, 99])
    expect(looks.map(({ inbound }) => inbound)).toEqual([20, 20, 20, 0, 0])
    expect(looks.map(({ exactness }) => exactness)).toEqual([
      'exact',
      'exact',
      'exact',
      'exact',
      'inferred',
    ])
  })

  test('are in doubt when of many clients none is left that is remembered', () => {
    const one = (client: number) => accepted(0, { remotePort: 50_000 + client })
    const many = { explicit: [listener(0)], auto: each(20, one) }
    const left = [many, { auto: [one(3), one(15)] }, { auto: [one(15), ...worst] }]
    const [, some, others] = play(left)
    expect(some).toMatchObject({ availablePorts: 99, inbound: 2 })
    expect(others).toMatchObject({ availablePorts: 98, uncertainPorts: 1, exactness: 'inferred' })
  })

  test('are not taken for closed because of what was there minutes ago', () => {
    const looks = [
      { explicit: [listener(0)], auto: [accepted(0)] },
      { auto: [accepted(0), ...worst] },
    ]
    expect(play(looks, 60)[1]).toMatchObject({ availablePorts: 97, uncertainPorts: 0 })
    expect(play(looks, 61)[1]).toMatchObject({ availablePorts: 98, uncertainPorts: 1 })
  })

  test('are open where a test says so', () => {
    const looks = [
      { explicit: [listener(0)], auto: [accepted(0)] },
      { auto: [accepted(0), ...worst], tests: areOpen(0, 10, 11) },
    ]
    expect(play(looks)[1]).toMatchObject({ availablePorts: 98, uncertainPorts: 0 })
  })

  test('are those of connections that a listener has joined and left', () => {
    const auto = each(20, (at) => connection(at, 9))
    const joined = { explicit: each(20, listener), auto }
    const tests = areOpen(...auto.keys())
    const [, during, after] = play([{ auto, tests }, joined, { auto, tests }])
    expect(during).toMatchObject({ availablePorts: 80 })
    expect(after).toMatchObject({ availablePorts: 80, inbound: 0, exactness: 'exact' })
  })
})

describe('a connection whose port the application chose', () => {
  const live = { explicit: [connection(0, 9)] }

  test('closes its port as TIME_WAIT too', () => {
    const [, ended] = play([live, { auto: [connection(0, 9, TIME_WAIT)] }])
    expect(ended).toMatchObject({ availablePorts: 99, uncertainPorts: 0, exactness: 'exact' })
  })

  test('is another when it is live and the kernel chose the port', () => {
    const [, next] = play([live, { auto: [connection(0, 9), ...worst] }])
    expect(next).toMatchObject({ availablePorts: 98, uncertainPorts: 1 })
  })

  test('is another when it was TIME_WAIT and is live', () => {
    const looks = [live, { auto: [connection(0, 9, TIME_WAIT)] }, { auto: [connection(0, 9)] }]
    expect(play(looks)[2]).toMatchObject({ availablePorts: 99, exactness: 'inferred' })
  })
})

describe('the parity of ports', () => {
  const even = (count: number, to: number, part?: Partial<WireSocket>) =>
    each(count, (at) => connection(2 * at, to, part))
  const behind = each(25, (at) => connection(40 + 2 * at, 8))
  const odd = (count: number, to: number, from = 0) =>
    each(count, (at) => connection(2 * (from + at) + 1, to))

  const lower = (count: number) => each(count, (at) => connection(2 * at + 1, at % 5))
  const upper = each(20, (at) => connection(60 + 2 * at, 8))

  test('clears connections of a destination that only has those connect() begins with', () => {
    const [look] = play([{ auto: [...even(20, 9), ...even(30, 8)] }])
    expect(look).toMatchObject({ availablePorts: 70, uncertainPorts: 0, exactness: 'inferred' })
    // A TIME_WAIT may be of a connection that was bound to that port.
    const [ended] = play([{ auto: [...even(20, 9), ...even(30, 8, TIME_WAIT)] }])
    expect(ended).toMatchObject({ availablePorts: 70, uncertainPorts: 0 })
    const some = even(20, 9).map((one, at) => (at < 5 ? { ...one, ...TIME_WAIT } : one))
    expect(play([{ auto: [...some, ...behind] }])[0]).toMatchObject({ uncertainPorts: 5 })
    // The other half may be of somebody who binds first.
    const other = [...even(20, 9), ...odd(1, 9), ...behind]
    expect(play([{ auto: other }])[0]).toMatchObject({ uncertainPorts: 1 })
    const [worst] = play([{ auto: [...even(20, 9, TIME_WAIT), ...odd(21, 8).slice(0, 5)] }])
    expect(worst).toMatchObject({ availablePorts: 80, uncertainPorts: 5 })
  })

  test('acquits nobody where ports stay closed after a socket that was bound has gone', () => {
    const auto = [...even(20, 9), ...each(30, (at) => connection(40 + 2 * at, 8))]
    expect(play([{ auto }])[0]).toMatchObject({ availablePorts: 70, uncertainPorts: 0 })
    expect(play([{ auto, portsReopen: false }])[0]).toMatchObject({
      availablePorts: 70,
      unusedPorts: 50,
      uncertainPorts: 20,
      exactness: 'inferred',
    })
    const tests = new Map(each(50, (at) => [FIRST + 2 * at, at < 7] as const))
    expect(play([{ auto, tests, portsReopen: false }])[0]).toMatchObject({
      availablePorts: 63,
      uncertainPorts: 0,
      exactness: 'exact',
    })
  })

  test('acquits nobody while bind(0) finds no port of its own parity', () => {
    const clients = [...even(20, 9), ...even(30, 8)]
    expect(play([{ auto: [...clients, ...lower(24)] }])[0]).toMatchObject({ uncertainPorts: 24 })
    // With SO_REUSEADDR it goes on with the others of the lower half.
    expect(play([{ auto: [...clients, ...lower(25)] }])[0]).toMatchObject({ uncertainPorts: 25 })
    const half = [...even(25, 9), ...upper]
    expect(play([{ auto: [...half, ...lower(24)] }])[0]).toMatchObject({ uncertainPorts: 24 })
    expect(play([{ auto: [...half, ...lower(25)] }])[0]).toMatchObject({ uncertainPorts: 45 })
  })

  test('acquits none of those that were there when bind(0) had no port of its own, until they go', () => {
    const auto = [...even(20, 9), ...behind]
    const looks = play([
      { auto: [...even(20, 9), ...odd(50, 9)] },
      { auto: even(20, 9) },
      { auto },
      { auto: behind },
      { auto },
    ])
    expect(looks.map(({ uncertainPorts }) => uncertainPorts)).toEqual([0, 0, 20, 0, 0])
  })

  test('acquits none of those that came while bind(0) may have had no port of its own', () => {
    const auto = [...even(20, 9), ...behind]
    const full = { auto: odd(50, 9) }
    const looks = play([full, { auto }, { auto }, {}, { auto }])
    expect(looks.map(({ uncertainPorts }) => uncertainPorts)).toEqual([0, 20, 20, 0, 0])
  })

  test('acquits none of those that were there when the range became another', () => {
    const auto = [...even(20, 9), ...behind]
    const moved = { ...settings, range: { first: FIRST - 1, last: FIRST + PORTS - 1 } }
    const reserved = {
      ...settings,
      reserved: [{ first: FIRST + 99, last: FIRST + 99 }],
      reservedText: `${FIRST + 99}`,
    }
    for (const other of [moved, reserved]) {
      const looks = [{ auto, settings: other }, { auto }, { auto }, { auto: [] }, { auto }]
      const told = play(looks).map(({ uncertainPorts }) => uncertainPorts)
      expect(told.slice(1)).toEqual([20, 20, 0, 0])
    }
  })

  test('convicts nobody: a rush that filled the first half may have ended before the rest', () => {
    const [look] = play([{ auto: [...odd(40, 9), ...even(41, 8)] }])
    expect(look).toMatchObject({ availablePorts: 59, uncertainPorts: 40, exactness: 'inferred' })
  })

  test('of few connections proves nothing', () => {
    const [look] = play([{ auto: [...odd(10, 9), ...odd(11, 8, 20)] }])
    expect(look).toMatchObject({ availablePorts: 89, uncertainPorts: 10 })
  })

  test('of both halves alike proves nothing: programs may confine themselves to some ports', () => {
    const [look] = play([{ auto: [...each(40, (at) => connection(at, 9)), ...even(1, 8)] }])
    expect(look).toMatchObject({ availablePorts: 60, uncertainPorts: 0 })
    const looks = each(40, (at) => connection(at, 9))
    const [other] = play([{ auto: [...looks, ...each(41, (at) => connection(50 + at, 8))] }])
    expect(other).toMatchObject({ availablePorts: 59, uncertainPorts: 40 })
  })

  test('counts from the first port of the range, which may be odd', () => {
    const scenes: Look[] = [
      { auto: [...even(20, 9), ...even(30, 8)] },
      { auto: [...odd(20, 9), ...odd(30, 8, 20)] },
      { auto: [...even(20, 9), ...upper, ...lower(24)] },
      { auto: [...even(20, 9), ...upper, ...lower(25)] },
      // Most that is open has the parity that connect() begins with.
      { explicit: each(40, (at) => listener(99 - 2 * at)), auto: [...even(12, 9), ...behind] },
    ]
    const told = [0, 20, 24, 45, 12]
    const oneOn = { ...settings, range: { first: FIRST + 1, last: FIRST + PORTS } }
    const move = (sockets: readonly WireSocket[] = []) =>
      sockets.map((one) => ({ ...one, localPort: one.localPort + 1 }))
    for (const [at, { auto = [], explicit = [] }] of scenes.entries()) {
      const [look] = play([{ auto, explicit }])
      expect(look?.uncertainPorts).toBe(told[at])
      const moved = { auto: move(auto), explicit: move(explicit), settings: oneOn }
      expect(play([moved])).toEqual([look])
    }
  })

  test('leaves ten destinations that bind first in doubt, down to what is unused', () => {
    const all = each(100, (at) => connection(at, at % 10))
    expect(play([{ auto: all }])[0]).toEqual({
      availablePorts: 90,
      unusedPorts: 0,
      uncertainPorts: 90,
      inbound: 0,
      exactness: 'inferred',
    })
  })

  test('is not asked where enough ports were tested', () => {
    const tests = new Map(odd(20, 9).map(({ localPort }) => [localPort, false]))
    expect(play([{ auto: odd(20, 9), tests }])[0]).toMatchObject({
      availablePorts: 80,
      uncertainPorts: 0,
      exactness: 'exact',
    })
  })
})
