import { describe, expect, test } from 'vitest'
import { advanceLevels, type Levels } from '../../src/model/levels.ts'
import { type Ports, tableOf } from './flow-tables.ts'

/** One sample after another, at these seconds, with the ports that each destination takes, all of them live but one. */
function play(
  samples: readonly (readonly [atSeconds: number, taken: Ports])[],
  { openPorts = 1000 } = {},
) {
  let before: Levels | undefined
  return samples.map(([atSeconds, ports]) => {
    const { flows, indexOf, columnOf } = tableOf(ports)
    const taken = columnOf(ports)
    const live = taken.map((count) => Math.max(0, count - 1))
    const columns = { taken, takenLive: live, used: taken, burden: taken }
    const now = advanceLevels(before, { flows, columns, openPorts, atSeconds })
    before = now.levels
    return {
      rows: now.indexes.length,
      complete: now.levels.complete,
      meanOf: (name: number) => now.levels.mean[now.indexes.indexOf(indexOf(name))],
      earlierOf: (name: number) => now.earlier(indexOf(name)),
    }
  })
}

describe('advanceLevels()', () => {
  test('averages what is taken over two minutes', () => {
    const [first, second] = play([
      [0, { 1: 100 }],
      [120, { 1: 200 }],
    ])
    expect(first?.meanOf(1)).toBe(100)
    expect(second?.meanOf(1)).toBeCloseTo(200 - 100 / Math.E)
  })

  test('takes one that comes for one that had just no row', () => {
    const [, second] = play([
      [0, { 1: 100 }],
      [120, { 1: 100, 2: 210 }],
    ])
    expect(second?.meanOf(2)).toBeCloseTo(210 - 200 / Math.E)
    expect(second?.earlierOf(2)).toEqual({ livePorts: 0, meanPorts: 0, sinceSeconds: 0 })
  })

  test('says what was known at the last sample, and since when', () => {
    const [first, second, third] = play([
      [7, { 1: 100, 2: 50 }],
      [127, { 2: 50 }],
      [247, { 1: 20, 2: 60 }],
    ])
    expect(first?.earlierOf(1)).toBeUndefined()
    expect(second?.earlierOf(2)).toEqual({ livePorts: 49, meanPorts: 50, sinceSeconds: 7 })
    expect(third?.earlierOf(1)).toEqual({ livePorts: 0, meanPorts: 0, sinceSeconds: 7 })
    expect(third?.earlierOf(2)).toEqual({ livePorts: 49, meanPorts: 50, sinceSeconds: 7 })
  })

  test('counts the seconds of one that had gone from its return on', () => {
    const looks = play([
      [0, { 1: 100 }],
      [5, { 2: 100 }],
      [10, { 1: 100 }],
      [15, { 1: 100 }],
    ])
    expect(looks.at(-1)?.earlierOf(1)?.sinceSeconds).toBe(10)
  })

  test.each([
    [1000, 9, 0],
    [1000, 10, 1],
    [50, 1, 1],
  ])('of %i open ports %i make %i rows', (openPorts, taken, rows) => {
    expect(play([[0, { 1: taken }]], { openPorts })[0]?.rows).toBe(rows)
  })

  test('remembers 512, and then does not know what the others had', () => {
    const crowd = (count: number, more: Ports = {}): Ports => ({
      ...Object.fromEntries(Array.from({ length: count }, (_, at) => [at + 1, 20])),
      ...more,
    })
    const [full, next] = play([
      [0, crowd(600, { 600: 30 })],
      [5, crowd(600, { 599: 40 })],
    ])
    expect(full).toMatchObject({ rows: 512, complete: false })
    expect(next?.earlierOf(600)).toMatchObject({ livePorts: 29 })
    expect(next?.earlierOf(599)).toBeUndefined()
    expect(next?.meanOf(599)).toBe(40)
    expect(play([[0, crowd(511)]])[0]).toMatchObject({ rows: 511, complete: true })
  })
})
