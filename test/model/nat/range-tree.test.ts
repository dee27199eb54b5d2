import { describe, expect, test } from 'vitest'
import { createPortSet, createRangeTree, lowerBound } from '../../../src/model/nat/range-tree.ts'
import type { PortRange } from '../../../src/observation.ts'
import { shuffle } from './play.ts'

const find = (ranges: readonly PortRange[], ports: readonly number[], from = 0) => {
  const found: (readonly number[])[] = []
  const looks = createRangeTree(ranges).find(ports, from, ports.length, (range, begin, end) =>
    found.push([range, begin, end]),
  )
  return { looks, found: found.toSorted(([left = 0], [right = 0]) => left - right) }
}

/** Every range compared with every port. */
const compareAll = (ranges: readonly PortRange[], ports: readonly number[], from = 0) =>
  ranges.flatMap(({ first, last }, range) => {
    const inside = ports.flatMap((port, at) =>
      at >= from && first <= port && port <= last ? [at] : [],
    )
    const [begin] = inside
    return begin === undefined ? [] : [[range, begin, begin + inside.length]]
  })

const blocks = (count: number, size: number) =>
  Array.from({ length: count }, (_, at) => ({
    first: 1024 + size * at,
    last: 1023 + size * (at + 1),
  }))

describe('createRangeTree()', () => {
  test('finds what a comparison of all ranges with all ports finds', () => {
    const numbers = shuffle(400)
    const next = (below: number) => (numbers.pop() ?? 0) % below
    for (let round = 0; round < 12; round++) {
      const ranges = Array.from({ length: next(14) }, () => {
        const first = 1 + next(50)
        return { first, last: first + next(3) * next(30) }
      })
      const ports = shuffle(90)
        .slice(0, next(9))
        .toSorted((left, right) => left - right)
      expect(find(ranges, ports).found).toEqual(compareAll(ranges, ports))
      expect(find(ranges, ports, 2).found).toEqual(compareAll(ranges, ports, 2))
    }
  })

  test('finds the first and the last port that there is', () => {
    const ranges = [
      { first: 1, last: 1 },
      { first: 65_535, last: 65_535 },
      { first: 1, last: 65_535 },
    ]
    expect(find(ranges, [1, 65_535]).found).toEqual([
      [0, 0, 1],
      [1, 1, 2],
      [2, 0, 2],
    ])
    expect(find([], [1]).found).toEqual([])
  })

  test('looks at few of 4,096 ranges for one port, whatever range lies around all of them', () => {
    const ranges = [{ first: 1024, last: 65_535 }, ...blocks(4095, 15)]
    for (const port of [1024, 30_000, 62_448]) {
      const { looks, found } = find(ranges, [port])
      expect(found.map(([range]) => range)).toEqual([0, 1 + Math.floor((port - 1024) / 15)])
      expect(looks).toBeLessThanOrEqual(50)
    }
  })

  test('looks at each range once, however many ports there are', () => {
    const nested = Array.from({ length: 1000 }, (_, at) => ({ first: 2000 - at, last: 30_000 }))
    const ports = Array.from({ length: 28_000 }, (_, at) => 2001 + at)
    const { looks, found } = find(nested, ports)
    expect(found.length).toBe(1000)
    expect(looks).toBe(1000)
  })
})

test('createPortSet() has the ports of all ranges, and no others', () => {
  const ranges = [
    { first: 40, last: 49 },
    { first: 10, last: 30 },
    { first: 15, last: 20 },
    { first: 31, last: 31 },
    { first: 33, last: 35 },
    { first: 34, last: 38 },
    { first: 0, last: 3 },
    { first: 2, last: 5 },
  ]
  const has = createPortSet(ranges)
  for (let port = 0; port < 60; port++) {
    expect([port, has(port)]).toEqual([
      port,
      ranges.some(({ first, last }) => first <= port && port <= last),
    ])
  }
  expect(createPortSet([])(1)).toBe(false)
})

test('lowerBound() is where a value stands or would stand', () => {
  const at = (value: number) => lowerBound([3, 5, 5, 9], value, 0, 4)
  expect([1, 3, 4, 5, 6, 9, 10].map(at)).toEqual([0, 0, 1, 1, 3, 3, 4])
  expect([lowerBound([3, 5, 5, 9], 1, 2, 3), lowerBound([3, 5, 5, 9], 9, 0, 2)]).toEqual([2, 2])
})
