import { describe, expect, test } from 'vitest'
import { createStep } from '../../src/model/step.ts'
import type { Namespaces } from '../../src/namespaces/namespaces.ts'
import { DecodeError, SourceError } from '../../src/observation.ts'
import type { Sample } from '../../src/sample.ts'
import type { Namespace } from '../../src/snapshot.ts'
import { createNodeNames } from '../../src/worker/node-names.ts'
import { createTakeSample } from '../../src/worker/take-sample.ts'
import { plainSocket } from '../support/kernel/netlink-builder.ts'
import { createReading, plainSettings, replayDumps } from '../support/kernel/readings.ts'
import { buildNetNamespace, untracked } from '../support/netns/net-namespace.ts'

const READ_SECONDS = 0.004

/** A node of the test's making: what each namespace holds, what it is bounded by, and how often it was read. */
function createNode(ids: readonly number[], mostNamespaces?: number) {
  const node = {
    ids: [...ids],
    bounds: new Map<number, number | Error>(),
    sockets: new Map<number, number>(),
    ranges: new Map<number, { first: number; last: number }>(),
    failing: [] as readonly number[],
    /** Of looks at the range alone. */
    rangeRefusal: undefined as Error | undefined,
    refusals: new Map<number, Error>(),
    /** Seconds that pass on the wall while one is read. */
    hangs: new Map<number, number>(),
    /** Names in /run/netns, and when the oldest process started. */
    names: new Map<number, string>(),
    born: new Map<number, number>(),
    reads: new Map<number, number>(),
    listing: undefined as Error | undefined,
  }
  let [now, cpu] = [1000, 0]
  const placeOf = (id: number) => {
    const name = node.names.get(id)
    return buildNetNamespace({
      ...{ id, own: id === 1, inode: 4_000_000_000 + id, processAgeSeconds: 100 },
      ...{ bornSeconds: node.born.get(id) ?? id, names: name === undefined ? [] : [name] },
    })
  }
  const rangeOf = (id: number) => node.ranges.get(id) ?? { first: 32_768, last: 60_999 }
  const namespaces: Namespaces = {
    list: () => {
      if (node.listing) throw node.listing
      return node.ids.map(placeOf)
    },
    boundPorts: ({ id }) => {
      const bound = node.bounds.get(id) ?? 5
      if (bound instanceof Error) throw bound
      return bound
    },
    readPortSettings: ({ id }) => {
      if (node.rangeRefusal) throw node.rangeRefusal
      return { range: rangeOf(id), reserved: [] }
    },
    ...untracked,
    read: ({ id }, use) => {
      node.reads.set(id, (node.reads.get(id) ?? 0) + 1)
      cpu += READ_SECONDS
      now += node.hangs.get(id) ?? 0
      const refusal = node.refusals.get(id)
      if (refusal) throw refusal
      const range = rangeOf(id)
      const sockets = Array.from({ length: node.sockets.get(id) ?? 0 }, (_, index) => ({
        ...plainSocket,
        localPort: range.first + index,
      }))
      return use(
        createReading(replayDumps([{ protocol: 'tcp', explicit: false, sockets }]), {
          ...plainSettings,
          range,
        }),
      )
    },
  }
  const takeSample = createTakeSample({
    namespaces,
    step: createStep({
      top: 10,
      peakWindowSeconds: 60,
      forecastHorizonSeconds: 900,
      destinations: true,
      owners: false,
      listeners: true,
    }),
    names: createNodeNames({
      procfs: '/proc',
      cgroup: undefined,
      owners: false,
      kubernetes: false,
      monotonicSeconds: () => now,
    }),
    failureWatch: {
      read: () => ({
        instancePath: '',
        reading: { rings: [], events: node.failing.map(failureIn), problem: undefined },
        present: [],
        named: [],
      }),
      collector: () => ({ collector: 'failures', success: true, durationSeconds: 0 }),
      absence: () => undefined,
    },
    prober: undefined,
    buckets: undefined,
    clocks: { unixSeconds: () => now, monotonicSeconds: () => now, cpuSeconds: () => cpu },
    detailMinUtilization: 0.2,
    ...(mostNamespaces === undefined ? {} : { mostNamespaces }),
  })
  const said = new Map<string, Namespace>()
  return {
    ...node,
    node,
    /** Takes samples; gives what the main thread would then know. */
    async sample(times = 1, budgetSeconds = 0.1) {
      let failures: readonly string[] = []
      let namespaces: Namespace[] = []
      let leftOut: Sample['leftOut'] = { namespaces: 0, postponed: 0 }
      let durations: Sample['durations'] = { discover: 0, read: 0, model: 0, other: 0 }
      for (let time = 0; time < times; time++) {
        now += 5
        const sample = await takeSample(budgetSeconds)
        failures = sample.failures
        leftOut = sample.leftOut
        durations = sample.durations
        namespaces = sample.namespaces.flatMap((one) =>
          typeof one === 'string' ? (said.get(one) ?? []) : one,
        )
        for (const one of namespaces) said.set(one.netns, one)
      }
      return {
        failures,
        leftOut,
        durations,
        namespaces,
        names: namespaces.map(({ netns }) => netns),
      }
    },
    readsOf: (id: number) => node.reads.get(id) ?? 0,
  }
}

