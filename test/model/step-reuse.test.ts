// What the forecast of each pool is told of tcp_tw_reuse, which helps connect() alone.

import { beforeEach, expect, test, vi } from 'vitest'
import { advanceForecast } from '../../src/model/forecast/forecast.ts'
import type { NetSettings } from '../../src/observation.ts'
import { createLine, type Hold } from './step-play.ts'

vi.mock('../../src/model/forecast/forecast.ts', async (importOriginal) => {
  const forecast = await importOriginal<typeof import('../../src/model/forecast/forecast.ts')>()
  return { ...forecast, advanceForecast: vi.fn(forecast.advanceForecast) }
})
const forecastOf = vi.mocked(advanceForecast)
beforeEach(() => {
  forecastOf.mockClear()
})

const REUSE: Partial<NetSettings> = { tcpTwReuse: 1, tcpTwReuseDelayMs: 25_000, tcpTimestamps: 1 }

/** One port more in TIME_WAIT each second. */
function holdAt(atSeconds: number): readonly Hold[] {
  return Array.from({ length: 60 }, (_, age) => ({
    port: (atSeconds - age + 600) % 100,
    to: 9,
    state: 'timeWait',
    expiresMs: (60 - age) * 1000 - 1,
  }))
}

test.each([
  ['is on', REUSE, [25, undefined, undefined]],
  ['is off', { ...REUSE, tcpTwReuse: 0 }, [undefined, undefined, undefined]],
  [
    'cannot help without timestamps',
    { ...REUSE, tcpTimestamps: 0 },
    [undefined, undefined, undefined],
  ],
])('only connect() recycles TIME_WAIT where tcp_tw_reuse %s', (_how, settings, want) => {
  createLine({ ports: 100, settings }).look(0, holdAt(0))
  expect(forecastOf.mock.calls.map(([, input]) => input.reuseDelaySeconds)).toEqual(want)
})

test('the pools of bind(0) and UDP are forecast the same whether it is on or off', () => {
  const lines = [REUSE, { tcpTwReuse: 0 }].map((settings) => createLine({ ports: 100, settings }))
  const forecasts = lines.map(({ look }) => {
    let pool = look(0, holdAt(0))
    for (let at = 5; at <= 120; at += 5) pool = look(at, holdAt(at))
    return [pool('tcp_connect').availablePorts, pool('tcp_bind'), pool('udp')] as const
  })
  const [on, off] = forecasts
  expect(on?.slice(1)).toEqual(off?.slice(1))
  expect(on?.[0]).toBeGreaterThan(off?.[0] ?? 100)
})
