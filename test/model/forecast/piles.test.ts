import { describe, expect, test } from 'vitest'
import {
  advancePiles,
  type Piles,
  takeProgress,
  takeRepetition,
} from '../../../src/model/forecast/piles.ts'

const CAPACITY = 1000
const PERIOD = 100

/** Sawtooth: the nth tooth rises from 0 to its height and collapses. */
function grow(heights: readonly number[]): Piles {
  let piles: Piles | undefined
  heights.forEach((height, tooth) => {
    for (let second = 0; second <= PERIOD; second += 5) {
      const ports = (height * second) / PERIOD
      const atSeconds = tooth * PERIOD + second * 0.99
      piles = advancePiles(piles, { ports, atSeconds }, CAPACITY)
    }
  })
  if (piles === undefined) throw new Error('There is no tooth')
  return advancePiles(piles, { ports: 0, atSeconds: heights.length * PERIOD }, CAPACITY)
}

describe('advancePiles()', () => {
  test('remembers how high each pile was that collapsed, the last twelve of two hours', () => {
    expect(grow([500, 600, 700]).ended.map(({ ports }) => ports)).toEqual([500, 600, 700])
    expect(grow(new Array<number>(20).fill(500)).ended).toHaveLength(12)
    const late = advancePiles(grow([500, 600]), { ports: 0, atSeconds: 7301 }, CAPACITY)
    expect(late.ended.map(({ ports }) => ports)).toEqual([600])
  })

  test('takes no noise for a pile: neither 5 % of the capacity nor five deviations of a count', () => {
    let piles: Piles | undefined
    for (let i = 0; i < 500; i++) {
      piles = advancePiles(piles, { ports: 500 + (i % 2) * 100, atSeconds: i * 5 }, CAPACITY)
    }
    expect(piles?.ended).toEqual([])
  })

  test('says how much of a climb is done', () => {
    const start = advancePiles(undefined, { ports: 200, atSeconds: 0 }, CAPACITY)
    const half = advancePiles(start, { ports: 600, atSeconds: 60 }, CAPACITY)
    expect(takeProgress(half, CAPACITY, 600)).toBe(0.5)
    expect(takeProgress(half, CAPACITY, 1000)).toBe(1)
    const fallen = advancePiles(half, { ports: 100, atSeconds: 65 }, CAPACITY)
    expect(takeProgress(fallen, CAPACITY, 100)).toBe(0)
  })
})

describe('takeRepetition()', () => {
  const expectNext = (heights: readonly number[], horizonSeconds: number) =>
    takeRepetition(grow(heights), CAPACITY, {
      ports: 0,
      atSeconds: heights.length * PERIOD,
    })(horizonSeconds)

  test('trusts nothing that has not been repeated', () => {
    const { trust } = takeRepetition(
      advancePiles(undefined, { ports: 500, atSeconds: 0 }, CAPACITY),
      CAPACITY,
      { ports: 500, atSeconds: 0 },
    )(900)
    expect(trust).toBe(0)
  })

  test('expects the next to be as high as the last ones were', () => {
    const next = expectNext([820, 815, 825, 818, 822], 900)
    expect(next.ports).toBeCloseTo(820, -1)
    expect(next.ports + 4 * next.deviation).toBeLessThan(CAPACITY)
    expect(next.trust).toBeGreaterThan(0.8)
  })

  test('follows peaks that grow over the limit, by the time it will take', () => {
    const heights = [600, 630, 660, 690, 720, 750]
    expect(expectNext(heights, PERIOD).ports).toBeLessThan(800)
    expect(expectNext(heights, 9 * PERIOD).ports).toBeGreaterThan(980)
    expect(expectNext([...heights].reverse(), 9 * PERIOD).ports).toBeLessThan(620)
  })

  test('no longer trusts them once they are outgrown', () => {
    const piles = grow([500, 505, 495, 500])
    const at = (ports: number) =>
      takeRepetition(piles, CAPACITY, { ports, atSeconds: 450 })(900).trust
    expect(at(500)).toBeGreaterThan(0.7)
    expect(at(700)).toBeLessThan(0.1)
  })
})
