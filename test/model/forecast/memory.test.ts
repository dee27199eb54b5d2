// How long the forecast lets the past speak across a gap without samples.

import { describe, expect, test } from 'vitest'
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
