// Stage "forecast": the readings of one pool, one after the other -> the probability that an allocation fails within the
// horizon, and the expected time to it. A reducer: state in, state out, nothing else.

import type { Earlier, ForecastTrack } from './reading.ts'
import { advanceTrack, type TrackState, takeTrackOutlook } from './track.ts'

export interface ForecastInput {
  /** Seconds of a clock that never steps (monotonic). */
  readonly atSeconds: number
  readonly capacityPorts: number
  /** Ports closed to every allocation of the pool whatever the destination (listeners, bound); 0 for udp and tcp_bind. */
  readonly blockedPorts: number
  /** Names the set of ports: under another name it is another set, if one of the same size. */
  readonly range: string
  /** The age at which tcp_tw_reuse lets connect() recycle a TIME_WAIT; undefined where it never does. */
  readonly reuseDelaySeconds: number | undefined
  /** Every destination that matters (bounded by the caller, at most about 50), one for tcp_bind and udp. */
  readonly tracks: readonly ForecastTrack[]
  /** Keys that were among the tracks of the last sample and go on without a track; any other that is absent is idle. */
  readonly left?: readonly string[]
}

export interface Forecast {
  /** Probability that an allocation fails within the horizon; undefined until enough was seen. */
  readonly riskRatio: number | undefined
  /** Expected seconds to the first failure; undefined when not heading there. */
  readonly etaSeconds: number | undefined
}

export interface ForecastOptions {
  readonly horizonSeconds: number
}

/** Opaque to callers; plain data, bounded by the tracks of the last minutes. */
export interface ForecastState {
  readonly sinceSeconds: number
  readonly atSeconds: number
  readonly samples: number
  readonly range: string
  readonly blockedPorts: number
  readonly tracks: readonly TrackState[]
  /** Tracks too small to be watched closely. */
  readonly resting: readonly (Earlier & { readonly key: string })[]
}

/** Before that, the forecast is unknown: a rate needs two intervals to be more than a guess. */
const LEAST_SAMPLES = 3
const LEAST_SECONDS = 10
/** A track that holds less than this share of what it could is at rest: nothing is remembered of it but its live ports... */
const REST_SHARE = 0.05
/** ...once it has been so small for so long. */
const REST_SECONDS = 300
/** After a longer gap the past says nothing about now. */
const LONGEST_GAP_SECONDS = 900
/** What is more likely than not is said even of a track that is not known well. */
const LIKELY_RATIO = 0.5
/** Nothing is certain before it has happened. */
const HIGHEST_RISK = 0.9999
const MOST_TRACKS = 64
/** Stands for every destination that nobody is connected to: only blocked ports can take it. */
const ANY_KEY = ''

export function advanceForecast(
  state: ForecastState | undefined,
  input: ForecastInput,
  options: ForecastOptions,
): { state: ForecastState; forecast: Forecast } {
  const elapsed = input.atSeconds - (state?.atSeconds ?? Number.NEGATIVE_INFINITY)
  // A clock that steps back is another clock.
  const before = elapsed > 0 && elapsed <= LONGEST_GAP_SECONDS ? state : undefined
  const pool = {
    atSeconds: input.atSeconds,
    capacityPorts: input.capacityPorts,
    blockedPorts: input.blockedPorts,
    rangeChanged: before !== undefined && before.range !== input.range,
    reuseDelaySeconds: input.reuseDelaySeconds,
  }
  const watched = new Map(before?.tracks.map((track) => [track.key, track]))
  const rested = new Map(before?.resting.map((track) => [track.key, track]))
  const tracks: { readonly track: ForecastTrack; readonly state: TrackState }[] = []
  const resting: (Earlier & { key: string })[] = []
  for (const track of listTracks(before, input)) {
    const known = watched.get(track.key)
    const rests = isResting(track, input.blockedPorts)
    if (rests && (known === undefined || input.atSeconds - known.busyAtSeconds >= REST_SECONDS)) {
      const { key, livePorts, earlier } = track
      const sinceSeconds =
        known?.history.seenFromSeconds ?? (rested.get(key) ?? earlier)?.sinceSeconds
      resting.push({ key, livePorts, sinceSeconds: sinceSeconds ?? input.atSeconds })
      continue
    }
    const earlier = rested.get(track.key) ?? track.earlier
    const seen = before &&
      earlier && {
        fromSeconds: Math.max(before.sinceSeconds, earlier.sinceSeconds),
        toSeconds: before.atSeconds,
        livePorts: before.blockedPorts + earlier.livePorts,
      }
    const state = advanceTrack(known, track, { ...pool, rests, seen })
    tracks.push({ track, state })
  }
  const next: ForecastState = {
    sinceSeconds: before?.sinceSeconds ?? input.atSeconds,
    atSeconds: input.atSeconds,
    samples: (before?.samples ?? 0) + 1,
    range: input.range,
    blockedPorts: input.blockedPorts,
    tracks: tracks.map((one) => one.state),
    resting,
  }
  const isExhausted = (track: ForecastTrack) => track.availablePorts <= 0
  if (input.tracks.some(isExhausted) || input.capacityPorts <= input.blockedPorts) {
    return { state: next, forecast: { riskRatio: 1, etaSeconds: 0 } }
  }
  if (next.samples < LEAST_SAMPLES || next.atSeconds - next.sinceSeconds < LEAST_SECONDS) {
    return { state: next, forecast: { riskRatio: undefined, etaSeconds: undefined } }
  }
  const outlooks = tracks.map((one) =>
    takeTrackOutlook(one.state, one.track, { ...pool, ...options }),
  )
  const riskRatio = Math.min(HIGHEST_RISK, Math.max(0, ...outlooks.map((one) => one.riskRatio)))
  if (riskRatio < LIKELY_RATIO && outlooks.some(({ known }) => !known)) {
    return { state: next, forecast: { riskRatio: undefined, etaSeconds: undefined } }
  }
  const etas = outlooks.flatMap(({ etaSeconds }) => (etaSeconds === undefined ? [] : [etaSeconds]))
  return {
    state: next,
    forecast: {
      riskRatio,
      etaSeconds: etas.length === 0 ? undefined : Math.min(...etas),
    },
  }
}

/** Those of the reading, those that are watched though they are idle, and one nobody uses. */
function listTracks(
  before: ForecastState | undefined,
  input: ForecastInput,
): readonly ForecastTrack[] {
  const present = new Set([ANY_KEY, ...input.tracks.map((track) => track.key)])
  const left = new Set(input.left)
  const idle = (before?.tracks ?? [])
    .filter(({ key }) => !present.has(key) && !left.has(key))
    .slice(0, Math.max(0, MOST_TRACKS - input.tracks.length))
    .map(({ key }) => createIdle(key, input))
  return input.tracks.some((track) => track.key === ANY_KEY)
    ? [...input.tracks, ...idle]
    : [...input.tracks, ...idle, createIdle(ANY_KEY, input)]
}

function isResting(track: ForecastTrack, blockedPorts: number): boolean {
  const { livePorts, timeWaitPorts, reclaimablePorts } = track
  const blocked = track.key === ANY_KEY ? blockedPorts : 0
  const held = livePorts + timeWaitPorts + reclaimablePorts + blocked
  return held < REST_SHARE * (held + track.availablePorts)
}

function createIdle(key: string, input: ForecastInput): ForecastTrack {
  return {
    key,
    availablePorts: input.capacityPorts - input.blockedPorts,
    livePorts: 0,
    timeWaitPorts: 0,
    reclaimablePorts: 0,
    expiring: [],
  }
}
