import { describe, expect, test } from 'vitest'
import { createNatStep } from '../../src/model/nat/step.ts'
import type { Conntrack } from '../../src/namespaces/namespaces.ts'
import { type ReadErrorReason, SourceError } from '../../src/observation.ts'
import { createNatWatch } from '../../src/worker/nat-watch.ts'
import { startWatching, type Watched } from '../../src/worker/watched.ts'
import { type Entry, readingOf } from '../model/nat/conntrack.ts'
import { buildNetNamespace } from '../support/netns/net-namespace.ts'

const COUNTS: Conntrack = {
  entries: 0,
  limit: 262_144,
  found: [0, 0],
  insertFailed: [0, 0],
  drop: [0, 0],
  clashResolve: [0, 0],
}
const LIST_SECONDS = 1 / 128

function setUp({ refusal }: { readonly refusal?: ReadErrorReason } = {}) {
  const world = {
    counts: new Map<number, Conntrack | Error>(),
    entries: new Map<number, readonly Entry[]>(),
    listed: [] as number[],
    now: 1000,
    cpu: 0,
    refusal,
  }
  let inside = 0
  const watch = createNatWatch({
    namespaces: {
      conntrack: ({ id }) => {
        const counts = world.counts.get(id)
        if (counts instanceof Error) throw counts
        return counts
      },
      inside: ({ id }, call) => {
        if (world.refusal) throw new SourceError(world.refusal, 'Cannot enter it')
        inside = id
        return call()
      },
    },
    source: {
      read: (_memory, _entries, use) => {
        world.listed.push(inside)
        world.cpu += LIST_SECONDS
        return use(readingOf(world.entries.get(inside) ?? []))
      },
    },
    step: createNatStep({
      top: 10,
      peakWindowSeconds: 60,
      forecastHorizonSeconds: 900,
      natRanges: [],
    }),
    natRanges: [],
    clientNames: { refresh: () => {}, nameClient: () => undefined },
    clocks: {
      unixSeconds: () => world.now,
      monotonicSeconds: () => world.now,
      cpuSeconds: () => world.cpu,
    },
  })
  const add = (id: number, counts: Partial<Conntrack>, own = false): Watched => {
    world.counts.set(id, { ...COUNTS, ...counts })
    const watched = startWatching(buildNetNamespace({ id, own }), 0)
    watched.identity.name = { netns: `named/${id}`, netnsKind: 'named' }
    return watched
  }
  return {
    world,
    watch,
    add,
    async sample(watched: readonly Watched[], budgetSeconds = 0.1): Promise<readonly number[]> {
      world.now += 5
      world.listed = []
      await watch.read(watched, budgetSeconds)
      return world.listed
    },
  }
}

const translated = (count: number): readonly Entry[] =>
  Array.from({ length: count }, (_, at) => ({
    client: `10.0.0.1:${1024 + at}`,
    answers: '198.51.100.9:443',
    nat: `203.0.113.7:${20_000 + at}`,
  }))

