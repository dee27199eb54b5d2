import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  choosePorts,
  estimateHidden,
  keepUnchanged,
  levelShares,
  listAmbiguousPorts,
  noteTests,
  type PortTests,
  presumeClosed,
} from '../../src/model/hidden-ports.ts'

const none: PortTests = new Map()
const first = () => 0
const ambiguous = [40_000, 40_001, 40_002, 40_003]

function noted(
  tests: PortTests,
  answers: { usable?: readonly number[]; closed?: readonly number[] },
  nowSeconds: number,
): PortTests {
  return noteTests(tests, { usable: [], closed: [], ...answers }, { ambiguous, nowSeconds })
}

describe('listAmbiguousPorts()', () => {
  test('takes usable ports with a TCP socket on which nothing visible blocks', () => {
    const bits = { tcp: 1, blocking: 24 }
    const [usable, use] = [new Uint8Array(65_536), new Uint16Array(65_536)]
    usable.fill(1, 40_000, 40_006)
    use.set([1, 1 | 4, 1 | 8, 1 | 16, 32, 0], 40_000)
    use[40_006] = 1 // outside of the range, or reserved
    expect(listAmbiguousPorts(usable, use, bits)).toEqual([40_000, 40_001])
  })
})

describe('levelShares()', () => {
  test.each([
    ['nobody wants anything', [], 200],
    ['there is enough for all', [150, 50], 200],
    ['all want more', [300, 300, 300, 300], 50],
    ['some want little', [300, 20, 300, 20], 80],
    ['there is less than one for each', Array(400).fill(9), 0.5],
  ])('when %s', (_name, wants, share) => {
    expect(levelShares(200, wants)).toBe(share)
  })
})

describe('choosePorts()', () => {
  test('tests everything where there is room, the untested first', () => {
    const tests = noted(none, { usable: [40_000, 40_002] }, 10)
    const chosen = choosePorts(ambiguous, tests, { limit: 10, random: first })
    expect(chosen).toEqual([40_001, 40_003, 40_000, 40_002])
  })

  test('tests the oldest again when all were tested', () => {
    const tests = noted(noted(none, { usable: ambiguous }, 10), { closed: [40_000] }, 20)
    expect(choosePorts(ambiguous, tests, { limit: 2, random: first })).toEqual([40_001, 40_002])
  })

  test('draws every untested port equally often', () => {
    const counts = new Map<number, number>()
    let state = 1
    const random = () => {
      state = (state * 48_271) % 2_147_483_647
      return state / 2_147_483_647
    }
    for (let draw = 0; draw < 10_000; draw++) {
      for (const port of choosePorts(ambiguous, none, { limit: 1, random })) {
        counts.set(port, (counts.get(port) ?? 0) + 1)
      }
    }
    for (const port of ambiguous) expect(counts.get(port)).toBeGreaterThan(2300)
  })

  test('never chooses a port twice, one that is not ambiguous, or more than the limit', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 1, max: 65_535 })),
        fc.uniqueArray(fc.integer({ min: 1, max: 65_535 })),
        fc.nat(30),
        fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 1 }),
        (ports, tested, limit, numbers) => {
          let at = 0
          const tests = new Map(
            tested.map((port) => [port, { closed: false, testedAtSeconds: port }]),
          )
          const random = () => numbers[at++ % numbers.length] ?? 0
          const chosen = choosePorts(ports, tests, { limit, random })
          expect(chosen).toHaveLength(Math.min(limit, ports.length))
          expect(new Set(chosen).size).toBe(chosen.length)
          expect(chosen.every((port) => ports.includes(port))).toBe(true)
        },
      ),
    )
  })
})

describe('noteTests()', () => {
  test('forgets a port that has been without sockets since', () => {
    const tests = noted(none, { closed: [40_000, 40_001] }, 10)
    const later = noteTests(
      tests,
      { usable: [], closed: [] },
      { ambiguous: [40_001], nowSeconds: 15 },
    )
    expect([...later.keys()]).toEqual([40_001])
  })

  test('believes the newer answer, and none that is older than a minute', () => {
    const tests = noted(noted(none, { closed: [40_000, 40_001] }, 10), { usable: [40_001] }, 60)
    expect(tests.get(40_001)).toEqual({ closed: false, testedAtSeconds: 60 })
    expect([...noted(tests, {}, 70).keys()]).toEqual([40_000, 40_001])
    expect([...noted(tests, {}, 71).keys()]).toEqual([40_001])
  })
})

test('keepUnchanged() leaves out answers of other connections, and those older than a minute', () => {
  const told = (testedAtSeconds: number) => ({ closed: true, testedAtSeconds })
  const tests = new Map([100, 100, 90, 89].map((seconds, port) => [port, told(seconds)]))
  const before = new Map([0, 1, 2, 3].map((port) => [port, 7]))
  const now = new Map([...before, [1, 8]] as const)
  const kept = keepUnchanged(tests, { before, now, nowSeconds: 150 })
  expect([...kept.keys()]).toEqual([0, 2])
})

describe('estimateHidden()', () => {
  const many = Array.from({ length: 60 }, (_, index) => 40_000 + index)

  test('knows nothing where nothing was tested', () => {
    const { closed, untested, closedRatio } = estimateHidden(ambiguous, none)
    expect([closed.size, untested.size, closedRatio]).toEqual([0, 4, undefined])
  })

  test('takes the tested for the rest', () => {
    const tests = noted(none, { closed: many.slice(0, 15), usable: many.slice(15, 30) }, 1)
    expect(estimateHidden(many, tests)).toEqual({
      closed: new Set(many.slice(0, 15)),
      untested: new Set(many.slice(30)),
      closedRatio: 0.5,
    })
  })

  test('takes a few of many for nothing but themselves, and all for all', () => {
    const few = noted(none, { closed: many.slice(0, 29) }, 1)
    const { closed, closedRatio } = estimateHidden(many, few)
    expect([closed.size, closedRatio]).toEqual([29, undefined])
    expect(estimateHidden(many.slice(0, 4), few).closedRatio).toBe(1)
  })

  test('ignores the tests of ports that are not ambiguous any more', () => {
    const tests = noted(none, { closed: [40_000] }, 1)
    const { closed, closedRatio } = estimateHidden([40_001], tests)
    expect([closed.size, closedRatio]).toEqual([0, undefined])
  })
})

describe('presumeClosed()', () => {
  const hidden = (closed: readonly number[], untested: readonly number[], closedRatio?: number) =>
    presumeClosed({ closed: new Set(closed), untested: new Set(untested), closedRatio })

  test('is exact when every port was tested, and presumes nothing when none was', () => {
    expect(hidden([40_001], [], 0.25)).toEqual(new Set([40_001]))
    expect(hidden([], [40_001, 40_002])).toEqual(new Set())
  })

  test('takes as many of the untested as the tested suggest, and the same ones again', () => {
    const untested = Array.from({ length: 400 }, (_, index) => 41_000 + index)
    const closed = hidden([40_001], untested, 0.25)
    expect(closed.size).toBe(101)
    expect(hidden([40_001], untested.toReversed(), 0.25)).toEqual(closed)
    // Half of them are even, whatever the order of the ports.
    const even = [...closed].filter((port) => port % 2 === 0).length
    expect(even).toBeGreaterThan(30)
    expect(even).toBeLessThan(70)
  })
})
