import { describe, expect, test } from 'vitest'
import type { ConntrackCounts } from '../../src/kernel/conntrack-stat.ts'
import type { ConntrackCounted, ConntrackCounters } from '../../src/sample.ts'
import { advanceCounters } from '../../src/worker/conntrack-counters.ts'
import { createWatchList } from '../../src/worker/watch-list.ts'
import { listConntrackCounted } from '../../src/worker/watched.ts'
import { buildNetNamespace } from '../support/netns/net-namespace.ts'

const FULL = 2 ** 32
const counting = (found: readonly number[]): ConntrackCounts => ({
  entries: 1,
  found,
  insertFailed: [3],
  drop: [3],
  clashResolve: undefined,
})

/** The total after each of what was read. */
function totalsOf(...read: readonly (readonly number[])[]): number[] {
  let counters: ConntrackCounters | undefined
  return read.map((found) => {
    counters = advanceCounters(counters, counting(found))
    expect(counters).toMatchObject({ insertFailed: { total: 0 }, clashResolve: undefined })
    return counters.found.total
  })
}

describe('counters of conntrack', () => {
  test('begin at 0, because nobody knows how often they passed 32 bits before', () => {
    expect(totalsOf([FULL - 1, 3e9])).toEqual([0])
  })

  test('add up CPUs, and do not go back when one of them passes 32 bits', () => {
    expect(totalsOf([FULL - 1000, 3e9], [1000, 3e9 + 1], [2e9, 3e9 + 1], [2e9, 5])).toEqual([
      0,
      2001,
      2e9 + 1001,
      2e9 + 1001 + FULL - 3e9 + 4,
    ])
  })

  test('go on where those of the kernel begin anew: after a small step back, or with other CPUs', () => {
    expect(totalsOf([10, 10], [20, 10], [30, 4], [30, 5], [8])).toEqual([0, 10, 44, 45, 53])
  })

  test('go on in the next worker, also where the kernel has passed 32 bits meanwhile', () => {
    const namespaces = [1, 2].map((id) => buildNetNamespace({ id, cookie: BigInt(40 + id) }))
    const live = (counted: ConntrackCounted, ...read: readonly (readonly number[])[]) => {
      const list = createWatchList(
        { list: () => namespaces },
        { opens: new Map(), counted: new Map(counted) },
      )
      list.look(1000)
      const all = [...list.all.values()]
      for (const found of read) {
        for (const [index, { last }] of all.entries()) {
          last.nat.counters = advanceCounters(
            last.nat.counters,
            counting(index === 0 ? [5] : found),
          )
        }
      }
      const totals = all.map(({ last }) => last.nat.counters?.found.total)
      return { totals, counted: listConntrackCounted(all) }
    }
    const first = live([], [FULL - 100, 7], [FULL - 10, 7])
    expect(first.totals).toEqual([0, 90])
    // The others begin at 0 anyhow.
    expect(first.counted.map(([key]) => key)).toEqual(['cookie/42'])
    const second = live(first.counted, [20, 8])
    expect(second.totals).toEqual([0, 121])
    expect(live(second.counted, [20, 8]).totals).toEqual([0, 121])
  })
})
