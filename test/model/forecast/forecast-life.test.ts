import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  advanceForecast,
  type ForecastInput,
  type ForecastState,
} from '../../../src/model/forecast/forecast.ts'
import type { ForecastTrack } from '../../../src/model/forecast/reading.ts'
import { listMoments, OPTIONS, play, readPool, watch } from './forecast-play.ts'

const track = (keys: readonly string[]): fc.Arbitrary<Omit<ForecastTrack, 'availablePorts'>> =>
  fc.record({
    key: fc.constantFrom(...keys),
    livePorts: fc.nat(600),
    timeWaitPorts: fc.nat(600),
    reclaimablePorts: fc.oneof(fc.constant(0), fc.nat(500)),
    expiring: fc.array(fc.nat(40), { minLength: 60, maxLength: 60 }),
  })

/** Anything a kernel, a clock and an operator may do, likely or not. */
const life: fc.Arbitrary<readonly ForecastInput[]> = fc
  .array(
    fc.record({
      pause: fc.oneof(
        { weight: 8, arbitrary: fc.double({ min: 0.1, max: 60, noNaN: true }) },
        { weight: 1, arbitrary: fc.double({ min: -500, max: 4000, noNaN: true }) },
      ),
      capacityPorts: fc.oneof(
        { weight: 8, arbitrary: fc.constant(1500) },
        { weight: 1, arbitrary: fc.integer({ min: 0, max: 3000 }) },
      ),
      blockedPorts: fc.oneof(fc.constant(0), fc.nat(300)),
      tracks: fc.uniqueArray(track(['', 'a', 'b', 'c']), { selector: (one) => one.key }),
      timers: fc.boolean(),
    }),
    { minLength: 3, maxLength: 40 },
  )
  .map((draws) => {
    let atSeconds = 1000
    return draws.map(({ pause, capacityPorts, blockedPorts, tracks, timers }) => {
      atSeconds += pause
      const sum = (expiring: readonly number[]) => expiring.reduce((a, b) => a + b, 0)
      return {
        atSeconds,
        capacityPorts,
        blockedPorts,
        range: String(capacityPorts),
        reuseDelaySeconds: 1,
        tracks: tracks.map((one): ForecastTrack => {
          const timeWaitPorts = timers ? sum(one.expiring) : one.timeWaitPorts
          const expiring = timers ? one.expiring : new Array<number>(60).fill(0)
          const availablePorts = capacityPorts - blockedPorts - one.livePorts - timeWaitPorts
          return { ...one, availablePorts, timeWaitPorts, expiring }
        }),
      }
    })
  })

describe('advanceForecast() over any life of a pool', () => {
  test('keeps risk between 0 and 1, and says 1 exactly when the pool is exhausted', () => {
    fc.assert(
      fc.property(life, (inputs) => {
        const { forecasts } = play(inputs)
        forecasts.forEach(({ riskRatio, etaSeconds }, i) => {
          const input = inputs[i]
          const exhausted =
            input !== undefined &&
            (input.capacityPorts <= input.blockedPorts ||
              input.tracks.some(({ availablePorts }) => availablePorts <= 0))
          expect(riskRatio === 1).toBe(exhausted)
          if (exhausted) expect(etaSeconds).toBe(0)
          if (riskRatio !== undefined) {
            expect(riskRatio).toBeGreaterThanOrEqual(0)
            expect(riskRatio).toBeLessThanOrEqual(1)
          }
          if (etaSeconds !== undefined) {
            expect(etaSeconds).toBeGreaterThanOrEqual(0)
            expect(etaSeconds).toBeLessThanOrEqual(86_400)
          }
        })
      }),
      { numRuns: 100, seed: 4, endOnFailure: true },
    )
  })

  test('gives the same when its state goes through JSON at any sample', () => {
    fc.assert(
      fc.property(life, (inputs) => {
        const { forecasts } = play(inputs)
        let state: ForecastState | undefined
        const replayed = inputs.map((input) => {
          const next = advanceForecast(state, input, OPTIONS)
          state = JSON.parse(JSON.stringify(next.state))
          return next.forecast
        })
        expect(replayed).toEqual(forecasts)
      }),
      { numRuns: 50, seed: 4, endOnFailure: true },
    )
  })

  test('keeps its state bounded over 3,000 samples with changing destinations', () => {
    const size = (state: ForecastState | undefined) => JSON.stringify(state).length
    let state: ForecastState | undefined
    const sizes: number[] = []
    for (let i = 0; i < 3_000; i++) {
      const closes = () => 100 + (i % 7)
      const { tracks, ...input } = readPool({ closes, live: () => 900 }, i * 60)
      const named = tracks.map((one) => ({ ...one, key: `destination ${i >> 1}` }))
      state = advanceForecast(state, { ...input, tracks: named }, OPTIONS).state
      if (i % 20 === 0) sizes.push(size(state))
    }
    expect(Math.max(...sizes.slice(50))).toBeLessThan(1.2 * Math.max(...sizes.slice(0, 50)))

    // All at once: whatever has gone is remembered only while there is room.
    for (let i = 0; i < 30; i++) {
      const { tracks, ...input } = readPool({ closes: () => 100, live: () => 900 }, 180_000 + i * 5)
      const crowd = Array.from({ length: 50 }, (_, n) =>
        tracks.map((one) => ({ ...one, key: `${i} ${n}` })),
      )
      state = advanceForecast(state, { ...input, tracks: crowd.flat() }, OPTIONS).state
      expect(state.tracks.length).toBeLessThanOrEqual(65)
    }
    expect(size(state)).toBeLessThan(65 * 12_000)
  })

  test('remembers nothing but the live ports of a destination that is small', () => {
    const small = listMoments(3600, 5).map((at) => readPool({ live: (t) => 200 + (t % 50) }, at))
    const { forecasts, state } = play(small)
    expect(forecasts.at(-1)).toEqual({ riskRatio: 0, etaSeconds: undefined })
    expect(state?.tracks).toEqual([])
    expect(JSON.stringify(state).length).toBeLessThan(300)
  })

  test('sees a destination leave its rest, and a leak in it', () => {
    const leak = { live: (at: number) => 100 + 15 * Math.max(0, at - 600) }
    const fullAt = 600 + (28_232 - 100) / 15
    const ending = watch(leak, listMoments(fullAt - 620, 5))
    expect(ending.riskRatio).toBeGreaterThan(0.5)
    expect(Math.abs((ending.etaSeconds ?? 0) / 620 - 1)).toBeLessThan(0.1)
  })
})