function failureIn(id: number) {
  const [netns, owner] = [`inode/${4_000_000_000 + id} ${id}`, undefined]
  return { cpu: 0, pid: 1, netns, owner, source: '10.0.0.5', destination: '10.0.0.9:443', count: 1 }
}

const nameOf = (id: number) => `inode/${4_000_000_000 + id}`
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1)

describe('takeSample() of many namespaces', () => {
  test('reads our own at every sample and quiet ones in turn, by a small part of the budget', async () => {
    const { sample, readsOf } = createNode(upTo(101))
    await sample(2)
    expect(readsOf(1)).toBe(2)
    expect(upTo(101).every((id) => readsOf(id) > 0)).toBe(true)
    const before = upTo(101).reduce((sum, id) => sum + readsOf(id), 0)
    await sample(20)
    const turns = upTo(101).reduce((sum, id) => sum + readsOf(id), 0) - before - 20
    expect(readsOf(1)).toBe(22)
    // 2.5 ms a sample, 4 ms a read.
    expect(turns).toBeGreaterThanOrEqual(11)
    expect(turns).toBeLessThanOrEqual(15)
    expect(Math.max(...upTo(101).slice(1).map(readsOf))).toBeLessThanOrEqual(2)
  })

  test('new ones appear as fast as 2.5 budgets allow, those that hold most first', async () => {
    const { node, sample, readsOf } = createNode([1])
    await sample()
    node.ids = upTo(201)
    node.bounds.set(150, 100)
    node.bounds.set(160, 6000)
    await sample()
    const read = upTo(201).filter((id) => readsOf(id) > 0)
    expect(read).toContain(150)
    expect(read).toContain(160)
    expect(read.length - 2).toBe(Math.ceil(0.25 / READ_SECONDS))
    const { names } = await sample(4)
    expect(names).toHaveLength(201)
  })

  test('reads one that can hold a fifth of its ports at every sample', async () => {
    const { node, sample, readsOf } = createNode([1, 2])
    await sample()
    node.bounds.set(2, 6000)
    node.sockets.set(2, 6000)
    await sample(3)
    expect(readsOf(2)).toBe(4)
    // It may be empty now, but what is said of it is not: read until it is seen to be calm.
    node.bounds.set(2, 0)
    node.sockets.set(2, 0)
    const { namespaces } = await sample()
    expect(readsOf(2)).toBe(5)
    expect(namespaces[1]?.state?.protocols[0]?.usedPorts).toBe(0)
  })

  test('notices a smaller range although nothing else changes', async () => {
    const { node, sample } = createNode([1, ...upTo(31).slice(1)])
    await sample(2, 1)
    node.ranges.set(7, { first: 40_000, last: 40_099 })
    const { namespaces } = await sample(4, 0)
    const seven = namespaces.find(({ netns }) => netns === nameOf(7))
    expect(seven?.state?.settings.usablePorts).toBe(100)
  })

  test('lists no quiet one out of turn only because its range may not be looked at', async () => {
    const { node, sample, readsOf } = createNode(upTo(51))
    await sample(2, 1)
    node.rangeRefusal = new SourceError('permission', 'Cannot enter')
    const before = upTo(51).reduce((sum, id) => sum + readsOf(id), 0)
    await sample(10)
    const turns = upTo(51).reduce((sum, id) => sum + readsOf(id), 0) - before - 10
    // 2.5 ms a sample, 4 ms a read.
    expect(turns).toBeLessThanOrEqual(8)
    // Whatever else is wrong, reading says why.
    node.rangeRefusal = new SourceError('vanished', 'Cannot open')
    const vanishing = readsOf(2)
    await sample(6)
    expect(readsOf(2)).toBeGreaterThan(vanishing)
  })

  test('reads a new one of few ports at once when it can hold a fifth of them', async () => {
    const { node, sample, readsOf } = createNode([1])
    await sample()
    node.ids = upTo(201)
    node.bounds.set(150, 100)
    node.bounds.set(2, 25)
    node.ranges.set(2, { first: 40_000, last: 40_099 })
    await sample(1, 0)
    expect([readsOf(2), readsOf(150)]).toEqual([1, 0])
  })

  test('reads one in which allocations fail at every sample, until that is five minutes ago', async () => {
    const { node, sample, readsOf } = createNode(upTo(201))
    await sample(10, 1)
    node.failing = [7]
    await sample()
    node.failing = []
    const before = readsOf(7)
    await sample(59)
    expect(readsOf(7)).toBe(before + 59)
    await sample(10)
    expect(readsOf(7)).toBeLessThanOrEqual(before + 60)
  })

  test('a forecast is not left standing when its namespace has become quiet', async () => {
    const { node, sample } = createNode(upTo(201))
    const risk = (namespaces: readonly Namespace[]) =>
      namespaces
        .find(({ netns }) => netns === nameOf(2))
        ?.state?.pools.map(({ riskRatio = 0 }) => riskRatio) ?? []
    await sample(10, 1)
    for (let sockets = 0; sockets <= 14_000; sockets += 700) {
      node.bounds.set(2, 5700)
      node.sockets.set(2, sockets)
      await sample(1)
    }
    expect(Math.max(...risk((await sample()).namespaces))).toBeGreaterThan(0.5)
    node.bounds.set(2, 0)
    node.sockets.set(2, 0)
    expect(Math.max(...risk((await sample(12)).namespaces))).toBeLessThan(0.25)
  })

  test('says less of quiet ones, all of busy ones, and changes its mind slowly', async () => {
    const { node, sample } = createNode([1, 2])
    const detailOf = async (sockets: number) => {
      node.bounds.set(2, 28_232)
      node.sockets.set(2, sockets)
      return (await sample()).namespaces.map(({ detailed }) => detailed)
    }
    expect(await detailOf(5600)).toEqual([true, false])
    expect(await detailOf(5700)).toEqual([true, true])
    expect(await detailOf(5600)).toEqual([true, true])
    expect(await detailOf(4300)).toEqual([true, true])
    expect(await detailOf(4200)).toEqual([true, false])
  })

  test('one that cannot be read costs the others nothing and comes back at once', async () => {
    const { node, sample } = createNode([1, 2, 3])
    await sample()
    node.refusals.set(2, new SourceError('permission', 'Cannot enter'))
    node.bounds.set(2, 28_000)
    const { namespaces, failures } = await sample()
    expect(failures).toEqual(['permission'])
    expect(namespaces.map(({ state }) => state !== undefined)).toEqual([true, false, true])
    node.refusals.clear()
    node.bounds.set(2, 1)
    expect((await sample()).namespaces.every(({ state }) => state !== undefined)).toBe(true)
  })

  test('a bound that cannot be read means that the sockets must be', async () => {
    const { node, sample, readsOf } = createNode([1, 2])
    node.bounds.set(2, new DecodeError('Cannot parse sockstat', 0))
    await sample(3)
    expect(readsOf(2)).toBe(3)
  })

  test('forgets nothing when the namespaces cannot be listed, but says so before long', async () => {
    const { node, sample } = createNode([1, 2])
    const before = (await sample(3)).namespaces[1]?.state
    expect(before?.pools[0]?.riskRatio).toBeDefined()
    node.listing = new SourceError('exhausted', 'Cannot list the processes: EMFILE')
    const blind = await sample(2)
    expect(blind.failures).toEqual(['exhausted'])
    expect(blind.namespaces.map(({ state }) => state !== undefined)).toEqual([true, true])
    const later = await sample()
    expect(later.namespaces.map(({ failure }) => failure?.reason)).toEqual([undefined, 'exhausted'])
    node.listing = undefined
    const { namespaces, names } = await sample()
    expect(names).toEqual(['self', nameOf(2)])
    // Known without waiting: the forecast remembers what it saw.
    expect(namespaces[1]?.state?.pools[0]?.riskRatio).toBeDefined()
  })

  test('series of a vanished namespace go at once, and its name is free', async () => {
    const { node, sample } = createNode([1, 2])
    await sample()
    node.ids = [1]
    expect((await sample()).names).toEqual(['self'])
    node.ids = [1, 2]
    expect((await sample()).names).toEqual(['self', nameOf(2)])
  })
})

