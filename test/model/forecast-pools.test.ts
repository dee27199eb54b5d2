import { describe, expect, test } from 'vitest'
import { connectByChance } from './connections.ts'
import { listMoments } from './forecast-play.ts'
import { createLine, type Hold } from './step-play.ts'

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
