import { describe, expect, test } from 'vitest'
import { apportion } from '../../../src/model/owners/ports.ts'
import {
  connectionBatch,
  createReading,
  type PlainConnection,
  plainSettings,
} from '../../support/kernel/readings.ts'
import { createOwnersPlayer, type OwnersPlayer, portsOf, rowsOf } from './owners-play.ts'

const TIME_WAIT_SECONDS = 60
const CONNECTION_SECONDS = 0.02
const settings = { ...plainSettings, range: { first: 32768, last: 60999 } }

const read = (connections: readonly PlainConnection[]) =>
  createReading([connectionBatch(connections)], settings)

const many = (count: number, connection: Omit<PlainConnection, 'port'>, first = 40000) =>
  Array.from({ length: count }, (_, at): PlainConnection => ({ ...connection, port: first + at }))

const memoryOf = (player: OwnersPlayer) => player.state().memory.destinations

interface Load {
  readonly cgroupId: number
  readonly perSecond: number
}

/**
 * What each sample sees of connections to one destination that live for 20 ms and then stand in TIME_WAIT, arriving at
 * random by a fixed seed; `lasting` ones stay open beside them.
 */
function simulateStorm(
  loads: readonly Load[],
  lasting: readonly PlainConnection[] = [],
): PlainConnection[][] {
  let seed = 4711
  const random = () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    return (seed + 1) / 2 ** 32
  }
  const arrivals = loads
    .flatMap(({ cgroupId, perSecond }) => {
      const times: { atSeconds: number; cgroupId: number }[] = []
      let atSeconds = 0
      while (atSeconds < 200) {
        atSeconds -= Math.log(random()) / perSecond
        times.push({ atSeconds, cgroupId })
      }
      return times
    })
    .sort((left, right) => left.atSeconds - right.atSeconds)

  return Array.from({ length: 40 }, (_, sample) => {
    const now = sample * 5
    const storm = arrivals.flatMap(({ atSeconds, cgroupId }, at): PlainConnection[] => {
      const ageSeconds = now - atSeconds
      if (ageSeconds < 0 || ageSeconds > CONNECTION_SECONDS + TIME_WAIT_SECONDS) return []
      const alive = ageSeconds < CONNECTION_SECONDS
      // Ports come back after more than the minute that one is taken for.
      return [{ port: 33000 + (at % 27000), to: 9, cgroupId: alive ? cgroupId : undefined }]
    })
    return [...lasting, ...storm]
  })
}

function playStorm(loads: readonly Load[], lasting: readonly PlainConnection[] = []) {
  const player = createOwnersPlayer()
  const samples = simulateStorm(loads, lasting)
  const states = samples.map((connections) => player.play(read(connections)))
  return { states, samples }
}

describe('a storm of connections that live for 20 ms, sampled every 5 s', () => {
  test('is its owner’s, though most samples see none of them alive', () => {
    const { states, samples } = playStorm([{ cgroupId: 5, perSecond: 20 }])
    const alive = samples.map((seen) => seen.filter(({ cgroupId }) => cgroupId).length)
    expect(alive.filter((count) => count === 0).length).toBeGreaterThan(20)
    expect(Math.max(...alive)).toBeLessThan(5)
    for (const state of states.slice(12)) {
      expect(rowsOf(state)).toEqual([`tcp 5.service ${state.usedPorts.tcp}`])
      expect(portsOf(state, '5.service')).toBeGreaterThan(1000)
    }
  })

  test('of two owners three to one is divided about three to one', () => {
    const { states, samples } = playStorm([
      { cgroupId: 5, perSecond: 150 },
      { cgroupId: 6, perSecond: 50 },
    ])
    const alive = samples.map((seen) => seen.filter(({ cgroupId }) => cgroupId).length)
    expect(Math.max(...alive)).toBeLessThan(15)
    for (const state of states.slice(24)) {
      const [three = 0, one = 0] = [portsOf(state, '5.service'), portsOf(state, '6.service')]
      expect(three + one).toBe(state.usedPorts.tcp)
      expect(three / (three + one)).toBeGreaterThan(0.67)
      expect(three / (three + one)).toBeLessThan(0.83)
    }
  })

  test('is not blamed on those who keep their connections open', () => {
    const lasting = many(100, { to: 9, cgroupId: 6 }, 60500)
    const { states } = playStorm([{ cgroupId: 5, perSecond: 40 }], lasting)
    for (const state of states.slice(3)) expect(portsOf(state, '6.service')).toBe(100)
    expect(portsOf(states[30] ?? expect.fail(), '5.service')).toBeGreaterThan(2000)
    expect(portsOf(states[30] ?? expect.fail(), 'none')).toBeUndefined()
  })
})