describe('takeSample() of more namespaces than are to be shown', () => {
  test('shows named ones first, then the oldest, and counts the rest', async () => {
    const { node, sample } = createNode(upTo(61), 20)
    node.names.set(50, 'blue')
    node.born.set(60, 0)
    const { names, leftOut } = await sample(3, 1)
    expect(leftOut).toEqual({ namespaces: 40, postponed: 0 })
    const oldest = upTo(19).slice(1).map(nameOf)
    expect(names.toSorted()).toEqual(['self', 'named/blue', nameOf(60), ...oldest].toSorted())
  })

  test('nobody who comes later pushes one out, and the next in age comes when one has gone', async () => {
    const { node, sample } = createNode(upTo(21), 20)
    const before = (await sample(3, 1)).names
    expect(before).toHaveLength(21)
    node.ids = upTo(300)
    expect((await sample(3, 1)).names).toEqual(before)
    node.ids = upTo(300).filter((id) => id !== 7)
    const { names, leftOut } = await sample(2, 1)
    expect(names).toContain(nameOf(22))
    expect([names.length, leftOut.namespaces]).toEqual([21, 278])
  })

  test('shows one beyond them that could hold a fifth of the ports, or in which allocations fail', async () => {
    const { node, sample, readsOf } = createNode(upTo(61), 20)
    node.bounds.set(50, 6000)
    node.sockets.set(50, 6000)
    const { names, leftOut } = await sample(2, 1)
    expect([names.includes(nameOf(50)), leftOut.namespaces]).toEqual([true, 39])
    node.failing = [55]
    expect((await sample(2, 1)).names).toContain(nameOf(55))
    node.failing = []
    node.bounds.set(50, 5)
    const later = await sample(70, 1)
    expect([later.names.includes(nameOf(50)), later.names.includes(nameOf(55))]).toEqual([
      false,
      false,
    ])
    expect(readsOf(60)).toBe(0)
  })

  test('shows never more than twice as many, however many are busy', async () => {
    const { node, sample } = createNode(upTo(101), 20)
    for (const id of upTo(101)) node.bounds.set(id, 28_000)
    const { names, leftOut } = await sample(3, 1)
    expect([names.length, leftOut.namespaces]).toEqual([41, 60])
  })
})

