// One destination from sample to sample: its last state and its reading -> its next state, and what is to be expected
// of it.

import type { Books } from './courses.ts'
import { advanceHistory, startHistory } from './history.ts'
import { advancePiles, type Piles } from './piles.ts'
import type { Before, History } from './points.ts'
import type { ForecastTrack } from './reading.ts'
import { advanceLateness, type Schedule, TIME_WAIT_SECONDS, takeSchedule } from './schedule.ts'
import type { SignalParts } from './signals.ts'

export interface TrackState {
  readonly key: string
  readonly history: History
  readonly piles: Piles
  readonly lateSeconds: number
  /** When it last was not at rest. */
  readonly busyAtSeconds: number
}

/** What concerns every track of a pool. */
export interface PoolReading {
  readonly atSeconds: number
  readonly capacityPorts: number
  readonly blockedPorts: number
  readonly rangeChanged: boolean
  readonly reuseDelaySeconds: number | undefined
}

export interface TrackReading extends PoolReading {
  /** It is too small to matter. */
  readonly rests: boolean
  /** What a track that nothing is remembered of held before; undefined at the pool's first sample. */
  readonly before: Before | undefined
}

export function advanceTrack(
  known: TrackState | undefined,
  track: ForecastTrack,
  pool: TrackReading,
): TrackState {
  const lateSeconds = advanceLateness(known?.lateSeconds ?? 0, track)
  const reading = {
    atSeconds: pool.atSeconds,
    livePorts: track.livePorts + pool.blockedPorts,
    timeWaitPorts: track.timeWaitPorts,
    schedule: takeSchedule(track, { lateSeconds, ...pool }),
  }
  const now = { ports: pool.capacityPorts - track.availablePorts, atSeconds: pool.atSeconds }
  return {
    key: track.key,
    history: known ? advanceHistory(known.history, reading) : startHistory(reading, pool.before),
    // Peaks of another range say nothing of this one.
    piles: advancePiles(pool.rangeChanged ? undefined : known?.piles, now, pool.capacityPorts),
    lateSeconds,
    busyAtSeconds: pool.rests ? (known?.busyAtSeconds ?? pool.atSeconds) : pool.atSeconds,
  }
}

/** What the forecast of a track is made of. */
export function listParts(
  { history, piles, lateSeconds }: TrackState,
  track: ForecastTrack,
  pool: Omit<PoolReading, 'rangeChanged'> & { readonly destinations: number },
): SignalParts {
  const { atSeconds, capacityPorts, reuseDelaySeconds, destinations } = pool
  const schedule = takeSchedule(track, { lateSeconds, reuseDelaySeconds })
  const books: Books = {
    capacityPorts,
    usedPorts: capacityPorts - track.availablePorts,
    schedule: schedule ?? spreadEvenly(track.timeWaitPorts),
  }
  const watchedSeconds = atSeconds - history.seenFromSeconds
  return { history, piles, books, watchedSeconds, destinations }
}

function spreadEvenly(ports: number): Schedule {
  return {
    closed: new Array<number>(TIME_WAIT_SECONDS).fill(ports / TIME_WAIT_SECONDS),
    lifetimeSeconds: TIME_WAIT_SECONDS,
  }
}
