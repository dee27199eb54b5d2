// One destination from sample to sample: its last state and its reading -> its next state, and what is to be expected of it.

import { type Arrivals, takeArrivals } from './arrivals.ts'
import { takeGrowth } from './growth.ts'
import { advanceHistory, moveHistory, startHistory } from './history.ts'
import { isKnown } from './knowledge.ts'
import { type Outlook, type OutlookParts, takeOutlook } from './outlook.ts'
import type { History } from './points.ts'
import type { ForecastTrack } from './reading.ts'
import { takeRenewal } from './renewal.ts'
import { takeReturning } from './restart.ts'
import { advanceLateness, TIME_WAIT_SECONDS, takeSchedule } from './schedule.ts'
import { advanceSurges, type Surges, takeStaying } from './surges.ts'

export interface TrackState {
  readonly key: string
  readonly history: History
  readonly surges: Surges
  readonly arrivals: Arrivals
  /** Running mean of the squared surprises in units of chance: 1 where arrivals are a Poisson process. */
  readonly scatter: number
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
  /** Where nothing is remembered of the track: what it held in the pool's earlier samples; undefined at the first. */
  readonly seen:
    | { readonly fromSeconds: number; readonly toSeconds: number; readonly livePorts: number }
    | undefined
}

const SCATTER_WEIGHT = 0.01
/** One surprise counts for at most so many times what is usual: a change of load is not scatter. */
const SCATTER_MOST = 9
/** Two standard errors of that mean when arrivals are Poisson: what is less is no reason to doubt that they are. */
const SCATTER_DOUBT = 0.2
const HOLD_WINDOW_SECONDS = 600
const HOLD_MOST_SECONDS = 600
const HOLD_LEAST_CLOSES = 20
/** When none of so many connections, or of ports that came and went, has left a TIME_WAIT, none will. */
const NO_TIME_WAIT_LEAST_OPENED = 20
/** A track that uses less than this share and opens too little to fill half of the rest needs no closer look. */
const QUIET_SHARE = 0.1

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
    leftPorts: track.leftPorts,
    capacityPorts: pool.capacityPorts,
  }
  const advance = pool.rangeChanged ? moveHistory : advanceHistory
  const history =
    known === undefined
      ? startHistory(reading, pool.rangeChanged ? undefined : pool.seen)
      : advance(known.history, reading)
  const scatter = known === undefined ? 1 : advanceScatter(known, history)
  return {
    key: track.key,
    history,
    surges: advanceSurges(known?.surges, history.points),
    arrivals: takeArrivals(history.points, takeDispersion(scatter)),
    scatter,
    lateSeconds,
    busyAtSeconds: pool.rests ? (known?.busyAtSeconds ?? pool.atSeconds) : pool.atSeconds,
  }
}

export function takeTrackOutlook(
  state: TrackState,
  track: ForecastTrack,
  {
    atSeconds,
    capacityPorts,
    blockedPorts,
    reuseDelaySeconds,
    horizonSeconds,
  }: PoolReading & { readonly horizonSeconds: number },
): Outlook {
  const { history, arrivals } = state
  const dispersion = takeDispersion(state.scatter)
  if (isQuiet(state, track.availablePorts / capacityPorts, { capacityPorts, horizonSeconds })) {
    return { riskRatio: 0, known: true, etaSeconds: undefined }
  }
  const { holdSeconds, closes, opened } = takeClosing(history)
  const schedule =
    track.leftPorts === undefined
      ? takeSchedule(track, { lateSeconds: state.lateSeconds, reuseDelaySeconds })
      : takeRenewal(history.points, track.timeWaitPorts)
  const { rate, rateBefore, slope, ageSeconds } = arrivals
  const settled =
    slope === 0 && holdSeconds > 0
      ? rate + (rateBefore - rate) * Math.exp(-ageSeconds / holdSeconds)
      : rate
  const growth = takeGrowth(history.points, arrivals, {
    holdSeconds,
    jitter: history.jitter,
    seenFromSeconds: history.seenFromSeconds,
    dispersion,
  })
  const parts: OutlookParts = {
    books: {
      availablePorts: track.availablePorts,
      missingPorts: 0,
      closed: schedule?.closed ?? spreadEvenly(track.timeWaitPorts),
      lifetimeSeconds: schedule?.lifetimeSeconds ?? TIME_WAIT_SECONDS,
      renewedRatio:
        track.leftPorts === undefined || schedule === undefined
          ? 0
          : 1 - TIME_WAIT_SECONDS / schedule.lifetimeSeconds,
      holdSeconds,
      settledRate: settled,
      timeWait: closes >= 1 || Math.max(opened, history.jitter) < NO_TIME_WAIT_LEAST_OPENED,
      dispersion,
      noise: growth?.noise ?? { offsetPorts: 0, variance: 0, seconds: 1 },
    },
    arrivals,
    growth,
    staying: takeStaying(state.surges, arrivals, history.points.at(-1)?.atSeconds ?? 0),
    horizonSeconds,
    known: isKnown(growth, {
      watchedSeconds: atSeconds - history.seenFromSeconds,
      availablePorts: track.availablePorts,
      horizonSeconds,
    }),
  }
  const outlook = takeOutlook(parts)
  const { restart } = history
  if (restart === undefined) return outlook
  const missingPorts = Math.max(0, restart.levelPorts - track.livePorts - blockedPorts)
  const restored = takeOutlook({ ...parts, books: { ...parts.books, missingPorts } })
  const back = takeReturning(restart, atSeconds)
  const riskRatio = outlook.riskRatio + back * (restored.riskRatio - outlook.riskRatio)
  return { ...(back < 0.5 ? outlook : restored), riskRatio }
}