describe('takeSample() of more than a sample has time for', () => {
  test('where all are busy each has its turn, and what waits is counted', async () => {
    const { node, sample, readsOf } = createNode(upTo(1001))
    for (const id of upTo(1001)) node.bounds.set(id, 28_000)
    const { leftOut } = await sample()
    // A second of CPU at 4 ms each.
    expect(leftOut.postponed).toBe(750)
    await sample(3)
    const reads = upTo(1001).slice(1).map(readsOf)
    // A thousand and some, the sum of costs not being exact.
    expect([Math.min(...reads), Math.max(...reads) <= 2, readsOf(1)]).toEqual([1, true, 4])
  })

  test('where all hang and then fail, a sample ends long before its deadline, and our own is read', async () => {
    const { node, sample, readsOf } = createNode(upTo(301))
    for (const id of upTo(301).slice(1)) {
      node.bounds.set(id, 28_000)
      node.hangs.set(id, 1)
      node.refusals.set(id, new SourceError('timeout', 'The kernel does not answer'))
    }
    for (let turn = 1; turn <= 5; turn++) {
      const { durations, namespaces } = await sample()
      const { discover, read, model, other } = durations
      expect(discover + read + model + other).toBeLessThan(20)
      expect(namespaces.find(({ netns }) => netns === 'self')?.state).toBeDefined()
      expect(readsOf(1)).toBe(turn)
    }
  })

  test('those that fail do not keep a busy one from being read', async () => {
    const { node, sample, readsOf } = createNode(upTo(101))
    await sample(3, 1)
    for (const id of upTo(100).slice(1)) {
      node.hangs.set(id, 1)
      node.bounds.set(id, new SourceError('timeout', 'The kernel does not answer'))
      node.refusals.set(id, new SourceError('timeout', 'The kernel does not answer'))
    }
    await sample(20)
    node.bounds.set(101, 28_000)
    const before = readsOf(101)
    await sample(3)
    expect(readsOf(101)).toBe(before + 3)
  })
})
