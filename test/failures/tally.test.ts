import { describe, expect, test } from 'vitest'
import { createTally } from '../../src/failures/tally.ts'
import type { FailureEvent } from '../../src/sample.ts'

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
    expect(destinations[0]).toEqual(['10.0.0.10:65000', 50])
    expect(destinations).toContainEqual([undefined, 1001])
  })

  test('which of equal kinds it keeps is drawn by lot', () => {
    const keptOf = (random: () => number) => {
      const tally = createTally(resolvers, random)
      for (let at = 1; at <= 3000; at++) tally.add(0, failure(1, at))
      return new Set(tally.events().map(({ destination }) => destination))
    }
    let lot = 0
    const [first, last] = [keptOf(() => lot++), keptOf(() => lot--)]
    expect([first.has('10.0.0.9:1'), first.has('10.0.0.9:3000')]).toEqual([true, false])
    expect([last.has('10.0.0.9:1'), last.has('10.0.0.9:3000')]).toEqual([false, true])
  })
})

describe('createTally() of threads that have ended', () => {
  const ended = { netnsOf: () => undefined, ownerOf: () => undefined }
  const from = (source: number, remotePort: number) => ({
    ...failure(1, remotePort),
    localAddress: Uint32Array.of(0, 0, 0xffff, source),
  })
  const VICTIM = 0x0a00_0001
  const TENANT = 0x0a01_0000
  /** Failures of the victim of which the destination is kept. */
  const keptOf = (events: readonly FailureEvent[]) =>
    events.reduce((sum, { source, count }) => sum + (source === '10.0.0.1' ? count : 0), 0)

  test.each(['first', 'last'])(
    'keeps all of a source with few kinds that comes %s, whatever another source does',
    (when) => {
      const tally = createTally(ended)
      const fail = () => {
        for (let at = 0; at < 100; at++) tally.add(at % 64, from(VICTIM, 443))
      }
      if (when === 'first') fail()
      for (let at = 0; at < 20_000; at++) tally.add(at % 64, from(TENANT, 1 + (at >> 6)))
      if (when === 'last') fail()
      const events = tally.events()
      expect(keptOf(events)).toBe(100)
      expect(events.reduce((sum, { count }) => sum + count, 0)).toBe(20_100)
    },
  )

  test('keeps those of a source that fails often, however many other sources fail once', () => {
    const tally = createTally(ended)
    for (let at = 0; at < 50_000; at++) {
      tally.add(at % 64, from(TENANT + at, 443))
      // It comes among them, and is never more than they.
      if (at % 10 === 0) tally.add((at / 10) % 8, from(VICTIM, 443))
    }
    const events = tally.events()
    expect(keptOf(events)).toBeGreaterThan(4900)
    // One for each kind, and one for each CPU.
    expect(events.length).toBeLessThanOrEqual(2064)
    expect(events.reduce((sum, { count }) => sum + count, 0)).toBe(55_000)
  })

  test('does not take the destinations of a namespace that is known', () => {
    const tally = createTally({ ...ended, netnsOf: (pid) => (pid === 2 ? 'n2' : undefined) })
    for (let at = 0; at < 200; at++) tally.add(at % 64, failure(2, 1 + at))
    for (let at = 0; at < 20_000; at++) tally.add(at % 64, from(TENANT + at, 443))
    const known = tally.events().filter(({ netns }) => netns === 'n2')
    expect(known.filter(({ destination }) => destination !== undefined)).toHaveLength(200)
  })
})
