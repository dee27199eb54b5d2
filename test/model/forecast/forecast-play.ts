// Pools without chance for the tests of the forecast, and their readings one after the other.

import {
  advanceForecast,
  type Forecast,
  type ForecastInput,
  type ForecastState,
} from '../../../src/model/forecast/forecast.ts'

export const OPTIONS = { horizonSeconds: 900 }
const TIME_WAIT_SECONDS = 60

export interface Pool {
  readonly capacityPorts?: number
  readonly range?: string
  readonly blockedPorts?: number
  /** Connections that go into TIME_WAIT per second. */
  readonly closes?: (atSeconds: number) => number
  readonly live?: (atSeconds: number) => number
}

/** A pool without chance: what it holds at a moment follows from its rates alone. */
export function readPool(pool: Pool, atSeconds: number): ForecastInput {
  const { capacityPorts = 28_232, blockedPorts = 0, closes = () => 0, live = () => 0 } = pool
  const expiring = Array.from({ length: TIME_WAIT_SECONDS }, (_, i) =>
    Math.round(closes(atSeconds - (TIME_WAIT_SECONDS - 0.5 - i))),
  )
  const timeWaitPorts = expiring.reduce((sum, ports) => sum + ports, 0)
  const livePorts = Math.round(live(atSeconds))
  const availablePorts = capacityPorts - blockedPorts - livePorts - timeWaitPorts
  return {
    atSeconds,
    capacityPorts,
    blockedPorts,
    range: pool.range ?? String(capacityPorts),
    reuseDelaySeconds: undefined,
    tracks: [
      { key: 'one', availablePorts, livePorts, timeWaitPorts, reclaimablePorts: 0, expiring },
    ],
  }
}

export function listMoments(seconds: number, interval: number, from = 0): readonly number[] {
  return Array.from({ length: Math.floor((seconds - from) / interval) + 1 }, (_, i) => {
    return from + i * interval
  })
}

export function play(
  inputs: readonly ForecastInput[],
  start?: ForecastState,
): { readonly forecasts: readonly Forecast[]; readonly state: ForecastState | undefined } {
  let state = start
  const forecasts = inputs.map((input) => {
    const next = advanceForecast(state, input, OPTIONS)
    state = next.state
    return next.forecast
  })
  return { forecasts, state }
}

export function watch(pool: Pool, moments: readonly number[]): Forecast {
  const { forecasts } = play(moments.map((at) => readPool(pool, at)))
  return forecasts.at(-1) ?? { riskRatio: undefined, etaSeconds: undefined }
}

export const BUSY: Pool = { closes: () => 250, live: () => 300 }
export const leaking = (ports: number, perSecond: number) => {
  return (at: number) => ports + perSecond * Math.max(0, at - 300)
}

/** How often a risk of a half lasted for a minute, which the shipped rule pages for. */
export function countPages(
  risks: readonly (number | undefined)[],
  intervalSeconds: number,
): number {
  let [pages, lasting] = [0, 0]
  for (const risk of risks) {
    const before = lasting
    lasting = (risk ?? 0) >= 0.5 ? lasting + intervalSeconds : 0
    if (lasting > 60 && before <= 60) pages++
  }
  return pages
}
