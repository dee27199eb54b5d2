import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createNumberTable } from '../../../src/model/owners/ids.ts'
import type { NetSettings } from '../../../src/observation.ts'
import type { OwnerName } from '../../../src/snapshot.ts'
import { wireSocket } from '../../support/kernel/arbitrary-sockets.ts'
import { plainSocket, type WireSocket } from '../../support/kernel/netlink-builder.ts'
import {
  createReading,
  plainSettings,
  replayDumps,
  type WireDump,
} from '../../support/kernel/readings.ts'
import { createOwnersPlayer } from './owners-play.ts'

type Draw = readonly [socket: WireSocket, explicit: boolean]

const cgroupId = fc.constantFrom(undefined, 0, 1, 5, 6, 7, 2 ** 33 + 5, 2 ** 33 + 6)
/** Anything, and half of the time connections and TIME_WAITs to two destinations, which owners then share. */
const anySocket: fc.Arbitrary<WireSocket> = fc.oneof(
  wireSocket,
  fc
    .record({
      localPort: fc.integer({ min: 40000, max: 40019 }),
      remotePort: fc.constantFrom(80, 443),
      alive: fc.boolean(),
    })
    .map(({ alive, ...ports }) => ({
      ...plainSocket,
      ...ports,
      device: 0,
      ...(!alive && { state: 6, timer: 3, expiresMs: 30_000, uid: 0 }),
    })),
)
const draws: fc.Arbitrary<readonly Draw[]> = fc.array(
  fc.tuple(anySocket, fc.boolean(), cgroupId).map(([socket, explicit, id]): Draw => {
    const minisock = socket.timer === 3
    return [{ ...socket, cgroupId: minisock ? undefined : id }, explicit && !minisock]
  }),
  { maxLength: 40 },
)
/** The sockets of one sample after another. */
const samples = fc.array(draws, { minLength: 1, maxLength: 4 })
const by = fc.constantFrom<'cgroup' | 'user'>('cgroup', 'user')
const settings: fc.Arbitrary<NetSettings> = fc
  .record({
    range: fc.constantFrom({ first: 40000, last: 40019 }, { first: 40000, last: 40002 }),
    reserved: fc.constantFrom([], [{ first: 40003, last: 40004 }]),
  })
  .map((changes) => ({ ...plainSettings, ...changes }))

/** Two ids with one name, one without any. */
function nameOwner(id: number): OwnerName | undefined {
  if (id === 7) return undefined
  return { owner: `name ${id % 2}`, ownerKind: 'unit' }
}

function dumpsOf(sockets: readonly Draw[]): WireDump[] {
  return [true, false].flatMap((explicit) =>
    (['tcp', 'udp'] as const).map((protocol) => ({
      protocol,
      explicit,
      sockets: sockets.filter(([, chosen]) => chosen === explicit).map(([socket]) => socket),
    })),
  )
}

interface Run {
  readonly ownersBy: 'cgroup' | 'user'
  readonly net?: NetSettings
  readonly top?: number
}

function play(all: readonly (readonly Draw[])[], { ownersBy, net, top = 1 }: Run) {
  const player = createOwnersPlayer({ top, nameOwner })
  const states = all.map((sockets) =>
    player.play({ ...createReading(replayDumps(dumpsOf(sockets)), net), ownersBy }),
  )
  return { states, state: player.state() }
}

describe('the rows of owners', () => {
  test('add up to the used ports of each protocol', () => {
    fc.assert(
      fc.property(samples, by, settings, fc.constantFrom(1, 10), (all, ownersBy, net, top) => {
        for (const { owners, usedPorts } of play(all, { ownersBy, net, top }).states) {
          const sums = { tcp: 0, udp: 0 }
          for (const row of owners) {
            sums[row.protocol] += row.usedPorts
            expect(Number.isInteger(row.usedPorts)).toBe(true)
          }
          expect(sums).toEqual(usedPorts)
        }
      }),
    )
  })

  test('do not depend on the order of sockets, nor does what is remembered', () => {
    const shuffled = samples.chain((all) =>
      fc.tuple(
        fc.constant(all),
        fc.tuple(
          ...all.map((one) =>
            fc.shuffledSubarray([...one], { minLength: one.length, maxLength: one.length }),
          ),
        ),
      ),
    )
    fc.assert(
      fc.property(shuffled, by, ([all, mixed], ownersBy) => {
        const [want, got] = [play(all, { ownersBy }), play(mixed, { ownersBy })]
        expect(got).toEqual(want)
      }),
    )
  })

  test('a destination of nothing but accepted connections is remembered as one without any', () => {
    const to = { local: [10, 0, 0, 5], remotePort: 443 }
    const connection = { ...plainSocket, ...to, localPort: 40000, cgroupId: 5 }
    const listener = {
      ...plainSocket,
      state: 10,
      localPort: 40004,
      local: [0, 0, 0, 0],
      remotePort: 0,
    }
    const accepted = {
      ...plainSocket,
      ...to,
      localPort: 40004,
      state: 6,
      timer: 3,
      expiresMs: 30_000,
    }
    const remembered = [
      [listener, accepted],
      [accepted, listener],
    ].map((later) => {
      const sockets = [[connection], later].map((one) => one.map((socket): Draw => [socket, false]))
      return play(sockets, { ownersBy: 'cgroup' }).state.memory.destinations
    })
    expect(remembered[0]).toMatchObject([{ ended: [{ ownerId: 5, sockets: 1, timeWait: 0 }] }])
    expect(remembered[1]).toEqual(remembered[0])
  })

  test('are the same again when the samples are played again', () => {
    fc.assert(
      fc.property(samples, by, (all, ownersBy) => {
        expect(play(all, { ownersBy })).toEqual(play(all, { ownersBy }))
      }),
      { numRuns: 30 },
    )
  })

  test('name one owner of each kind once', () => {
    fc.assert(
      fc.property(samples, by, (all, ownersBy) => {
        for (const { owners } of play(all, { ownersBy, top: 10 }).states) {
          const names = owners.map((row) => `${row.protocol} ${row.ownerKind} ${row.owner}`)
          expect(new Set(names).size).toBe(names.length)
        }
      }),
    )
  })
})

test('createNumberTable() gives each number the index of when it first came', () => {
  const number = fc.oneof(
    fc.integer({ min: -2, max: 300 }),
    fc.maxSafeInteger(),
    fc.integer({ min: 0, max: 300 }).map((at) => at * 2 ** 32 + 5),
  )
  fc.assert(
    fc.property(fc.array(number, { maxLength: 500 }), (numbers) => {
      const table = createNumberTable()
      table.index(-7)
      table.clear()
      const distinct = [...new Set(numbers)]
      for (const one of numbers) expect(table.index(one)).toBe(distinct.indexOf(one))
      expect(table.count()).toBe(distinct.length)
      expect(distinct.map((_, at) => table.value(at))).toEqual(distinct)
    }),
  )
})
