// What people page on without a forecast, and what could be learned of the utilization alone: readings up to an instant -> a
// row of numbers. Each is calibrated on the same runs as the forecast is, so that probabilities meet probabilities.

import type { Reading } from './simulation.ts'

export interface Baseline {
  readonly name: string
  /** Sums of the network that it is calibrated with; 1 is a logistic regression. */
  readonly hidden: number
  /** How many of the numbers never mean less danger when they are more. */
  readonly dangers: number
  readonly read: (readings: readonly Reading[], horizonSeconds: number) => readonly number[]
}

const WINDOWS = [300, 900, 3600] as const

export const baselines: readonly Baseline[] = [
  { name: 'base rate', hidden: 1, dangers: 0, read: () => [0] },
  ...[0.8, 0.95].map(
    (limit): Baseline => ({
      name: `static ${100 * limit} %`,
      hidden: 1,
      dangers: 1,
      read: (readings) => [takeShare(readings.at(-1)) >= limit ? 1 : 0],
    }),
  ),
  ...WINDOWS.map(
    (seconds): Baseline => ({
      name: `predict_linear over ${seconds / 60} m`,
      hidden: 4,
      dangers: 1,
      read: (readings, horizon) => [predict(readings, seconds, horizon)],
    }),
  ),
  {
    name: 'learner on utilization',
    hidden: 8,
    dangers: 0,
    read: (readings, horizon) => [
      takeShare(readings.at(-1)),
      ...WINDOWS.map((seconds) => predict(readings, seconds, horizon)),
      ...WINDOWS.map((seconds) => takeMost(readings, seconds)),
    ],
  },
]

function takeShare(reading: Reading | undefined): number {
  if (reading === undefined) return 0
  return (
    1 - Math.min(...reading.tracks.map((track) => track.availablePorts)) / reading.capacityPorts
  )
}

function takeWindow(readings: readonly Reading[], seconds: number): readonly Reading[] {
  const now = readings.at(-1)?.atSeconds ?? 0
  return readings.filter(({ atSeconds }) => atSeconds > now - seconds)
}

function takeMost(readings: readonly Reading[], seconds: number): number {
  return Math.max(0, ...takeWindow(readings, seconds).map(takeShare))
}

/** PromQL: predict_linear(utilization[window], horizon), by least squares; bounded, since beyond there is nothing to learn. */
function predict(readings: readonly Reading[], seconds: number, horizon: number): number {
  const now = readings.at(-1)?.atSeconds ?? 0
  const window = takeWindow(readings, seconds)
  const count = Math.max(1, window.length)
  let [times, shares, squares, products] = [0, 0, 0, 0]
  for (const reading of window) {
    const [time, share] = [reading.atSeconds - now, takeShare(reading)]
    times += time
    shares += share
    squares += time * time
    products += time * share
  }
  const spread = squares - (times * times) / count
  const slope = spread > 0 ? (products - (times * shares) / count) / spread : 0
  const value = shares / count + slope * (horizon - times / count)
  return Math.min(3, Math.max(-1, value))
}