describe('TIME_WAIT takes the owners of its destination', () => {
  const alive = [...many(30, { to: 9, cgroupId: 5 }), ...many(10, { to: 9, cgroupId: 6 }, 41000)]
  const timeWait = many(40, { to: 9, cgroupId: undefined }, 50000)

  test('in proportion to those alive, where none was seen to end', () => {
    const state = createOwnersPlayer().play(read([...alive, ...timeWait]))
    expect(rowsOf(state)).toEqual(['tcp 5.service 60', 'tcp 6.service 20'])
  })

  test('in proportion to those that went to TIME_WAIT, however many stay or just vanish', () => {
    const player = createOwnersPlayer()
    player.play(read(alive))
    const ended = [
      ...many(1, { to: 9, cgroupId: undefined }),
      ...many(3, { to: 9, cgroupId: undefined }, 41000),
    ]
    const stay = many(20, { to: 9, cgroupId: 5 }, 40010)
    const state = player.play(read([...stay, ...ended, ...timeWait]))
    expect(rowsOf(state)).toEqual(['tcp 6.service 33', 'tcp 5.service 31'])
  })

  test('or just vanished, where there is nothing better', () => {
    const player = createOwnersPlayer()
    player.play(read(alive))
    expect(rowsOf(player.play(read(timeWait)))).toEqual(['tcp 5.service 30', 'tcp 6.service 10'])
  })

  test('of a connection that another owner has now, both', () => {
    const player = createOwnersPlayer()
    player.play(read(many(1, { to: 9, cgroupId: 5 })))
    const state = player.play(read([...many(1, { to: 9, cgroupId: 6 }), ...timeWait]))
    expect(rowsOf(state)).toEqual(['tcp 6.service 21', 'tcp 5.service 20'])
  })

  test.each([
    ['crowd that vanished', 16_000, 10, 0, 10],
    ['crowd that came', 10, 16_000, 990, 1000],
  ])('by the size of a %s, of which only a part is listed', (_what, before, after, from, to) => {
    const player = createOwnersPlayer()
    player.play(read(many(before, { to: 9, cgroupId: 5 }, 33000)))
    const others = many(after, { to: 9, cgroupId: 6 }, 33000)
    const state = player.play(
      read([...others, ...many(1000, { to: 9, cgroupId: undefined }, 50000)]),
    )
    const share = (portsOf(state, '6.service') ?? 0) - after
    expect(share).toBeGreaterThanOrEqual(from)
    expect(share).toBeLessThanOrEqual(to)
  })

  test('seen in the last 120 s, and no longer', () => {
    const player = createOwnersPlayer()
    player.play(read(alive))
    for (let sample = 1; sample <= 24; sample++) {
      expect(rowsOf(player.play(read(timeWait)))).toHaveLength(2)
    }
    expect(rowsOf(player.play(read(timeWait)))).toContain('tcp *none 40')
    expect(memoryOf(player)).toEqual([])
  })

  test('also while no socket at all was left in between', () => {
    const player = createOwnersPlayer()
    player.play(read(alive))
    player.play(read([]))
    expect(rowsOf(player.play(read(timeWait)))).toHaveLength(2)
  })

  test('also when all of them may be recycled, which still hold their ports', () => {
    const player = createOwnersPlayer()
    const reuse = { ...settings, tcpTwReuse: 1 }
    player.play(createReading([connectionBatch(alive)], reuse))
    const state = player.play(createReading([connectionBatch(timeWait)], reuse))
    expect(rowsOf(state)).toEqual(['tcp 5.service 30', 'tcp 6.service 10'])
  })

  test('not those of another destination', () => {
    const elsewhere = many(3, { to: 8, cgroupId: undefined }, 52000)
    const state = createOwnersPlayer().play(read([...alive, ...elsewhere]))
    expect(rowsOf(state)).toEqual(['tcp 5.service 30', 'tcp 6.service 10', 'tcp *none 3'])
  })

  test('that of unknown sockets included', () => {
    const unknown = many(2, { to: 9, cgroupId: 900 })
    const state = createOwnersPlayer().play(read([...unknown, ...timeWait]))
    expect(rowsOf(state)).toEqual(['tcp *unknown 42'])
  })

  test('but forgets ids of cgroups when users tell owners from now on', () => {
    const player = createOwnersPlayer()
    player.play(read(alive))
    const state = player.play({ ...read(timeWait), ownersBy: 'user' })
    expect(rowsOf(state)).toContain('tcp *none 40')
  })

  test('rounds the sum over all destinations, not each of them', () => {
    const destinations = Array.from({ length: 40 }, (_, to) => [
      ...many(3, { to, cgroupId: 5 }, 40000 + to * 10),
      ...many(1, { to, cgroupId: 6 }, 40003 + to * 10),
      ...many(1, { to, cgroupId: undefined }, 40004 + to * 10),
    ])
    const state = createOwnersPlayer().play(read(destinations.flat()))
    expect(rowsOf(state)).toEqual(['tcp 5.service 150', 'tcp 6.service 50'])
  })
})

