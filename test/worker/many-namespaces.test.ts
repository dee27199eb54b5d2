import { describe, expect, test } from 'vitest'
import { DecodeError, SourceError } from '../../src/observation.ts'
import type { Namespace } from '../../src/snapshot.ts'
import { createNode, nameOf, READ_SECONDS, upTo } from './many-node.ts'

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
    // So many that its turn does not come meanwhile.
    const { node, sample } = createNode(upTo(61))
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
    const { namespaces, readErrors } = await sample()
    expect(readErrors).toEqual(['permission'])
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
    expect(blind.readErrors).toEqual(['exhausted'])
    expect(blind.namespaces.map(({ state }) => state !== undefined)).toEqual([true, true])
    const later = await sample()
    expect(later.namespaces.map(({ failure }) => failure?.reason)).toEqual([undefined, 'exhausted'])
    node.listing = undefined
    const { namespaces, names } = await sample()
    expect(names).toEqual(['self', nameOf(2)])
    // Known without waiting: the forecast remembers what it saw.
    expect(namespaces[1]?.state?.pools[0]?.riskRatio).toBeDefined()
  })

  test('first reads cost the interval nothing up to one budget, and the rest of what they cost', async () => {
    const { node, sample } = createNode(upTo(21))
    expect((await sample()).cpuSeconds).toBeCloseTo(READ_SECONDS, 9)
    node.ids = [1, ...upTo(201).map((id) => id + 1000)]
    // 63 of them are read for 2.5 budgets of 0.1 s, and our own.
    expect((await sample()).cpuSeconds).toBeCloseTo(64 * READ_SECONDS - 0.1, 9)
  })

  test('a worker that could not list the namespaces yet does not say that nobody is there', async () => {
    const { node, sample } = createNode([1, 2])
    node.listing = new SourceError('exhausted', 'Cannot list the processes: EMFILE')
    expect((await sample()).recorded).toBeUndefined()
    node.listing = undefined
    expect((await sample()).recorded).toBeDefined()
    node.listing = new SourceError('exhausted', 'Cannot list the processes: EMFILE')
    expect((await sample()).recorded).toBeDefined()
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
