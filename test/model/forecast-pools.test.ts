import { describe, expect, test } from 'vitest'
import { connectByChance } from './connections.ts'
import { listMoments } from './forecast-play.ts'
import { createLine } from './step-play.ts'

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
