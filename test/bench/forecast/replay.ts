// A simulated run through the estimator, as the sampler would feed it: run -> what was forecast at each reading.

import { advanceForecast, type ForecastState } from '../../../src/model/forecast/forecast.ts'
import type { Reading, Run } from './simulation.ts'

export interface Moment {
  readonly reading: Reading
  readonly riskRatio: number | undefined
  readonly etaSeconds: number | undefined
}

export const HORIZON_SECONDS = 900
export const ALERT_RATIO = 0.5
/** tcp_tw_reuse_delay of the simulation. */
const REUSE_DELAY_SECONDS = 1

export function replay(
  run: Pick<Run, 'readings'>,
  horizonSeconds = HORIZON_SECONDS,
): readonly Moment[] {
  let state: ForecastState | undefined
  return run.readings.map((reading) => {
    const range = String(reading.capacityPorts)
    const reuseDelaySeconds = reading.reuse ? REUSE_DELAY_SECONDS : undefined
    const next = advanceForecast(
      state,
      { ...reading, range, reuseDelaySeconds },
      { horizonSeconds },
    )
    state = next.state
    return { reading, ...next.forecast }
  })
}

export function isAlert(moment: Moment): boolean {
  return (moment.riskRatio ?? 0) >= ALERT_RATIO
}
