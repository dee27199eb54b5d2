// A simulated run through the estimator, as the sampler would feed it: run -> what was forecast at each reading.

import {
  advanceForecast,
  type ForecastInput,
  type ForecastState,
} from '../../../src/model/forecast/forecast.ts'
import type { Weights } from '../../../src/model/forecast/risk.ts'
import { HORIZON_SECONDS } from './family.ts'
import type { Reading, Run } from './simulation.ts'

export interface Moment {
  readonly reading: Reading
  readonly riskRatio: number | undefined
  readonly etaSeconds: number | undefined
  /** Of the worst destination. */
  readonly usedRatio: number
}

export const ALERT_RATIO = 0.5
/** tcp_tw_reuse_delay of the simulation. */
const REUSE_DELAY_SECONDS = 1

export function readForecast(reading: Reading): ForecastInput {
  return {
    ...reading,
    range: String(reading.capacityPorts),
    reuseDelaySeconds: reading.reuse ? REUSE_DELAY_SECONDS : undefined,
  }
}

/** With the weights that are shipped, if no others are given. */
export function replay(run: Pick<Run, 'readings'>, weights?: Weights): readonly Moment[] {
  const options = { horizonSeconds: HORIZON_SECONDS, ...(weights && { weights }) }
  let state: ForecastState | undefined
  return run.readings.map((reading) => {
    const next = advanceForecast(state, readForecast(reading), options)
    state = next.state
    const available = Math.min(...reading.tracks.map((track) => track.availablePorts))
    return { reading, ...next.forecast, usedRatio: 1 - available / reading.capacityPorts }
  })
}

export function isAlert(moment: Moment): boolean {
  return (moment.riskRatio ?? 0) >= ALERT_RATIO
}
