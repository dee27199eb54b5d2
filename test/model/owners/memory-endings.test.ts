import { describe, expect, test } from 'vitest'
import { HOLD } from '../../../src/model/flows.ts'
import { createNumberTable } from '../../../src/model/owners/ids.ts'
import {
  advanceEnded,
  boundOwners,
  type RememberedDestination,
  weighOwners,
} from '../../../src/model/owners/memory.ts'
import { connectionBatch, createReading } from '../../support/kernel/readings.ts'
import { tableOf } from '../flow-tables.ts'
import { createOwnersPlayer } from './owners-play.ts'

const key: readonly number[] = []
const ended = (ownerId: number, atSeconds: number, sockets: number, timeWait = 0) => ({
  ...{ ownerId, atSeconds, sockets, timeWait },
})
const destination = (changes: Partial<RememberedDestination>): RememberedDestination => ({
  ...{ key, alive: [], every: 1, ended: [] },
  ...changes,
})

describe('advanceEnded()', () => {
  /** The flows that are left to the one destination, as its port, what holds that and whose it is. */
  function advance(
    remembered: RememberedDestination,
    left: readonly (readonly [port: number, hold: keyof typeof HOLD, ownerId: number])[],
    { lastSeenSeconds = 200, atSeconds = 205 } = {},
  ) {
    const { flows } = tableOf({ 1: 0 })
    const owners = createNumberTable()
    for (const [port, hold, ownerId] of left) {
      const owner = owners.index(ownerId)
      flows.addFlow(0, port, {
        ...{ hold: HOLD[hold], state: 1, explicit: false, expirySeconds: 0, owner },
      })
    }
    flows.settleFlows()
    const index = left.length > 0 ? 0 : -1
    return advanceEnded(remembered, index, { flows, owners, lastSeenSeconds, atSeconds })
  }

  test('tells what went to TIME_WAIT from what vanished and from what is there', () => {
    const alive = [{ ownerId: 5, ports: [1, 2, 3, 4, 5] }]
    expect(
      advance(destination({ alive, every: 4 }), [
        [1, 'live', 5],
        [2, 'live', 6],
        [3, 'timeWait', 0],
        [4, 'reclaimable', 0],
      ]),
    ).toEqual([ended(5, 200, 16, 8)])
    expect(advance(destination({ alive }), [])).toEqual([ended(5, 200, 5)])
    expect(advance(destination({ alive: [{ ownerId: 5, ports: [1] }] }), [[1, 'live', 5]])).toEqual(
      [],
    )
  })

  test('keeps endings of an owner that are less than four seconds apart as one', () => {
    const before = [ended(5, 198, 3, 2), ended(6, 199, 4)]
    const alive = [{ ownerId: 5, ports: [3] }]
    const one = destination({ alive, ended: before })
    expect(advance(one, [[3, 'timeWait', 0]], { lastSeenSeconds: 201.9 })).toEqual([
      ended(5, 198, 4, 3),
      ended(6, 199, 4),
    ])
    expect(advance(one, [[3, 'timeWait', 0]], { lastSeenSeconds: 202 })).toEqual([
      ...before,
      ended(5, 202, 1, 1),
    ])
  })

  test('forgets what was last seen more than two minutes ago', () => {
    const before = [ended(5, 84, 3), ended(6, 85, 4)]
    expect(advance(destination({ ended: before }), [])).toEqual([ended(6, 85, 4)])
  })
})

describe('boundOwners()', () => {
  const alive = (ownerId: number, count: number) => ({
    ownerId,
    ports: Array.from({ length: count }, (_, port) => port),
  })

  test('leaves eight owners with the most sockets, alive and ended', () => {
    const many = Array.from({ length: 8 }, (_, at) => alive(10 + at, 3))
    const one = destination({
      alive: [alive(9, 1), ...many],
      ended: [ended(9, 0, 1), ended(10, 0, 1)],
    })
    expect(boundOwners(one)).toEqual({ ...one, alive: many, ended: [ended(10, 0, 1)] })
    expect(boundOwners({ ...one, ended: [ended(9, 0, 3)] })).toEqual({
      ...one,
      alive: [alive(9, 1), ...many.slice(0, 7)],
      ended: [ended(9, 0, 3)],
    })
  })
})

describe('weighOwners()', () => {
  test('goes by what went to TIME_WAIT, else by what was alive, in the order of ids', () => {
    const alive = [{ ownerId: 7, ports: [1, 2] }]
    const weigh = (endings: RememberedDestination['ended']) => [
      ...weighOwners(destination({ alive, every: 2, ended: endings })),
    ]
    expect(weigh([ended(6, 0, 3), ended(5, 0, 1)])).toEqual([
      [5, 1],
      [6, 3],
      [7, 4],
    ])
    expect(weigh([ended(6, 0, 3, 2), ended(5, 0, 4, 1), ended(6, 9, 1, 1)])).toEqual([
      [5, 1],
      [6, 3],
    ])
  })
})

test('destinations that have gone are remembered in the places that the present ones leave of 128', () => {
  const player = createOwnersPlayer()
  const to = (first: number, count: number) =>
    createReading(
      Array.from({ length: count }, (_, at) =>
        connectionBatch([{ port: 40_000, to: first + at, cgroupId: 5 }]),
      ),
    )
  const remembered = () => {
    const { destinations } = player.state().memory
    const isHere = destinations.map(({ alive }) => alive.length > 0)
    return { here: isHere.lastIndexOf(true) + 1, all: isHere.length }
  }
  player.play(to(0, 128))
  player.play(to(128, 20))
  expect(remembered()).toEqual({ here: 20, all: 128 })
})
