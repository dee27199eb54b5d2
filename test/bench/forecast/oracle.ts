// What nobody could do better: the end of the UDP leak, forecast by one who knows every rate and which ports leak. Seeds ->
// in how many of them its ETA stays below 1.5 x actual to the last sample, and below actual + 3 standard deviations / slope.
// NB: shows what the noise of ports that come and go makes of any forecast; it judges nothing of the program.

import { createRandom, type Random } from './random.ts'

const LOOKUPS_PER_SECOND = 400
const HOLD_SECONDS = 3
const LEAK_PER_SECOND = 6
const MEAN_PORTS = LOOKUPS_PER_SECOND * HOLD_SECONDS
const STEP_SECONDS = 0.1
const SAMPLE_SECONDS = 5
const WATCHED_PORTS = 600
/** Earlier than that, 1.5 x actual is wide enough for everybody. */
const END_SECONDS = 40
const PATHS = 61

interface Ports {
  readonly passing: number
  readonly free: number
}

export interface OracleScore {
  readonly seeds: number
  readonly byTheLetter: number
  readonly withNoise: number
}

export function scoreOracle(seeds: readonly string[]): OracleScore {
  let [byTheLetter, withNoise] = [0, 0]
  for (const seed of seeds) {
    const random = createRandom(`${seed} oracle`)
    const samples: (Ports & { readonly atSeconds: number })[] = []
    let next = random.between(0, SAMPLE_SECONDS)
    const start = { passing: MEAN_PORTS, free: WATCHED_PORTS }
    const failedAt = runUntilFailure(start, random, (atSeconds, ports) => {
      if (atSeconds < next) return
      next += SAMPLE_SECONDS
      samples.push({ atSeconds, ...ports })
    })
    const late = samples
      .filter(({ atSeconds }) => atSeconds > failedAt - END_SECONDS)
      .map((sample) => ({
        actual: failedAt - sample.atSeconds,
        eta: takeMedianFailure(sample, random),
      }))
      .filter(({ actual, eta }) => eta > 1.5 * actual)
    const noise = (3 * Math.sqrt(MEAN_PORTS)) / LEAK_PER_SECOND
    if (late.length === 0) byTheLetter++
    if (late.every(({ actual, eta }) => eta <= actual + noise)) withNoise++
  }
  return { seeds: seeds.length, byTheLetter, withNoise }
}

function takeMedianFailure(from: Ports, random: Random): number {
  const times = Array.from({ length: PATHS }, () => runUntilFailure(from, random))
  return times.sort((a, b) => a - b)[Math.floor(PATHS / 2)] ?? 0
}

function runUntilFailure(
  from: Ports,
  random: Random,
  look?: (atSeconds: number, ports: Ports) => void,
): number {
  let { passing, free } = from
  for (let step = 1; ; step++) {
    const opens = drawCount(LOOKUPS_PER_SECOND * STEP_SECONDS, random)
    const closes = drawCount((passing / HOLD_SECONDS) * STEP_SECONDS, random)
    passing += opens - closes
    free -= opens - closes + drawCount(LEAK_PER_SECOND * STEP_SECONDS, random)
    if (free < 0) return step * STEP_SECONDS
    look?.(step * STEP_SECONDS, { passing, free })
  }
}

/** Poisson: by waiting times where few are expected, else by its normal limit. */
function drawCount(mean: number, random: Random): number {
  if (mean > 10) {
    const normal = Math.sqrt(random.exponential(2)) * Math.cos(2 * Math.PI * random.next())
    return Math.max(0, Math.round(mean + Math.sqrt(mean) * normal))
  }
  let count = 0
  for (let at = random.exponential(1); at < mean; at += random.exponential(1)) count++
  return count
}
