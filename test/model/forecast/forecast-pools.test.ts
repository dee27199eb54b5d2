import { describe, expect, test } from 'vitest'
import { connectByChance } from '../connections.ts'
import { createLine, type Hold } from '../step-play.ts'
import { countPages, listMoments } from './forecast-play.ts'

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
        expect(pools('tcp_connect').riskRatio ?? 0).toBeLessThan(0.5)
        expect(pools('tcp_bind').riskRatio ?? 0).toBeLessThan(0.5)
      }
    },
  )
})

describe('the forecast of tcp_bind', () => {
  /** Pages and highest risk from then on, until an allocation fails. */
  const watchBind = (
    destinations: number,
    share: (atSeconds: number) => number,
    fromSeconds = 240,
  ) => {
    const rate = (atSeconds: number) => (share(atSeconds) * PORTS) / 61
    const line = createLine({ ports: PORTS })
    const risks: number[] = []
    let count = 0
    const moments = listMoments(700, 5, 120)
    for (const [atSeconds, holds] of connectByChance(
      { ports: PORTS, destinations, rate },
      moments,
    )) {
      const pool = line.look(atSeconds, holds)('tcp_bind')
      count++
      if (atSeconds >= fromSeconds) risks.push(pool.riskRatio ?? 0)
    }
    const full = count < moments.length
    return { highest: Math.max(...risks), pages: countPages(risks, 5), full }
  }

  test.each([
    [1, 0.8],
    [2, 0.6],
    [3, 0.4],
  ])(
    'counts a port once that connections to %s destinations at %s share and renew',
    (count, share) => {
      expect(watchBind(count, () => share)).toMatchObject({ full: false, pages: 0 })
    },
  )

  test('sees that a load which doubles has ended where ports are shared', () => {
    const doubled = (at: number) => (at < 400 ? 0.3 : 0.6)
    expect(watchBind(2, doubled).full).toBe(false)
    // It looks like a leak for the minute in which it climbs.
    expect(watchBind(2, doubled, 540).highest).toBeLessThan(0.5)
  })

  test('alerts before a load of one destination takes all of them', () => {
    const { highest, full } = watchBind(1, (at) => (at < 400 ? 0.4 : 1.2))
    expect(full).toBe(true)
    expect(highest).toBeGreaterThan(0.9)
  })
})

// They compute for long on a busy machine.
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
      if (atSeconds >= 120) expect(pool.riskRatio).toBeLessThan(0.5)
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
