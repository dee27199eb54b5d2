import { describe, expect, test } from 'vitest'
import { createTally } from '../../src/failures/tally.ts'

const resolvers = { netnsOf: (pid: number) => `n${pid}`, ownerOf: () => 'shop.service' }
const failure = (pid: number, remotePort: number, last = 9) => ({
  pid,
  remotePort,
  localAddress: Uint32Array.of(0, 0, 0xffff, 0x0a00_0005),
  remoteAddress: Uint32Array.of(0, 0, 0xffff, 0x0a00_0000 + last),
})

/** Counts so many kinds of each namespace, in this order, and gives what was kept and what was counted of each. */
function tallyKinds(plan: readonly (readonly [pid: number, kinds: number])[]) {
  const tally = createTally(resolvers)
  for (const [pid, kinds] of plan) {
    for (let at = 0; at < kinds; at++) tally.add(at % 4, failure(pid, 1 + (at >> 2)))
  }
  const events = tally.events()
  const of = (pid: number) => events.filter(({ netns }) => netns === `n${pid}`)
  return {
    kept: (pid: number) => of(pid).filter(({ destination }) => destination !== undefined).length,
    total: (pid: number) => of(pid).reduce((sum, { count }) => sum + count, 0),
    events,
  }
}

describe('createTally()', () => {
  test('keeps all kinds of one namespace up to 2,000, and of more only their number, by CPU', () => {
    expect(tallyKinds([[1, 2000]]).kept(1)).toBe(2000)
    const { kept, total, events } = tallyKinds([[1, 9000]])
    expect([kept(1), total(1)]).toEqual([2000, 9000])
    expect(events.filter(({ destination }) => destination === undefined)).toHaveLength(4)
    for (const cpu of [0, 1, 2, 3]) {
      const here = events.filter((one) => one.cpu === cpu)
      expect(here.reduce((sum, { count }) => sum + count, 0)).toBe(2250)
    }
    expect(events.at(-1)).toMatchObject({ netns: 'n1', owner: undefined, source: undefined })
  })

  test.each([
    [
      'first',
      [
        [1, 40],
        [2, 9000],
        [3, 9000],
      ],
    ],
    [
      'between',
      [
        [2, 9000],
        [1, 40],
        [3, 9000],
      ],
    ],
    [
      'last',
      [
        [2, 9000],
        [3, 9000],
        [1, 40],
      ],
    ],
  ] as const)('takes nothing from a namespace with few kinds that comes %s', (_when, plan) => {
    const { kept, total } = tallyKinds(plan)
    expect([1, 2, 3].map(kept)).toEqual([40, 980, 980])
    expect([1, 2, 3].map(total)).toEqual([40, 9000, 9000])
  })

  test('loses no failure of more namespaces than there may be kinds', () => {
    const { total, events } = tallyKinds(
      Array.from({ length: 3000 }, (_, pid) => [pid, 2] as const),
    )
    expect(
      events.filter(({ destination }) => destination !== undefined).length,
    ).toBeLessThanOrEqual(2000)
    for (const pid of [0, 1500, 2999]) expect(total(pid)).toBe(2)
  })

  test('keeps the kinds with most failures', () => {
    const tally = createTally(resolvers)
    for (let at = 0; at < 3000; at++) tally.add(0, failure(1, 1 + at))
    for (let at = 0; at < 50; at++) tally.add(0, failure(1, 65_000, 10))
    const destinations = tally.events().map(({ destination, count }) => [destination, count])
    expect(destinations[0]).toEqual(['10.0.0.9:1', 1])
    expect(destinations).toContainEqual(['10.0.0.10:65000', 50])
    expect(destinations).toContainEqual([undefined, 1001])
  })
})
