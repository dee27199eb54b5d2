// How long the forecast lets the past speak: across a gap without samples, and of bursts that have ended.

import { describe, expect, test } from 'vitest'
import type { Point } from '../../../src/model/forecast/points.ts'
import { advanceSurges } from '../../../src/model/forecast/surges.ts'
import { BUSY, listMoments, play, readPool } from './forecast-play.ts'

describe('advanceForecast() after a gap without samples', () => {
  const { state } = play(listMoments(300, 5).map((at) => readPool(BUSY, at)))
  const forecastAfter = (seconds: number) =>
    play([readPool(BUSY, 300 + seconds)], state).forecasts[0]

  test.each([91, 600, 900])('of %i s still knows what it knew', (seconds) => {
    expect(forecastAfter(seconds)?.riskRatio).toBeDefined()
  })

  test.each([901, 3600, 0, -5])('of %i s begins anew', (seconds) => {
    expect(forecastAfter(seconds)?.riskRatio).toBeUndefined()
  })
})

describe('advanceSurges() remembers a burst', () => {
  /** Two connections a second, and 200 of them for the 20 seconds from 300 on. */
  function openUntil(seconds: number): readonly Point[] {
    const points: Point[] = []
    let openedPorts = 0
    for (let atSeconds = 0; atSeconds <= seconds; atSeconds += 5) {
      points.push({ atSeconds, openedPorts, openedVariance: openedPorts, livePorts: 100 })
      openedPorts += 5 * (atSeconds >= 300 && atSeconds < 320 ? 200 : 2)
    }
    return points
  }
  const before = advanceSurges(undefined, openUntil(400))
  const later = (seconds: number) => advanceSurges(before, openUntil(320 + seconds).slice(-50))

  test('that was over after its seconds, with what it rose from', () => {
    expect(before.running).toBeUndefined()
    const [burst, ...others] = before.ended
    expect(others).toEqual([])
    expect(burst?.base).toBeCloseTo(2, 1)
    expect(burst?.rise).toBeCloseTo(198, 0)
    expect(burst?.seconds).toBeGreaterThanOrEqual(15)
    expect(burst?.seconds).toBeLessThanOrEqual(25)
  })

  test('for an hour, and no longer', () => {
    expect(later(3500).ended).toEqual(before.ended)
    expect(later(3650).ended).toEqual([])
  })
})
