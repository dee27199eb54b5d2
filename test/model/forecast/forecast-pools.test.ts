import { describe, expect, test } from 'vitest'
import { takeRenewal } from '../../../src/model/forecast/renewal.ts'
import { connectByChance } from '../connections.ts'
import { createLine, type Hold } from '../step-play.ts'
import { listMoments } from './forecast-play.ts'

const PORTS = 3000

describe('the forecast of steady connections', () => {
  test.each([1, 5, 30])(
    'counts one close for a peer that closes %s s after us, whose TIME_WAIT begins anew then',
    (peerSeconds) => {
      const rate = (0.6 * PORTS) / (61 + peerSeconds)
      const traffic = { ports: PORTS, destinations: 1, rate: () => rate, peerSeconds }
      const line = createLine({ ports: PORTS })
      for (const [atSeconds, holds] of connectByChance(traffic, listMoments(500, 5, 120))) {
        const pools = line.look(atSeconds, holds)
        if (atSeconds < 240) continue
        expect(pools('tcp_connect').riskRatio).toBeLessThan(0.01)
        expect(pools('tcp_bind').riskRatio).toBeLessThan(0.01)
      }
    },
  )
})

describe('the forecast of tcp_bind', () => {
  /** Highest risk from 240 s on, until an allocation fails. */
  const watchBind = (destinations: number, share: (atSeconds: number) => number) => {
    const rate = (atSeconds: number) => (share(atSeconds) * PORTS) / 61
    const line = createLine({ ports: PORTS })
    let [highest, count] = [0, 0]
    const moments = listMoments(700, 5, 120)
    for (const [atSeconds, holds] of connectByChance(
      { ports: PORTS, destinations, rate },
      moments,
    )) {
      const pool = line.look(atSeconds, holds)('tcp_bind')
      count++
      if (atSeconds >= 240) highest = Math.max(highest, pool.riskRatio ?? 0)
    }
    return { highest, full: count < moments.length }
  }

  test.each([
    [1, 0.8],
    [2, 0.6],
    [3, 0.4],
  ])(
    'counts a port once that connections to %s destinations at %s share and renew',
    (count, share) => {
      expect(watchBind(count, () => share)).toMatchObject({ full: false })
      expect(watchBind(count, () => share).highest).toBeLessThan(0.05)
    },
  )

  test('sees that a load which doubles ends where ports are shared', () => {
    const { highest, full } = watchBind(2, (at) => (at < 400 ? 0.3 : 0.6))
    expect(full).toBe(false)
    expect(highest).toBeLessThan(0.5)
  })

  test('alerts before a load of one destination takes all of them', () => {
    const { highest, full } = watchBind(1, (at) => (at < 400 ? 0.4 : 1.2))
    expect(full).toBe(true)
    expect(highest).toBeGreaterThan(0.9)
  })
})

describe('takeRenewal()', () => {
  const point = (atSeconds: number, closed: number, livePorts = 0) => {
    return { atSeconds, openedPorts: closed + livePorts, openedVariance: 0, livePorts }
  }

  test('gives what closed last the ages at which it closed', () => {
    const points = [point(0, 0), point(50, 500), point(100, 500), point(110, 600, 40)]
    const { closed, lifetimeSeconds } = takeRenewal(points, 350)
    expect(closed.reduce((sum, ports) => sum + ports)).toBeCloseTo(350)
    expect(closed.slice(0, 10)).toEqual(Array(10).fill(10))
    expect(closed.slice(10, 60)).toEqual(Array(50).fill(0))
    expect(lifetimeSeconds).toBe(85)
  })

  test('takes what is older than what was seen to have come at the same rate', () => {
    const { closed, lifetimeSeconds } = takeRenewal([point(0, 0), point(100, 200)], 300)
    expect(closed).toHaveLength(150)
    expect(lifetimeSeconds).toBe(150)
  })

  test.each([
    [[], 60],
    [[point(0, 0), point(10, 0)], 60],
    [[point(0, 0), point(900, 0)], 3600],
  ])('says at least a minute and at most an hour where nothing closed', (points, seconds) => {
    const { closed, lifetimeSeconds } = takeRenewal(points, 100)
    expect(closed.reduce((sum, ports) => sum + ports)).toBeCloseTo(100)
    expect(lifetimeSeconds).toBe(seconds)
  })
})

describe('the forecast under tcp_tw_reuse', () => {
  test.each([1, 20])('takes the delay of %s s for the life of a TIME_WAIT', (delaySeconds) => {
    const line = createLine({
      ports: PORTS,
      settings: { tcpTwReuse: 1, tcpTwReuseDelayMs: delaySeconds * 1000 },
    })
    // Some peers never close: their FIN_WAIT2 is never recycled, and must not pass for a longer life.
    const orphans = Array.from({ length: 60 }, (_, i) => orphan(i))
    const rate = Math.min(200, (0.6 * PORTS) / delaySeconds)
    for (const atSeconds of listMoments(300, 1)) {
      const pool = line.look(atSeconds, [...orphans, ...waiting(rate, PORTS - 60)])('tcp_connect')
      expect(pool.reclaimablePorts).toBeGreaterThan(500)
      if (atSeconds >= 30) expect(pool.riskRatio).toBeLessThan(0.01)
    }
  })
})

function orphan(port: number): Hold {
  return { port, to: 1, state: 'finWait2', expiresMs: (port % 60) * 1000 + 500 }
}

/** TIME_WAIT at every other port, `rate` of each age in seconds, the rest as old as can be. */
function waiting(rate: number, ports: number): readonly Hold[] {
  return Array.from({ length: ports }, (_, i): Hold => {
    const expiresMs = Math.max(0, 59_500 - 1000 * Math.floor(i / rate))
    return { port: 60 + i, to: 1, state: 'timeWait', expiresMs }
  })
}
