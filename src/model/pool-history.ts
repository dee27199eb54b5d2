// What a pool's past says: a pool as of now and its history -> peak, risk and ETA, and the next history.

import type { SamplingSettings } from '../settings.ts'
import type { Pool, PoolName } from '../snapshot.ts'
import { advanceForecast, type ForecastInput, type ForecastState } from './forecast/forecast.ts'
import { advancePeak, type PeakSample } from './peaks.ts'
import type { PoolNow } from './pools.ts'

export interface PoolHistory {
  readonly peaks: readonly PeakSample[]
  readonly forecast: ForecastState
}

export type ForecastSettings = Pick<
  SamplingSettings,
  'peakWindowSeconds' | 'forecastHorizonSeconds'
>

export type PoolHistories = Partial<Record<PoolName, PoolHistory>>

/** What lies below is noise of the estimate, and of how a processor rounds. */
const RISK_STEP = 0.0001
const ETA_STEP_SECONDS = 0.1

/** Advances the peak and the forecast of one pool by one sample. */
export function advancePool(
  history: PoolHistory | undefined,
  pool: PoolNow,
  input: ForecastInput,
  options: ForecastSettings,
): { readonly history: PoolHistory; readonly pool: Omit<Pool, 'heldPorts' | 'cause'> } {
  const peaks = advancePeak(
    history?.peaks ?? [],
    { atSeconds: input.atSeconds, value: pool.utilizationRatio },
    options.peakWindowSeconds,
  )
  const { state, forecast } = advanceForecast(history?.forecast, input, {
    horizonSeconds: options.forecastHorizonSeconds,
  })
  return {
    history: { peaks, forecast: state },
    pool: {
      ...pool,
      riskRatio: round(forecast.riskRatio, RISK_STEP),
      etaSeconds: round(forecast.etaSeconds, ETA_STEP_SECONDS),
      utilizationPeakRatio: peaks[0]?.value ?? pool.utilizationRatio,
    },
  }
}

/** What is withheld of a pool whose ports may be held by sockets that are not seen. */
type UpperBound = Pick<Pool, 'unusedPorts' | 'riskRatio' | 'etaSeconds'>

/** What is available is an upper bound there, so the risk is a lower one: it says nothing unless it warns. */
const TELLING_RATIO = 0.2

/** Leaves out what nobody knows of a pool whose ports may be held by sockets that are not seen. */
export function withholdUnknown<T extends UpperBound>(pool: T): T {
  const { riskRatio = 0 } = pool
  const known = { ...pool, unusedPorts: undefined }
  return riskRatio >= TELLING_RATIO
    ? known
    : { ...known, riskRatio: undefined, etaSeconds: undefined }
}

function round(value: number | undefined, step: number): number | undefined {
  return value === undefined ? undefined : Math.round(value / step) / Math.round(1 / step)
}
