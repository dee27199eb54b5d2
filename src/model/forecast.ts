// Stage "forecast": the readings of one pool, one after the other -> the probability that an allocation fails within the
// horizon, and the expected time to it. A reducer: state in, state out, nothing else.

import { takeArrivals } from './forecast/arrivals.ts'
import { takeGrowth } from './forecast/growth.ts'
import { advanceHistory, bridgeHistory, type History, startHistory } from './forecast/history.ts'
import { type Outlook, takeOutlook } from './forecast/outlook.ts'
import { TIME_WAIT_SECONDS, takeSchedule } from './forecast/schedule.ts'
import { advanceSurges, createStaying, type Surges } from './forecast/surges.ts'

export interface ForecastTrack {
  /** Names the destination within the pool; '' for tcp_bind and udp. */
  readonly key: string
  /** How many more allocations succeed now. */
  readonly availablePorts: number
  /** Ports held by sockets that end only when an application closes them (TIME_WAIT not included), blocked ports not included. */
  readonly livePorts: number
  /** Ports that only TIME_WAIT (or ownerless FIN_WAIT2) holds and that cannot be recycled now. */
  readonly timeWaitPorts: number
  /** TIME_WAIT ports that tcp_tw_reuse lets connect() recycle now; they are available. */
  readonly reclaimablePorts: number
  /** timeWaitPorts by remaining life: entry i = ports that come free between second i and i+1; 60 entries. */
  readonly expiring: readonly number[]
}

