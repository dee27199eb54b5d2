// Stage "forecast": the readings of one pool, one after the other -> the probability that an allocation fails within
// the horizon, and the expected time to it. A reducer: state in, state out, nothing else.

import { takeOutlook } from './outlook.ts'
import type { Earlier, ForecastTrack } from './reading.ts'
import type { Weights } from './risk.ts'
import { advanceTrack, listParts, type TrackState } from './track.ts'
import { WEIGHTS } from './weights.ts'

export interface ForecastInput {
  /** Seconds of a clock that never steps (monotonic). */
  readonly atSeconds: number
  readonly capacityPorts: number
  /**
   * Ports closed to every allocation of the pool whatever the destination (listeners, bound); 0 for udp and tcp_bind.
   */
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
  /** Others than those that are shipped, to judge what learning makes of families that it has not seen. */
  readonly weights?: Weights
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
  readonly resting: readonly Resting[]
}

/** Before that, the forecast is unknown: a rate needs two intervals to be more than a guess. */
const LEAST_SAMPLES = 3
const LEAST_SECONDS = 10
/** A track that holds less than this share of what it could is at rest: little is remembered of it... */
const REST_SHARE = 0.05
/** ...once it has been so small for so long. */
const REST_SECONDS = 300
const REST_MEAN_SECONDS = 120
/** After a longer gap the past says nothing about now. */
const LONGEST_GAP_SECONDS = 900
/** What is so likely is said even of a track that is not known well. */
const LIKELY_RATIO = 0.7
/** Nothing is certain before it has happened. */
const HIGHEST_RISK = 0.9999
const MOST_TRACKS = 64
/** Stands for every destination that nobody is connected to: only blocked ports can take it. */
const ANY_KEY = ''

interface Resting extends Earlier {
  readonly key: string
}

export interface Advanced {
  readonly state: ForecastState
  /** The tracks worth a closer look, with their next states. */
  readonly tracks: readonly { readonly track: ForecastTrack; readonly state: TrackState }[]
}

export function advanceForecast(
  state: ForecastState | undefined,
  input: ForecastInput,
  options: ForecastOptions,
): { state: ForecastState; forecast: Forecast } {
  const { state: next, tracks } = advanceTracks(state, input)
  const isExhausted = (track: ForecastTrack) => track.availablePorts <= 0
  if (input.tracks.some(isExhausted) || input.capacityPorts <= input.blockedPorts) {
    return { state: next, forecast: { riskRatio: 1, etaSeconds: 0 } }
  }
  if (next.samples < LEAST_SAMPLES || next.atSeconds - next.sinceSeconds < LEAST_SECONDS) {
    return { state: next, forecast: { riskRatio: undefined, etaSeconds: undefined } }
  }
  const pool = { ...input, destinations: tracks.length }
  const outlooks = tracks.map(({ state: track, track: reading }) =>
    takeOutlook(
      listParts(track, reading, pool),
      options.horizonSeconds,
      options.weights ?? WEIGHTS,
    ),
  )
  const riskRatio = Math.min(HIGHEST_RISK, Math.max(0, ...outlooks.map((one) => one.riskRatio)))
  if (riskRatio < LIKELY_RATIO && outlooks.some(({ known }) => !known)) {
    return { state: next, forecast: { riskRatio: undefined, etaSeconds: undefined } }
  }
  const etas = outlooks.flatMap(({ etaSeconds }) => (etaSeconds === undefined ? [] : [etaSeconds]))
  return {
    state: next,
    forecast: { riskRatio, etaSeconds: etas.length === 0 ? undefined : Math.min(...etas) },
  }
}

/** The books alone, which is all that samples in between are for when weights are learned. */
export function advanceTracks(state: ForecastState | undefined, input: ForecastInput): Advanced {
  const elapsed = input.atSeconds - (state?.atSeconds ?? Number.NEGATIVE_INFINITY)
  // A clock that steps back is another clock.
  const before = elapsed > 0 && elapsed <= LONGEST_GAP_SECONDS ? state : undefined
  const rangeChanged = before !== undefined && before.range !== input.range
  const pool = { ...input, rangeChanged }
  const watched = new Map(before?.tracks.map((track) => [track.key, track]))
  const rested = new Map(before?.resting.map((track) => [track.key, track]))
  const tracks: { readonly track: ForecastTrack; readonly state: TrackState }[] = []
  const resting: Resting[] = []
  for (const track of listTracks(before, input)) {
    const known = watched.get(track.key)
    const rests = isResting(track, input.blockedPorts)
    const earlier = rested.get(track.key) ?? track.earlier
    if (rests && (known === undefined || input.atSeconds - known.busyAtSeconds >= REST_SECONDS)) {
      resting.push(restTrack(track, known, earlier, { ...input, elapsed }))
      continue
    }
    const past = before &&
      earlier && {
        fromSeconds: Math.max(before.sinceSeconds, earlier.sinceSeconds),
        livePorts: before.blockedPorts + earlier.livePorts,
        meanPorts: before.blockedPorts + earlier.meanPorts,
      }
    tracks.push({ track, state: advanceTrack(known, track, { ...pool, rests, before: past }) })
  }
  return {
    tracks,
    state: {
      sinceSeconds: before?.sinceSeconds ?? input.atSeconds,
      atSeconds: input.atSeconds,
      samples: (before?.samples ?? 0) + 1,
      range: input.range,
      blockedPorts: input.blockedPorts,
      tracks: tracks.map((one) => one.state),
      resting,
    },
  }
}

function restTrack(
  { key, livePorts, timeWaitPorts }: ForecastTrack,
  known: TrackState | undefined,
  earlier: Earlier | undefined,
  { atSeconds, elapsed }: { readonly atSeconds: number; readonly elapsed: number },
): Resting {
  const taken = livePorts + timeWaitPorts
  const kept = Math.exp(-elapsed / REST_MEAN_SECONDS)
  const mean = earlier?.meanPorts ?? taken
  const sinceSeconds = known?.history.seenFromSeconds ?? earlier?.sinceSeconds ?? atSeconds
  return { key, livePorts, meanPorts: taken + (mean - taken) * kept, sinceSeconds }
}

/** Lists the tracks of the reading, those that are watched though they are idle, and one that nobody uses. */
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
