import { expect, test } from 'vitest'
import { advanceForecast, type ForecastState } from '../../src/model/forecast/forecast.ts'
import { advancePool, type PoolHistory, withholdUnknown } from '../../src/model/pool-history.ts'
import type { PoolNow } from '../../src/model/pools.ts'
import { listMoments, readPool } from './forecast/forecast-play.ts'

const nothing = { riskRatio: undefined, etaSeconds: undefined }

test.each([
  [0.2, 30, { riskRatio: 0.2, etaSeconds: 30 }],
  [1, 0, { riskRatio: 1, etaSeconds: 0 }],
  [0.1999, 30, nothing],
  [undefined, undefined, nothing],
])('where sockets are not seen a risk of %s with an ETA of %s says %o', (risk, eta, told) => {
  const pool = { unusedPorts: 7, riskRatio: risk, etaSeconds: eta }
  expect(withholdUnknown(pool)).toEqual({ unusedPorts: undefined, ...told })
})

test('advancePool() rounds risk and ETA to what an estimate can tell, and keeps the peak of its window', () => {
  const options = { peakWindowSeconds: 60, forecastHorizonSeconds: 900 }
  const leak = { closes: () => 250, live: (at: number) => 300 + 6 * Math.max(0, at - 100) }
  let history: PoolHistory | undefined
  let forecast: ForecastState | undefined
  const told = listMoments(1500, 5).map((at) => {
    const input = readPool(leak, at)
    const raw = advanceForecast(forecast, input, { horizonSeconds: 900 })
    forecast = raw.state
    const pool = { ...emptyPool, utilizationRatio: at === 1400 ? 0.9 : 0.5 }
    const advanced = advancePool(history, pool, input, options)
    history = advanced.history
    return { at, raw: raw.forecast, pool: advanced.pool }
  })
  const digits = (value: number | undefined, each: number) =>
    value === undefined ? undefined : Math.round(value * each) / each
  for (const { raw, pool } of told) {
    expect(pool.riskRatio).toBe(digits(raw.riskRatio, 10_000))
    expect(pool.etaSeconds).toBe(digits(raw.etaSeconds, 10))
  }
  expect(told.filter(({ pool }) => (pool.etaSeconds ?? 0) % 1 !== 0).length).toBeGreaterThan(10)
  const peaks = told.map(({ at, pool }) => [at, pool.utilizationPeakRatio])
  expect(Object.fromEntries(peaks)).toMatchObject({ 1395: 0.5, 1400: 0.9, 1455: 0.9, 1460: 0.5 })
})

const emptyPool: PoolNow = {
  pool: 'tcp_connect',
  capacityPorts: 28_232,
  availablePorts: 100,
  unusedPorts: 100,
  utilizationRatio: 0.5,
  reclaimablePorts: 0,
  slow: undefined,
  uncertainPorts: 0,
  worstDestination: undefined,
}