describe('the watch of NAT', () => {
  test('knows nothing of conntrack where it has tracked nothing, and never forgets that it has', async () => {
    const { world, add, sample } = setUp()
    const one = add(1, {})
    expect(await sample([one])).toEqual([])
    expect(one.last.nat.conntrack).toBeUndefined()
    world.counts.set(1, { ...COUNTS, found: [1, 2], entries: 1 })
    await sample([one])
    const counted = one.last.nat.conntrack
    expect(counted).toEqual({
      entries: 1,
      limitEntries: 262_144,
      collisions: 3,
      insertFailed: 0,
      dropped: 0,
      clashesResolved: 0,
      dropSignature: undefined,
      translatesIpv6: undefined,
    })
    await sample([one])
    expect(one.last.nat.conntrack).toBe(counted)
    world.counts.set(1, { ...COUNTS, found: [0, 0] })
    await sample([one])
    expect(one.last.nat.conntrack?.entries).toBe(0)
    world.counts.delete(1)
    await sample([one])
    expect(one.last.nat.conntrack).toBeUndefined()
  })

  test('goes on counting when the process through which it reads has ended for one look', async () => {
    const { world, add, sample } = setUp()
    const one = add(1, { entries: 1, insertFailed: [5, 0] })
    await sample([one])
    world.counts.set(1, { ...COUNTS, entries: 1, insertFailed: [8, 0] })
    await sample([one])
    const before = one.last.nat.conntrack?.insertFailed ?? Number.NaN
    world.counts.delete(1)
    await sample([one])
    expect(one.last.nat.conntrack).toBeUndefined()
    world.counts.set(1, { ...COUNTS, entries: 1, insertFailed: [12, 0] })
    await sample([one])
    expect(one.last.nat.conntrack?.insertFailed).toBe(before + 4)
  })

  test('tells a full range by the counters where it may not list', async () => {
    const { world, add, sample } = setUp({ refusal: 'permission' })
    const one = add(1, { entries: 150 })
    for (let drops = 0, at = 0; at < 40; at++, drops += at % 4) {
      const counters = { found: [68 * drops, 0], insertFailed: [drops, 0], drop: [drops, 0] }
      world.counts.set(1, { ...COUNTS, entries: 150, ...counters })
      await sample([one])
    }
    expect(one.last.nat.conntrack?.dropSignature).toBe('range_full')
    // A namespace that has gone and come back begins anew.
    world.counts.delete(1)
    await sample([one])
    world.counts.set(1, { ...COUNTS, entries: 150 })
    await sample([one])
    expect(one.last.nat.conntrack?.dropSignature).toBeUndefined()
  })

  test('lists a namespace that translated nothing again once its searches for a port are counted', async () => {
    const { world, add, sample } = setUp()
    const one = add(1, { entries: 25 })
    expect(await sample([one])).toEqual([1])
    world.now += 60
    expect(await sample([one])).toEqual([])
    world.entries.set(1, translated(20))
    world.counts.set(1, { ...COUNTS, entries: 25, found: [12, 0] })
    expect(await sample([one])).toEqual([1])
    expect(one.last.nat.state).toBeDefined()
    const failing = add(2, { entries: 25, insertFailed: [0, 1] })
    await sample([failing])
    world.counts.set(2, { ...COUNTS, entries: 25, insertFailed: [0, 2] })
    expect(await sample([failing])).toEqual([])
    world.now += 60
    expect(await sample([failing])).toEqual([2])
  })

  test('waits for the name of a namespace, without which nothing of it is shown', async () => {
    const { add, sample } = setUp()
    const one = add(1, { entries: 13_000 })
    const { name } = one.identity
    one.identity.name = undefined
    expect(await sample([one], 1)).toEqual([])
    expect(one.last.nat.conntrack?.entries).toBe(13_000)
    one.identity.name = name
    expect(await sample([one], 1)).toEqual([1])
  })

  test('lists a namespace once when it is met, and then only where trouble is possible', async () => {
    const { add, sample, world } = setUp()
    const quiet = add(1, { entries: 100 })
    const busy = add(2, { entries: 13_000 })
    world.entries.set(2, translated(5))
    const own = add(3, { entries: 100 }, true)
    const all = [quiet, busy, own]
    expect([...(await sample(all, 1))].sort()).toEqual([1, 2, 3])
    expect(busy.last.nat.state?.pools).toHaveLength(2)
    expect(quiet.last.nat.state).toBeUndefined()
    expect(await sample(all, 1)).toEqual([2])
    world.now += 60
    // What translates nothing and cannot be in trouble is asked no more, but for our own namespace.
    expect([...(await sample(all, 1))].sort()).toEqual([2, 3])
  })

  test('goes on listing what was strained until it is seen to be well', async () => {
    const { add, sample, world } = setUp()
    const one = add(1, { entries: 14_000 })
    world.entries.set(1, translated(14_000))
    expect(await sample([one], 1)).toEqual([1])
    world.counts.set(1, { ...COUNTS, entries: 10 })
    world.entries.set(1, translated(10))
    expect(await sample([one], 1)).toEqual([1])
    expect(await sample([one], 1)).toEqual([])
  })

  test('spends its share of the budget, the longest unlisted first, and owes what was too much', async () => {
    const { add, sample } = setUp()
    const all = [1, 2, 3, 4].map((id) => add(id, { entries: 100 }))
    const turns: number[][] = []
    for (let turn = 0; turn < 8; turn++) turns.push([...(await sample(all, LIST_SECONDS))])
    expect(turns.flat().sort()).toEqual([1, 2])
    expect(turns.filter((turn) => turn.length > 0)).toHaveLength(2)
  })

  test('lists our own namespace however much those of others cost, if not more often than it may', async () => {
    const { add, sample, world } = setUp()
    const own = add(1, { entries: 20_000 }, true)
    const others = Array.from({ length: 20 }, (_, at) => add(2 + at, { entries: 20_000 }))
    const all = [...others, own]
    for (const { identity } of all) world.entries.set(identity.namespace.id, translated(20))
    let times = 0
    for (let turn = 0; turn < 20; turn++) {
      times += (await sample(all, LIST_SECONDS)).filter((id) => id === 1).length
    }
    expect(times).toBe(10)
  })

  test('does not list the namespace of others that has too many entries, and then has no old pools', async () => {
    const { add, sample, world } = setUp()
    const [one, own] = [add(1, { entries: 20_000 }), add(2, { entries: 300_000 }, true)]
    world.entries.set(1, translated(20))
    expect([...(await sample([one, own], 1))].sort()).toEqual([1, 2])
    expect(one.last.nat.state).toBeDefined()
    world.counts.set(1, { ...COUNTS, entries: 262_145 })
    await sample([one], 1)
    expect(one.last.nat.state).toBeUndefined()
    expect(one.last.nat.conntrack?.entries).toBe(262_145)
  })

  test('takes more NAT addresses than it can tell apart for no problem, and tries again in a while', async () => {
    const { add, sample, watch, world } = setUp()
    const one = add(1, { entries: 20_000 })
    world.entries.set(1, translated(20))
    await sample([one], 1)
    world.entries.set(
      1,
      Array.from({ length: 5000 }, (_, at) => ({
        client: `10.0.0.1:${1024 + at}`,
        answers: '198.51.100.9:443',
        nat: `203.0.${at >> 8}.${at & 255}:40000`,
      })),
    )
    expect(await sample([one], 1)).toEqual([1])
    expect(one.last.nat.state).toBeUndefined()
    expect(watch.collector().success).toBe(true)
    expect(await sample([one], 1)).toEqual([])
    world.now += 60
    expect(await sample([one], 1)).toEqual([1])
  })

  test('does not ask again where the right is missing, which is no problem', async () => {
    const { add, sample, watch, world } = setUp({ refusal: 'permission' })
    const one = add(1, { entries: 100 }, true)
    await sample([one])
    expect(one.last.nat.refused).toBe(true)
    expect(one.last.nat.state).toBeUndefined()
    expect(watch.collector()).toMatchObject({ collector: 'nat', success: true })
    world.refusal = undefined
    world.now += 120
    expect(await sample([one])).toEqual([])
  })

  test('says what goes wrong, and shows no old pools for new ones', async () => {
    const { add, sample, watch, world } = setUp()
    const one = add(1, { entries: 20_000 })
    world.entries.set(1, translated(20_000))
    await sample([one], 1)
    expect(one.last.nat.state).toBeDefined()
    world.refusal = 'timeout'
    await sample([one], 1)
    expect(one.last.nat.state).toBeUndefined()
    expect(watch.collector()).toMatchObject({ success: false, problem: 'Cannot enter it' })
    world.refusal = undefined
    await sample([one], 1)
    expect(one.last.nat.state).toBeDefined()
    expect(watch.collector()).toMatchObject({ success: true, problem: undefined })
  })
})
