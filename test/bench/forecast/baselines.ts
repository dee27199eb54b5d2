// What people page on without a forecast: readings up to an instant -> 0 or 1. Each sees the same samples as the estimator.

import type { Reading } from './simulation.ts'

export interface Baseline {
  readonly name: string
  readonly judge: (readings: readonly Reading[], horizonSeconds: number) => number
}

export const baselines: readonly Baseline[] = [
  {
    name: 'static 80 %',
    judge: (readings) => (takeUsedShare(readings.at(-1)) >= 0.8 ? 1 : 0),
  },
  {
    name: 'predict_linear over 5 m',
    judge: (readings, horizon) => predict(readings, 300, horizon),
  },
  {
    name: 'predict_linear over 15 m',
    judge: (readings, horizon) => predict(readings, 900, horizon),
  },
]

function takeUsedShare(reading: Reading | undefined): number {
  return reading === undefined ? 0 : 1 - takeAvailable(reading) / reading.capacityPorts
}

function takeAvailable(reading: Reading): number {
  return Math.min(...reading.tracks.map((track) => track.availablePorts))
}

/** PromQL: predict_linear(available[window], horizon) <= 0, least squares over the samples in the window. */
function predict(readings: readonly Reading[], windowSeconds: number, horizon: number): number {
  const now = readings.at(-1)?.atSeconds ?? 0
  const window = readings.filter((reading) => reading.atSeconds > now - windowSeconds)
  const [times, values] = [window.map((one) => one.atSeconds - now), window.map(takeAvailable)]
  const mean = (numbers: readonly number[]) =>
    numbers.reduce((sum, value) => sum + value, 0) / numbers.length
  const [meanTime, meanValue] = [mean(times), mean(values)]
  let [covariance, variance] = [0, 0]
  times.forEach((time, i) => {
    covariance += (time - meanTime) * ((values[i] ?? 0) - meanValue)
    variance += (time - meanTime) ** 2
  })
  const slope = variance > 0 ? covariance / variance : 0
  return meanValue + slope * (horizon - meanTime) <= 0 ? 1 : 0
}
