// Examples for learning: family and seed -> instants of a run, each with the inputs of the risk at several horizons and what
// came of it.

import { advanceTracks, type ForecastState } from '../../../src/model/forecast/forecast.ts'
import { takeReach, takeSignals } from '../../../src/model/forecast/signals.ts'
import { listParts } from '../../../src/model/forecast/track.ts'
import { createScenario, type Family, HORIZON_SECONDS, WATCHED_SECONDS } from './family.ts'
import type { Lesson } from './network.ts'
import { createRandom } from './random.ts'
import { readForecast } from './replay.ts'
import { type Run, simulate } from './simulation.ts'

export interface FamilyRun extends Run {
  /** Before it nothing can be known. */
  readonly onsetSeconds: number
}

export interface ReachedLesson extends Lesson {
  /** takeReach(): nothing is learned where it is 0. */
  readonly reach: number
}

const WARM_UP_SECONDS = 15
const INSTANTS = 24
const LEAST_APART_SECONDS = 15
/** Learned at all of them, so that the risk knows what the horizon means; most of all at the one that is judged. */
const HORIZONS = [15, 60, 180, 450, HORIZON_SECONDS, 1800] as const
export const JUDGED_WEIGHT = 3

/** How often a sample is taken, by the number of the run: mostly as the exporter does. */
export function takeInterval(run: number): number {
  return [5, 5, 15, 5, 5, 1, 5, 60][run % 8] ?? 5
}

export function simulateFamily(family: Family, seed: string, intervalSeconds: number): FamilyRun {
  const random = createRandom(`${seed} ${family.name}`)
  const scenario = createScenario(family, random)
  const run = simulate(scenario, random, intervalSeconds)
  // In a quarter of the runs the exporter is started while the load goes on.
  const last = (run.readings.at(-1)?.atSeconds ?? 0) - 60
  const from = random.next() < 0.75 ? 0 : random.between(0, Math.max(0, last))
  return {
    readings: run.readings.filter(({ atSeconds }) => atSeconds >= from),
    failedAtSeconds: run.failedAtSeconds,
    onsetSeconds: scenario.onsetSeconds,
  }
}

/** Evenly from the onset, or the start of watching, to the failure or the end of watching. */
export function listInstants({
  readings,
  failedAtSeconds,
  onsetSeconds,
}: FamilyRun): readonly number[] {
  const end = failedAtSeconds ?? WATCHED_SECONDS
  const begin = Math.max(WARM_UP_SECONDS + (readings[0]?.atSeconds ?? 0), onsetSeconds)
  const count = Math.max(0, Math.min(INSTANTS, Math.ceil((end - begin) / LEAST_APART_SECONDS)))
  return Array.from({ length: count }, (_, i) => begin + ((end - begin) * (i + 0.5)) / count)
}

export function listLessons(run: FamilyRun): readonly ReachedLesson[] {
  const { readings, failedAtSeconds = Number.POSITIVE_INFINITY } = run
  const ended = Number.isFinite(failedAtSeconds)
    ? failedAtSeconds
    : (readings.at(-1)?.atSeconds ?? 0) + WARM_UP_SECONDS
  const instants = listInstants(run)
  const lessons: ReachedLesson[] = []
  let state: ForecastState | undefined
  let next = 0
  for (const reading of readings) {
    const input = readForecast(reading)
    const { state: advanced, tracks } = advanceTracks(state, input)
    state = advanced
    if (reading.atSeconds >= (instants[next] ?? Number.POSITIVE_INFINITY)) {
      while ((instants[next] ?? Number.POSITIVE_INFINITY) <= reading.atSeconds) next++
      const pool = { ...input, destinations: tracks.length }
      const [rows] = tracks.map((one) =>
        takeSignals(listParts(one.state, one.track, pool), HORIZONS),
      )
      HORIZONS.forEach((horizonSeconds, i) => {
        const inputs = rows?.[i]
        const until = reading.atSeconds + horizonSeconds
        const known = until >= failedAtSeconds || until <= ended
        if (inputs === undefined || !known) return
        const weight = horizonSeconds === HORIZON_SECONDS ? JUDGED_WEIGHT : 1
        const failed = failedAtSeconds <= until
        lessons.push({ inputs, failed, weight, reach: takeReach(inputs) })
      })
    }
  }
  return lessons
}