export interface ForecastInput {
  /** Seconds of a clock that never steps (monotonic). */
  readonly atSeconds: number
  readonly capacityPorts: number
  /** Ports closed to every allocation of the pool whatever the destination (listeners, bound); 0 for udp and tcp_bind. */
  readonly blockedPorts: number
  /** Tcp ActiveOpens of the whole namespace (a counter), where known. */
  readonly activeOpens: number | undefined
  /** True where TIME_WAIT can become reclaimable by tcp_tw_reuse after a delay. */
  readonly reuse: boolean
  /** Every destination that matters (bounded by the caller, at most about 50), one for tcp_bind and udp. A key that is absent is idle. */
  readonly tracks: readonly ForecastTrack[]
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

/** Opaque to callers; plain data, bounded by the number of tracks that were there in the last minutes. */
export interface ForecastState {
  readonly atSeconds: number
  readonly sinceSeconds: number
  readonly readings: number
  readonly capacityPorts: number
  readonly blockedPorts: number
  readonly tracks: readonly TrackState[]
}

interface TrackState {
  readonly key: string
  readonly history: History
  readonly surges: Surges
  readonly dispersion: number
  readonly busyAtSeconds: number
}

const LEAST_READINGS = 3
const LEAST_SECONDS = 10
const HOLD_WINDOW_SECONDS = 600
const HOLD_MOST_SECONDS = 600
const HOLD_LEAST_CLOSES = 20
/** Clients whose connections all closed at once mostly come back. */
const RETURN_RATIO = 0.85
const IDLE_SECONDS = 300
const MOST_TRACKS = 64

export function advanceForecast(
  state: ForecastState | undefined,
  input: ForecastInput,
  options: ForecastOptions,
): { state: ForecastState; forecast: Forecast } {
  const before = state !== undefined && state.atSeconds < input.atSeconds ? state : undefined
  const present = new Set(input.tracks.map((track) => track.key))
  const gone = (before?.tracks ?? []).filter(
    (track) => !present.has(track.key) && input.atSeconds - track.busyAtSeconds < IDLE_SECONDS,
  )
  const rangeChanged = before !== undefined && before.capacityPorts !== input.capacityPorts
  const advanced = [
    ...input.tracks,
    ...gone.slice(0, MOST_TRACKS).map((track) => idle(track.key, input)),
  ].map((track) => advanceTrack(before, input, track, rangeChanged))
  const next: ForecastState = {
    atSeconds: input.atSeconds,
    sinceSeconds: before?.sinceSeconds ?? input.atSeconds,
    readings: (before?.readings ?? 0) + 1,
    capacityPorts: input.capacityPorts,
    blockedPorts: input.blockedPorts,
    tracks: advanced.map((one) => one.state),
  }
  if (input.tracks.some((track) => track.availablePorts <= 0)) {
    return { state: next, forecast: { riskRatio: 1, etaSeconds: 0 } }
  }
  if (next.readings < LEAST_READINGS || next.atSeconds - next.sinceSeconds < LEAST_SECONDS) {
    return { state: next, forecast: { riskRatio: undefined, etaSeconds: undefined } }
  }
  let riskRatio = 0
  let etaSeconds: number | undefined
  for (const { state: track, reading } of advanced) {
    const outlook = takeTrackOutlook(track, reading, input, options)
    riskRatio = Math.max(riskRatio, outlook.riskRatio)
    if (outlook.etaSeconds !== undefined) {
      etaSeconds = Math.min(etaSeconds ?? Number.POSITIVE_INFINITY, outlook.etaSeconds)
    }
  }
  return { state: next, forecast: { riskRatio, etaSeconds } }
}

function advanceTrack(
  before: ForecastState | undefined,
  input: ForecastInput,
  track: ForecastTrack,
  rangeChanged: boolean,
): { state: TrackState; reading: ForecastTrack } {
  const known = before?.tracks.find((one) => one.key === track.key)
  const reading = {
    atSeconds: input.atSeconds,
    livePorts: track.livePorts + input.blockedPorts,
    timeWaitPorts: track.timeWaitPorts,
    schedule: takeSchedule(track),
    capacityPorts: input.capacityPorts,
  }
  const history =
    known !== undefined
      ? (rangeChanged ? bridgeHistory : advanceHistory)(known.history, reading)
      : startHistory(
          reading,
          before && {
            fromSeconds: before.sinceSeconds,
            toSeconds: before.atSeconds,
            livePorts: before.blockedPorts,
          },
        )
  return {
    state: {
      key: track.key,
      history,
      surges: advanceSurges(known?.surges, history.points),
      dispersion: 1,
      busyAtSeconds:
        track.livePorts + track.timeWaitPorts > 0
          ? input.atSeconds
          : (known?.busyAtSeconds ?? input.atSeconds),
    },
    reading: track,
  }
}

function takeTrackOutlook(
  track: TrackState,
  reading: ForecastTrack,
  input: ForecastInput,
  options: ForecastOptions,
): Outlook {
  const { points, jitter, seenFromSeconds, restart } = track.history
  const arrivals = takeArrivals(points, track.dispersion)
  const { holdSeconds, closingRatio } = takeClosing(track.history)
  const schedule = takeSchedule(reading)
  const growth = takeGrowth(points, arrivals, {
    holdSeconds,
    jitter,
    seenFromSeconds,
    dispersion: track.dispersion,
  })
  const settled =
    holdSeconds > 0
      ? arrivals.rate +
        (arrivals.rateBefore - arrivals.rate) * Math.exp(-arrivals.ageSeconds / holdSeconds)
      : arrivals.rate
  const books = {
    availablePorts: reading.availablePorts,
    missingPorts: 0,
    closed:
      schedule?.closed ??
      new Array<number>(TIME_WAIT_SECONDS).fill(reading.timeWaitPorts / TIME_WAIT_SECONDS),
    lifetimeSeconds: schedule?.lifetimeSeconds ?? TIME_WAIT_SECONDS,
    holdSeconds,
    settledRate: arrivals.slope === 0 ? settled : arrivals.rate,
    dispersion: track.dispersion,
  }
  const staying = createStaying(track.surges, arrivals, input.atSeconds)
  const rateBack = track.surges.running?.base ?? arrivals.rateBefore
  const parts = {
    books,
    arrivals,
    growth,
    closingRatio,
    rateBack,
    staying,
    horizonSeconds: options.horizonSeconds,
  }
  const outlook = takeOutlook(parts)
  if (restart === undefined) return outlook
  const missingPorts = Math.max(0, restart.levelPorts - reading.livePorts - input.blockedPorts)
  const restored = takeOutlook({ ...parts, books: { ...books, missingPorts } })
  if (restart.returning) return restored
  return {
    riskRatio: outlook.riskRatio + (restored.riskRatio - outlook.riskRatio) * RETURN_RATIO,
    etaSeconds: outlook.etaSeconds ?? restored.etaSeconds,
  }
}

/** Over the last minutes: how long a connection holds its port before it closes (Little's law), and how many did close. */
function takeClosing(history: History): { holdSeconds: number; closingRatio: number } {
  const { points } = history
  const now = points.at(-1)
  let liveSeconds = 0
  let begin = now
  for (let i = points.length - 1; i > 0; i--) {
    const [from, to] = [points[i - 1], points[i]]
    if (from === undefined || to === undefined || now === undefined) break
    if (now.atSeconds - from.atSeconds > HOLD_WINDOW_SECONDS) break
    liveSeconds += ((from.livePorts + to.livePorts) / 2) * (to.atSeconds - from.atSeconds)
    begin = from
  }
  const opened = (now?.openedPorts ?? 0) - (begin?.openedPorts ?? 0)
  const closes = opened - ((now?.livePorts ?? 0) - (begin?.livePorts ?? 0))
  return {
    holdSeconds: closes < HOLD_LEAST_CLOSES ? 0 : Math.min(HOLD_MOST_SECONDS, liveSeconds / closes),
    closingRatio: opened > 0 ? Math.min(1, Math.max(0, closes / opened)) : 1,
  }
}

function idle(key: string, input: ForecastInput): ForecastTrack {
  return {
    key,
    availablePorts: input.capacityPorts - input.blockedPorts,
    livePorts: 0,
    timeWaitPorts: 0,
    reclaimablePorts: 0,
    expiring: [],
  }
}
