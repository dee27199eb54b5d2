import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  BUSY,
  countPages,
  leaking,
  listMoments,
  type Pool,
  play,
  readPool,
  watch,
} from './forecast-play.ts'

describe('advanceForecast()', () => {
  test.each([1, 2, 5, 15, 60])(
    'says nothing before three samples and ten seconds when one comes every %s s',
    (interval) => {
      for (const pool of [{}, { closes: () => 100 }, { closes: () => 400, live: leaking(0, 50) }]) {
        const moments = listMoments(200, interval)
        const { forecasts } = play(moments.map((at) => readPool(pool, at)))
        forecasts.forEach((forecast, i) => {
          const early = i < 2 || (moments[i] ?? 0) < 10
          if (early) expect(forecast).toEqual({ riskRatio: undefined, etaSeconds: undefined })
          if ((moments[i] ?? 0) >= 120) expect(forecast.riskRatio).toBeDefined()
        })
      }
    },
  )

  test('knows nothing again when it starts anew, and when the clock steps back', () => {
    const before = play(listMoments(300, 5).map((at) => readPool(BUSY, at)))
    expect(before.forecasts.at(-1)?.riskRatio).toBeLessThan(0.1)
    const anew = play([readPool(BUSY, 305)])
    const back = play([readPool(BUSY, 100)], before.state)
    const stood = play([readPool(BUSY, 300)], before.state)
    for (const { forecasts } of [anew, back, stood]) {
      expect(forecasts).toEqual([{ riskRatio: undefined, etaSeconds: undefined }])
    }
  })

  test.each([5, 10, 20])(
    'never calls a leak of %s/s safe that was running when it started',
    (perSecond) => {
      const free = 600 * perSecond
      const leak: Pool = {
        closes: () => 230,
        live: (at) => 28_232 - 13_800 - free + perSecond * at,
      }
      const moments = listMoments(300, 5)
      play(moments.map((at) => readPool(leak, at))).forecasts.forEach(({ riskRatio }, i) => {
        if (riskRatio !== undefined) expect(riskRatio).toBeGreaterThan(0.3)
        if ((moments[i] ?? 0) >= 120) expect(riskRatio).toBeGreaterThan(0.5)
      })
    },
  )

  test('says when a pool is so far from exhaustion that nothing in it can be a danger', () => {
    const { forecasts } = play(listMoments(60, 5).map((at) => readPool({ closes: () => 70 }, at)))
    expect(forecasts.slice(2).every(({ riskRatio }) => riskRatio === 0)).toBe(true)
  })

  test('says 1 and 0 s at the first sample when the pool is exhausted', () => {
    const full = { capacityPorts: 1000, live: () => 1000 }
    expect(play([readPool(full, 0)]).forecasts).toEqual([{ riskRatio: 1, etaSeconds: 0 }])
  })

  test('says 1 when blocked ports alone exhaust the pool and nobody is connected', () => {
    const input = { ...readPool({ capacityPorts: 1000, blockedPorts: 1000 }, 0), tracks: [] }
    expect(play([input]).forecasts).toEqual([{ riskRatio: 1, etaSeconds: 0 }])
  })

  test.each([1, 2, 5, 10, 30, 60])(
    'tells a plateau from a leak when a sample comes every %s s',
    (interval) => {
      const before = 0.35 * (28_232 / 60)
      const plateau = { closes: (at: number) => (at < 300 ? before : 2 * before) }
      const moments = listMoments(900, interval)
      const { forecasts } = play(moments.map((at) => readPool(plateau, at)))
      expect(
        countPages(
          forecasts.map(({ riskRatio }) => riskRatio),
          interval,
        ),
      ).toBe(0)
      expect(forecasts.at(-1)?.riskRatio).toBeLessThan(0.2)

      const leak = { closes: () => 250, live: leaking(300, 14) }
      const fullAt = 300 + (28_232 - 15_300) / 14
      const ending = watch(leak, listMoments(fullAt - 400, interval))
      expect(ending.riskRatio).toBeGreaterThan(0.6)
      expect(ending.etaSeconds).toBeGreaterThan(400 * 0.7)
      expect(ending.etaSeconds).toBeLessThan((400 + interval) * 1.3)
    },
  )

  test('goes on when samples are missing', () => {
    const dropped = (at: number) => (at > 400 && at < 640) || at % 35 === 0
    const moments = listMoments(1300, 5).filter((at) => !dropped(at))
    expect(watch(BUSY, moments).riskRatio).toBeLessThan(0.02)
    const leak = watch({ closes: () => 250, live: leaking(300, 8) }, moments)
    expect(leak.riskRatio).toBeGreaterThan(0.5)
    expect(Math.abs((leak.etaSeconds ?? 0) / 616 - 1)).toBeLessThan(0.3)
  })

  test('forgets what was before a gap of an hour, and does not call the time between a load', () => {
    const moments = [...listMoments(300, 5), ...listMoments(4200, 5, 3900)]
    const { forecasts } = play(moments.map((at) => readPool(BUSY, at)))
    const after = forecasts.slice(61)
    expect(after.slice(0, 2).map(({ riskRatio }) => riskRatio)).toEqual([undefined, undefined])
    expect(after.every(({ riskRatio = 0 }) => riskRatio < 0.3)).toBe(true)
  })

  test('does not take a changed range for load', () => {
    const rest = { closes: () => 170 }
    const wide = listMoments(295, 5).map((at) => readPool(rest, at))
    // Of the same traffic, the narrow range shows the part that lies inside it and fills by what is new.
    const kept = (at: number) => (at < 300 ? 0.6 * 170 : 170)
    const narrow = listMoments(900, 5, 300).map((at) =>
      readPool({ capacityPorts: 17_000, closes: kept }, at),
    )
    const widened = listMoments(1200, 5, 905).map((at) => readPool(rest, at))
    const { forecasts } = play([...wide, ...narrow, ...widened])
    const known = forecasts.slice(2)
    expect(
      countPages(
        known.map(({ riskRatio }) => riskRatio),
        5,
      ),
    ).toBe(0)
    expect(known.at(-1)?.riskRatio).toBeLessThan(0.02)
  })

  test('alerts at once when the range shrinks below what the load needs', () => {
    const closes = () => 190
    const wide = listMoments(300, 5).map((at) => readPool({ closes }, at))
    const thinned = (at: number) => (at < 300 ? 190 * 0.4 : 190)
    const narrow = { capacityPorts: 10_500, closes: thinned }
    const { forecasts } = play([...wide, readPool(narrow, 305), readPool(narrow, 310)])
    expect(forecasts.at(-3)?.riskRatio).toBe(0)
    expect(forecasts.at(-1)?.riskRatio).toBeGreaterThan(0.5)
  })

  test('does not say less when there are more used ports, a smaller capacity or a faster leak', () => {
    const moments = listMoments(900, 15)
    const pools = fc.record({
      perSecond: fc.double({ min: 0, max: 30, noNaN: true }),
      share: fc.double({ min: 0.1, max: 0.85, noNaN: true }),
      more: fc.constantFrom('used', 'capacity', 'leak'),
      by: fc.double({ min: 0.02, max: 0.5, noNaN: true }),
    })
    fc.assert(
      fc.property(pools, ({ perSecond, share, more, by }) => {
        const create = (used: number, capacityPorts: number, leak: number): Pool => ({
          capacityPorts,
          closes: () => 100,
          live: leaking(Math.max(0, used - 6000), leak),
        })
        const used = 6000 + share * 14_000
        const mild = watch(create(used, 28_232, perSecond), moments)
        const worse = watch(
          create(
            more === 'used' ? used + by * 8000 : used,
            more === 'capacity' ? 28_232 - by * 8000 : 28_232,
            more === 'leak' ? perSecond * (1 + by) : perSecond,
          ),
          moments,
        )
        expect(worse.riskRatio).toBeGreaterThanOrEqual((mild.riskRatio ?? 1) - 0.05)
        if (mild.etaSeconds !== undefined) {
          expect(worse.etaSeconds).toBeLessThanOrEqual(mild.etaSeconds * 1.1)
        }
      }),
      { numRuns: 30, seed: 4, endOnFailure: true },
    )
  })
})