describe('the memory is bounded', () => {
  test('to the 128 destinations with the most sockets', () => {
    const player = createOwnersPlayer()
    const connections = Array.from({ length: 200 }, (_, to) => [
      ...many(1, { to, cgroupId: 5 }, 33000 + to * 100),
      ...many(to < 72 ? 1 : 2, { to, cgroupId: undefined }, 33001 + to * 100),
    ]).flat()
    const state = player.play(read(connections))
    expect(memoryOf(player)).toHaveLength(128)
    expect(rowsOf(state)).toEqual([`tcp 5.service ${200 + 2 * 128}`, 'tcp *none 72'])
  })

  test('to eight owners each, those with the most sockets, who divide what the rest leaves', () => {
    const player = createOwnersPlayer({ top: 20 })
    const alive = Array.from({ length: 12 }, (_, at) =>
      many(at < 4 ? 1 : 2, { to: 9, cgroupId: 100 + at }, 40000 + 10 * at),
    )
    const timeWait = many(80, { to: 9, cgroupId: undefined }, 50000)
    const state = player.play(read([...alive.flat(), ...timeWait]))
    const [destination] = memoryOf(player)
    expect(destination?.alive.map(({ ownerId }) => ownerId)).toEqual([
      104, 105, 106, 107, 108, 109, 110, 111,
    ])
    expect(portsOf(state, '100.service')).toBe(1)
    expect(portsOf(state, '104.service')).toBe(2 + 10)
  })

  test('to about 128 ports each, with the proportion kept', () => {
    const player = createOwnersPlayer()
    player.play(
      read([
        ...many(12_000, { to: 9, cgroupId: 5 }, 33000),
        ...many(4_000, { to: 9, cgroupId: 6 }, 45000),
      ]),
    )
    const [destination] = memoryOf(player)
    const listed = destination?.alive.flatMap(({ ports }) => ports) ?? []
    expect(destination?.every).toBe(128)
    expect(listed.length).toBeGreaterThan(64)
    expect(listed.length).toBeLessThan(256)
    const state = player.play(read(many(16_000, { to: 9, cgroupId: undefined }, 33000)))
    expect((portsOf(state, '5.service') ?? 0) / 16_000).toBeCloseTo(0.75, 1)
  })

  test('to 31 endings an owner, at any interval', () => {
    const player = createOwnersPlayer()
    for (let sample = 0; sample < 400; sample++) {
      player.wait(-4.5)
      const port = 40000 + (sample % 1000)
      player.play(read([{ to: 9, port, cgroupId: 5 }, ...many(9, { to: 9, cgroupId: undefined })]))
    }
    const [destination] = memoryOf(player)
    expect(destination?.ended.length).toBeGreaterThan(25)
    expect(destination?.ended.length).toBeLessThanOrEqual(31)
    const sockets = destination?.ended.reduce((sum, ended) => sum + ended.sockets, 0)
    expect(sockets).toBeGreaterThan(230)
    expect(sockets).toBeLessThan(250)
  })

  test('and plain: it goes on the same from JSON', () => {
    const samples = simulateStorm([
      { cgroupId: 5, perSecond: 30 },
      { cgroupId: 2 ** 40 + 6, perSecond: 30 },
    ]).slice(0, 20)
    const nameOwner = (id: number) => ({ owner: `${id}`, ownerKind: 'cgroup' }) as const
    const [kept, stored] = [createOwnersPlayer({ nameOwner }), createOwnersPlayer({ nameOwner })]
    for (const connections of samples) {
      const want = rowsOf(kept.play(read(connections)))
      expect(rowsOf(stored.play(read(connections)))).toEqual(want)
      stored.restore(JSON.parse(JSON.stringify(stored.state())))
    }
    expect(stored.state()).toEqual(kept.state())
  })
})

describe('apportion()', () => {
  test.each([
    [4, { 5: 3, 6: 1 }, { 5: 3, 6: 1 }],
    [2, { 5: 1.5, 6: 0.5 }, { 5: 2, 6: 0 }],
    [1, { 5: 0.4, 6: 0.6 }, { 5: 0, 6: 1 }],
    [10, { 5: 10 / 3, 6: 10 / 3, 7: 10 / 3 }, { 5: 4, 6: 3, 7: 3 }],
    [3, { 5: 2.9999999999, 6: 1e-10 }, { 5: 3, 6: 0 }],
    [0, {}, {}],
  ])('divides %s by %o', (total, quotas: Record<number, number>, want) => {
    const parts = new Map(Object.entries(quotas).map(([id, quota]) => [Number(id), quota]))
    expect(Object.fromEntries(apportion(total, parts))).toEqual(want)
  })
})
