import { describe, expect, test } from 'vitest'
import { advancePileUp, type PileUp } from '../../src/model/pile-up.ts'

describe('advancePileUp()', () => {
  /** One sample every five seconds. */
  function follow(counts: readonly (readonly [open: number, closing: number])[], capacity = 400) {
    let pileUp: PileUp | undefined
    return counts.map(([open, closing], at) => {
      pileUp = advancePileUp(pileUp, { atSeconds: at * 5, open, closing }, capacity)
      return pileUp.pilingUp
    })
  }
  const grow = (samples: number, each: number, closing = 0) =>
    Array.from({ length: samples }, (_, at) => [at * each, closing] as const)

  test('does not know before a minute', () => {
    expect(follow(grow(12, 5)).every((one) => one === undefined)).toBe(true)
  })

  test('finds connections that are opened and not closed, and stays with it once they are all taken', () => {
    const full = Array.from({ length: 300 }, () => [200, 0] as const)
    const found = follow([...grow(41, 5), ...full])
    expect(found[20]).toBe(true)
    expect(found.at(-1)).toBe(true)
  })

  test('forgets it once a tenth is closed', () => {
    const closed = Array.from({ length: 40 }, () => [100, 0] as const)
    expect(follow([...grow(41, 5), ...closed]).at(-1)).toBe(false)
  })

  test('takes neither traffic, nor a burst at the start, nor noise for a leak', () => {
    expect(follow(grow(60, 3, 200)).at(-1)).toBe(false)
    expect(follow([[0, 0], ...Array.from({ length: 60 }, () => [300, 0] as const)]).at(-1)).toBe(
      false,
    )
    const noise = Array.from({ length: 100 }, (_, at) => [100 + (at % 7), 0] as const)
    expect(follow(noise).at(-1)).toBe(false)
  })

  test('finds a leak that takes an hour', () => {
    const slow = Array.from({ length: 240 }, (_, at) => [Math.floor(at / 12), 0] as const)
    expect(follow(slow).at(-1)).toBe(true)
  })

  test('keeps no more than its window asks for', () => {
    let pileUp: PileUp | undefined
    for (let at = 0; at < 5000; at++) {
      pileUp = advancePileUp(pileUp, { atSeconds: at, open: at, closing: 0 }, 5000)
      expect(pileUp.points.length).toBeLessThan(60)
    }
  })

  /** From one count to another within two minutes, with as many that end in the middle of it. */
  const climb = (from: number, to: number, closing = 0) =>
    Array.from({ length: 25 }, (_, at) => {
      const open = from + Math.floor(((to - from) * at) / 24)
      return [open, at === 12 ? closing : 0] as const
    })
  const rest = (samples: number, open: number) =>
    Array.from({ length: samples }, () => [open, 0] as const)

  test('tells after a minute', () => {
    const found = follow(grow(13, 5))
    expect(found.slice(-2)).toEqual([undefined, true])
  })

  test.each([
    [100, 7, false],
    [100, 8, true],
    [1000, 19, false],
    [1000, 20, true],
  ])('of %i ports takes a growth of %i for a leak: %s', (capacity, growth, isLeak) => {
    expect(follow(climb(0, growth), capacity).at(-1)).toBe(isLeak)
  })

  test.each([
    [10, true],
    [11, false],
  ])('of a growth by 40 with %i connections that end is one: %s', (closing, isLeak) => {
    expect(follow(climb(0, 40, closing)).at(-1)).toBe(isLeak)
  })

  test.each([
    [30, true],
    [31, false],
  ])('of a growth by 40 that came to %i in its first half is one: %s', (half, isLeak) => {
    expect(follow([[0, 0], ...rest(11, half), [40, 0]]).at(-1)).toBe(isLeak)
  })

  test('counts from the fewest that were open, at least a minute ago', () => {
    const dip = [...rest(10, 60), [0, 0] as const]
    const back = (samples: number) =>
      Array.from({ length: samples }, (_, at) => [3 * at, 0] as const)
    expect(follow([...dip, ...back(11)]).at(-1)).toBe(false)
    expect(follow([...dip, ...back(12)]).at(-1)).toBe(true)
  })

  test('stays with it until less than nine tenths of the most are left', () => {
    const full = [...climb(0, 100), ...rest(130, 100)]
    expect(follow([...full, [90, 0]]).at(-1)).toBe(true)
    expect(follow([...full, [89, 0]]).at(-1)).toBe(false)
    const more = [...full, ...climb(100, 120), ...rest(130, 120)]
    expect(follow([...more, [108, 0]]).at(-1)).toBe(true)
    expect(follow([...more, [107, 0]]).at(-1)).toBe(false)
  })
})
