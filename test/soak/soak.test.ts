// The judges of the soak themselves: they must see what is false, and what grows.

import { describe, expect, test } from 'vitest'
import { parsePage } from '../support/netns/actor-page.ts'
import { judgeGrowth } from './growth.ts'
import type { Stage } from './stage.ts'
import { checkExactly, createWatch } from './truth.ts'

const NETNS = 'inode/1'
const POOL = 'ephemeral_port_pool_available_ports'

/** A page whose read has just ended. */
function pageOf(available: number | undefined, readAt = Date.now() / 1000) {
  const read = `ephemeral_port_netns_last_read_timestamp_seconds{netns="${NETNS}"} ${readAt}`
  const rows = available === undefined ? [] : [`${POOL}{netns="${NETNS}",pool="udp"} ${available}`]
  return parsePage([read, ...rows, ''].join('\n'))
}

const stageOf = (available: number): Stage => ({
  pid: 1,
  netns: NETNS,
  act: async () => {},
  truth: async () => new Map([['udp', available]]),
})

describe('checkExactly()', () => {
  test('takes what is exactly so, and calls anything else false', async () => {
    expect(await checkExactly(stageOf(500), async () => pageOf(500))).toBe('exact')
    expect(await checkExactly(stageOf(500), async () => pageOf(501))).toEqual({
      problem: 'inode/1: {"said":[["udp",501]],"true":[["udp",500]]}',
    })
  })
})

describe('createWatch()', () => {
  const watchOnce = async (available: number | undefined) => {
    const stage = stageOf(500)
    const watch = createWatch([stage])
    await watch.record(stage, async () => {})
    let asked = 0
    await watch.scrape(
      async () => pageOf(available),
      () => asked++ > 0,
    )
    return { problems: watch.problems.length, ...watch.counts }
  }

  test('finds a page that is far from what was so, and lets one say nothing', async () => {
    expect(await watchOnce(500)).toEqual({ problems: 0, pages: 1, absent: 0 })
    expect(await watchOnce(300)).toEqual({ problems: 1, pages: 1, absent: 0 })
    expect(await watchOnce(700)).toEqual({ problems: 1, pages: 1, absent: 0 })
    expect(await watchOnce(undefined)).toEqual({ problems: 0, pages: 1, absent: 1 })
  })
})

describe('judgeGrowth()', () => {
  const grow = (mbPerStep: number, noiseMb: number, length = 100) =>
    judgeGrowth(
      Array.from({ length }, (_, step) => ({
        seconds: 10 * step,
        residentMb: 120 + mbPerStep * step + (step % 2 === 0 ? noiseMb : -noiseMb),
      })),
    ).verdict

  test('tells a slope from noise', () => {
    expect(grow(0, 8)).toBe('within noise')
    expect(grow(0.01, 1)).toBe('within noise')
    expect(grow(0.2, 1)).toBe('grows')
    expect(grow(0.15, 8)).toBe('grows')
    expect(grow(-1, 1)).toBe('within noise')
  })

  test('does not know what few measurements are', () => {
    expect(grow(200, 1, 34)).toBe('not known')
    expect(grow(200, 1, 35)).toBe('grows')
  })
})
