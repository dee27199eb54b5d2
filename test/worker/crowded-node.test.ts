import { describe, expect, test } from 'vitest'
import { SourceError } from '../../src/observation.ts'
import { createNode, nameOf, upTo } from './many-node.ts'

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
    const { node, sample, readsOf } = createNode(upTo(501))
    for (const id of upTo(501)) node.bounds.set(id, 28_000)
    const { leftOut } = await sample()
    // A second of CPU at 4 ms each.
    expect(leftOut.postponed).toBe(250)
    await sample()
    const reads = upTo(501).slice(1).map(readsOf)
    // Five hundred and some, the sum of costs not being exact.
    expect([Math.min(...reads), Math.max(...reads) <= 2, readsOf(1)]).toEqual([1, true, 2])
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

  test('where all hang that could have a client of NAT, a sample asks some, and the next goes on with others', async () => {
    const { node, sample } = createNode(upTo(31))
    await sample(3, 1)
    for (const id of upTo(6)) node.tracked.set(id, 20_000)
    for (const id of upTo(31).slice(1)) node.hangs.set(id, 1)
    const before = node.asked.length
    for (let turn = 1; turn <= 3; turn++) {
      const { durations } = await sample()
      const { discover, read, model, other } = durations
      expect(discover + read + model + other).toBeLessThan(15)
    }
    const asked = node.asked.slice(before)
    expect([asked.length, new Set(asked).size]).toEqual([4, 4])
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
