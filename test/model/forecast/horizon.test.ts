import { describe, expect, test } from 'vitest'
import { connectByChance } from '../connections.ts'
import { createLine, establish } from '../step-play.ts'
import { countPages, listMoments } from './forecast-play.ts'

describe('createStep()', () => {
  test('looks as far ahead as it is told', () => {
    const [ports, perSecond, left] = [2000, 1, 1800]
    const ending = [600, 900, 3600].map((horizonSeconds) => {
      const line = createLine({ ports, horizonSeconds })
      const moments = listMoments(900, 15)
      const pools = moments.map((atSeconds) => {
        const leaked = ports - left - perSecond * (900 - Math.max(300, atSeconds))
        return line.look(atSeconds, establish(1, 700 + leaked))('tcp_connect')
      })
      return pools.at(-1)
    })
    const [soon, usual, far] = ending.map((pool) => pool?.riskRatio ?? -1)
    expect(soon).toBeLessThan(0.05)
    expect(usual).toBeLessThan(0.3)
    expect(far).toBeGreaterThan(0.8)
    for (const pool of ending) expect(pool?.etaSeconds).toBeGreaterThan(900)
  })

  test('hands on the timetable of TIME_WAIT, by which a load that doubles comes to rest', () => {
    const [ports, share] = [3000, 0.42]
    const line = createLine({ ports })
    const rate = (at: number) => ((at < 400 ? share : 2 * share) * ports) / 61
    const moments = listMoments(600, 5, 120)
    const risks: number[] = []
    for (const [atSeconds, holds] of connectByChance({ ports, destinations: 1, rate }, moments)) {
      const { riskRatio } = line.look(atSeconds, holds)('tcp_connect')
      if (atSeconds >= 240) risks.push(riskRatio ?? 1)
    }
    expect(risks).toHaveLength(73)
    expect(countPages(risks, 5)).toBe(0)
  })
})