/** How much wider than a Poisson process counts scatter around the rate: 1 or more. */
function takeDispersion(scatter: number): number {
  return Math.max(1, scatter - SCATTER_DOUBT)
}

function advanceScatter({ arrivals, scatter }: TrackState, history: History): number {
  const [from, to] = [history.points.at(-2), history.points.at(-1)]
  if (from === undefined || to === undefined) return scatter
  const seconds = to.atSeconds - from.atSeconds
  const expected = (arrivals.rate + (arrivals.slope * seconds) / 2) * seconds
  const chance =
    Math.max(expected, to.openedVariance - from.openedVariance) +
    (arrivals.rateDeviation * seconds) ** 2
  const surprise = (to.openedPorts - from.openedPorts - expected) ** 2 / Math.max(1, chance)
  return (
    scatter + SCATTER_WEIGHT * (Math.min(SCATTER_MOST * Math.max(1, scatter), surprise) - scatter)
  )
}

function isQuiet(
  { history }: TrackState,
  availableRatio: number,
  { capacityPorts, horizonSeconds }: { capacityPorts: number; horizonSeconds: number },
): boolean {
  if (!(availableRatio > 1 - QUIET_SHARE)) return false
  const now = history.points.at(-1)
  return history.points.every((point) => {
    if (now === undefined || now.atSeconds - point.atSeconds > TIME_WAIT_SECONDS) return true
    const seconds = Math.max(1, now.atSeconds - point.atSeconds)
    const most = ((now.openedPorts - point.openedPorts) / seconds) * horizonSeconds
    return most < (capacityPorts * availableRatio) / 2
  })
}

/** Over the last minutes: how long a connection holds its port before it closes (Little's law), and how many did close. */
function takeClosing({ points, seenFromSeconds }: History): {
  readonly holdSeconds: number
  readonly closes: number
  readonly opened: number
} {
  const now = points.at(-1)
  let liveSeconds = 0
  let begin = now
  for (let i = points.length - 1; i > 0; i--) {
    const [from, to] = [points[i - 1], points[i]]
    if (from === undefined || to === undefined || now === undefined) break
    if (now.atSeconds - from.atSeconds > HOLD_WINDOW_SECONDS) break
    if (from.atSeconds < seenFromSeconds) break
    liveSeconds += ((from.livePorts + to.livePorts) / 2) * (to.atSeconds - from.atSeconds)
    begin = from
  }
  const opened = (now?.openedPorts ?? 0) - (begin?.openedPorts ?? 0)
  const closes = opened - ((now?.livePorts ?? 0) - (begin?.livePorts ?? 0))
  const enough = closes >= HOLD_LEAST_CLOSES
  return {
    opened,
    closes,
    holdSeconds: enough ? Math.min(HOLD_MOST_SECONDS, liveSeconds / closes) : 0,
  }
}

function spreadEvenly(ports: number): readonly number[] {
  return new Array<number>(TIME_WAIT_SECONDS).fill(ports / TIME_WAIT_SECONDS)
}
