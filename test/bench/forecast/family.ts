// What every family of load shares: a pool of 100 to 60,000 ports, a rate that is never smooth (AR(1) noise of 1 to 10 %), and
// an hour of watching after the onset.

import type { Random } from './random.ts'
import type { Scenario, Traffic } from './simulation.ts'

export interface Family {
  readonly name: string
  /** What is drawn, in words, for the report. */
  readonly ranges: string
  readonly create: (random: Random, pool: FamilyPool) => Load
}

export type Load = Pick<Scenario, 'traffic' | 'initial' | 'restarts' | 'reuse' | 'shrink'>

export interface FamilyPool {
  readonly capacity: number
  readonly onset: number
  /** Seconds that are simulated after the first reading. */
  readonly until: number
}

export const WATCHED_SECONDS = 3000
export const HORIZON_SECONDS = 900
const SETTLE_SECONDS = 130
/** Correlation times of the noise. */
const [QUICKEST_SECONDS, SLOWEST_SECONDS] = [10, 300]

export function createScenario(family: Family, random: Random): Scenario {
  const capacity = Math.round(random.betweenLog(100, 60_000))
  const onset = random.between(60, 600)
  const until = WATCHED_SECONDS + HORIZON_SECONDS
  const load = family.create(random, { capacity, onset, until })
  const noise = random.betweenLog(0.01, 0.1)
  return {
    name: family.name,
    capacityPorts: capacity,
    durationSeconds: until,
    onsetSeconds: onset,
    ...load,
    traffic: load.traffic.map((one) => withNoise(one, random, { noise, until })),
  }
}

/** Slow noise of the load itself: the logarithm of the rate is a first-order autoregression. */
function withNoise(
  traffic: Traffic,
  random: Random,
  { noise, until }: { readonly noise: number; readonly until: number },
): Traffic {
  const wave = createNoise(random, {
    deviation: noise,
    correlationSeconds: random.betweenLog(QUICKEST_SECONDS, SLOWEST_SECONDS),
    seconds: until,
  })
  return { ...traffic, rate: (at, live) => traffic.rate(at, live) * wave(at) }
}

export function createNoise(
  random: Random,
  parts: {
    readonly deviation: number
    readonly correlationSeconds: number
    readonly seconds: number
  },
): (atSeconds: number) => number {
  const kept = Math.exp(-1 / parts.correlationSeconds)
  const fresh = Math.sqrt(1 - kept * kept)
  const values = new Float64Array(parts.seconds + 2 * SETTLE_SECONDS)
  let value = drawNormal(random)
  for (let i = 0; i < values.length; i++) {
    value = kept * value + fresh * drawNormal(random)
    values[i] = Math.exp(parts.deviation * value - parts.deviation ** 2 / 2)
  }
  return (at) => values[Math.max(0, Math.floor(at) + SETTLE_SECONDS)] ?? 1
}

export function drawNormal(random: Random): number {
  return Math.sqrt(random.exponential(2)) * Math.cos(2 * Math.PI * random.next())
}

/** Requests of one client that closes first; `share` of the capacity is where they settle. */
export function serve(
  capacity: number,
  holdSeconds: number,
  share: (atSeconds: number) => number,
): Traffic {
  return {
    destination: 0,
    rate: (at) => (Math.max(0, share(at)) * capacity) / (61 + holdSeconds),
    hold: (_, random) => random.exponential(holdSeconds),
    timeWait: true,
  }
}

/** Connections that stay until `until`, or for ever, and leave no TIME_WAIT with us. */
export function pile(
  rate: Traffic['rate'],
  until: (atSeconds: number) => number = () => Number.POSITIVE_INFINITY,
): Traffic {
  return { destination: 0, rate, hold: (at) => until(at) - at, timeWait: false }
}

/** Moments from `from` on, `next()` seconds apart. */
export function listTimes(from: number, until: number, next: () => number): readonly number[] {
  const times: number[] = []
  for (let at = from; at < until; at += Math.max(1, next())) times.push(at)
  return times
}

/** Index of the last of the times that is not after the moment; -1 before the first. */
export function findTime(times: readonly number[], at: number): number {
  let [low, high] = [0, times.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((times[middle] ?? 0) <= at) low = middle + 1
    else high = middle
  }
  return low - 1
}
