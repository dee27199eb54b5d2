// What is remembered of one track: reading after reading -> a bounded list of points, dense for the last seconds and thin
// for the last hour, from which every rate is taken. Openings are what nothing reports: change in live ports plus closes.

import { advanceRestart, type Restart } from './restart.ts'
import { countClosed, type Schedule, TIME_WAIT_SECONDS } from './schedule.ts'

export interface Point {
  readonly atSeconds: number
  /** Connections opened since the track is known. */
  readonly openedPorts: number
  /** How far chance moves that count: its variance. */
  readonly openedVariance: number
  /** Live ports, those of a restart that have yet to come back included. */
  readonly livePorts: number
}

export interface History {
  /** Oldest first, never empty. */
  readonly points: readonly Point[]
  /** As last read. */
  readonly livePorts: number
  readonly timeWaitPorts: number
  /** Live ports before this moment are assumed, not seen. */
  readonly seenFromSeconds: number
  /** Mean square of what chance does to live ports in one interval. */
  readonly jitter: number
  readonly restart: Restart | undefined
}

export interface HistoryReading {
  readonly atSeconds: number
  /** Live and blocked ports. */
  readonly livePorts: number
  readonly timeWaitPorts: number
  readonly schedule: Schedule | undefined
  readonly capacityPorts: number
}

const STEP_SECONDS = 2.5
/** After a longer gap the past says nothing about now. */
const LONGEST_GAP_SECONDS = 900
/** Spacing of points by age. */
const SPACING = [
  { ageSeconds: 20, seconds: 0.9 },
  { ageSeconds: 120, seconds: 4.5 },
  { ageSeconds: 300, seconds: 9 },
  { ageSeconds: 900, seconds: 28 },
  { ageSeconds: 3600, seconds: 110 },
] as const
const JITTER_WEIGHT = 0.05

/** Begins a history. `seen`: where the track was watched before and idle. */
export function startHistory(
  reading: HistoryReading,
  seen?: { readonly fromSeconds: number; readonly toSeconds: number; readonly livePorts: number },
): History {
  const { atSeconds, livePorts, timeWaitPorts, schedule } = reading
  const before = seen?.livePorts ?? livePorts
  const reach = schedule?.lifetimeSeconds ?? 0
  const start = {
    atSeconds: Math.min(atSeconds - reach, seen?.fromSeconds ?? atSeconds),
    openedPorts: 0,
    openedVariance: 0,
    livePorts: before,
  }
  const points: Point[] = [start]
  if (start.atSeconds < atSeconds) {
    const quietUntil = Math.max(start.atSeconds, Math.min(seen?.toSeconds ?? atSeconds, atSeconds))
    const quiet = listCloses(schedule, start.atSeconds, atSeconds).map((interval) => ({
      ...interval,
      rise:
        interval.toSeconds > quietUntil
          ? ((livePorts - before) *
              (interval.toSeconds - Math.max(quietUntil, interval.fromSeconds))) /
            (atSeconds - quietUntil)
          : 0,
    }))
    for (const interval of quiet) points.push(extend(points.at(-1) ?? start, interval))
  }
  return {
    points,
    livePorts,
    timeWaitPorts,
    seenFromSeconds: seen?.fromSeconds ?? atSeconds,
    jitter: 0,
    restart: undefined,
  }
}

export function advanceHistory(history: History, reading: HistoryReading): History {
  const last = history.points.at(-1)
  if (last === undefined) return startHistory(reading)
  const { atSeconds } = reading
  if (atSeconds - last.atSeconds > LONGEST_GAP_SECONDS) return startHistory(reading)

  const restart = advanceRestart(history, reading)
  if (restart !== undefined && history.restart === undefined) {
    // Within the interval of the collapse nobody can tell what came back from what is new.
    const bridged = bridgeHistory(history, { ...reading, livePorts: restart.levelPorts })
    return { ...bridged, livePorts: reading.livePorts, restart }
  }
  const level = Math.max(reading.livePorts, restart?.levelPorts ?? 0)
  // When a restart ends, what never came back was not closed now: the past is told without it.
  const ended = history.restart !== undefined && restart === undefined
  const points = ended ? shiftLive(history.points, level - last.livePorts) : [...history.points]
  const from = points.at(-1) ?? last
  const missing = level - reading.livePorts
  const lost = ended ? 0 : Math.max(0, missing - (from.livePorts - history.livePorts))

  const intervals =
    reading.schedule === undefined
      ? [guessCloses(history, reading, last.atSeconds)]
      : listCloses(reading.schedule, last.atSeconds, atSeconds)
  const span = atSeconds - last.atSeconds
  const drift = level - from.livePorts
  const jitter = advanceJitter(history, drift, span)
  const closed = intervals.reduce((sum, interval) => sum + interval.closes, 0)
  const unexplained = Math.max(0, jitter - 2 * closed)
  for (const interval of intervals) {
    const share = (interval.toSeconds - interval.fromSeconds) / span
    const chance = interval.variance + share * unexplained
    points.push(
      extend(points.at(-1) ?? from, {
        ...interval,
        closes: interval.closes * (1 - Math.min(1, lost / Math.max(1, closed))),
        variance: chance,
        rise: drift * share,
      }),
    )
  }
  return {
    points: thinPoints(points),
    livePorts: reading.livePorts,
    timeWaitPorts: reading.timeWaitPorts,
    seenFromSeconds: history.seenFromSeconds,
    jitter,
    restart,
  }
}

/**
 * Over an interval that says nothing about load: sockets went out of the range or came into it, or all closed at once. What
 * was opened in it is taken to be what the last minute would have opened.
 */
export function bridgeHistory(history: History, reading: HistoryReading): History {
  const last = history.points.at(-1)
  if (last === undefined) return startHistory(reading)
  const minute = history.points.find(
    (point) => point.atSeconds >= last.atSeconds - TIME_WAIT_SECONDS,
  )
  const span = reading.atSeconds - last.atSeconds
  const past = Math.max(1, last.atSeconds - (minute ?? last).atSeconds)
  const opened = ((last.openedPorts - (minute ?? last).openedPorts) * span) / past
  const points = shiftLive(history.points, reading.livePorts - last.livePorts)
  points.push({
    atSeconds: reading.atSeconds,
    openedPorts: last.openedPorts + opened,
    openedVariance: last.openedVariance + opened * (1 + span / past),
    livePorts: reading.livePorts,
  })
  return {
    ...history,
    points: thinPoints(points),
    livePorts: reading.livePorts,
    timeWaitPorts: reading.timeWaitPorts,
    restart: undefined,
  }
}

interface Interval {
  readonly fromSeconds: number
  readonly toSeconds: number
  readonly closes: number
  readonly variance: number
}

/** Closes into TIME_WAIT between two moments, in steps as fine as the timetable reaches. */
function listCloses(
  schedule: Schedule | undefined,
  fromSeconds: number,
  toSeconds: number,
): readonly Interval[] {
  const span = toSeconds - fromSeconds
  if (schedule === undefined) return [{ fromSeconds, toSeconds, closes: 0, variance: 0 }]
  const reach = Math.min(span, schedule.lifetimeSeconds)
  const fine =
    schedule.lifetimeSeconds === TIME_WAIT_SECONDS ? Math.ceil(reach / STEP_SECONDS - 0.2) : 1
  const steps = Math.max(1, fine)
  const intervals: Interval[] = []
  for (let step = steps; step > 0; step--) {
    const older = (reach * step) / steps
    const younger = (reach * (step - 1)) / steps
    const closes = countClosed(schedule.closed, { fromSeconds: younger, toSeconds: older })
    intervals.push({
      fromSeconds: toSeconds - older,
      toSeconds: toSeconds - younger,
      closes,
      variance: closes,
    })
  }
  if (span <= reach) return intervals
  // What closed before the timetable reaches back: at the rate of what it shows.
  const shown = intervals.reduce((sum, interval) => sum + interval.closes, 0)
  const scale = (span - reach) / reach
  return [
    {
      fromSeconds,
      toSeconds: toSeconds - reach,
      closes: shown * scale,
      variance: shown * scale * (1 + scale),
    },
    ...intervals,
  ]
}

/** Without timers: TIME_WAIT changed by what came less what expired, and that is a share of what there was. */
function guessCloses(history: History, reading: HistoryReading, fromSeconds: number): Interval {
  const span = reading.atSeconds - fromSeconds
  const expired = history.timeWaitPorts * Math.min(1, span / TIME_WAIT_SECONDS)
  const closes = Math.max(0, reading.timeWaitPorts - history.timeWaitPorts + expired)
  return { fromSeconds, toSeconds: reading.atSeconds, closes, variance: 2 * closes }
}

function extend(last: Point, interval: Interval & { readonly rise: number }): Point {
  return {
    atSeconds: interval.toSeconds,
    openedPorts: last.openedPorts + interval.closes + interval.rise,
    openedVariance: last.openedVariance + interval.variance + 0.1,
    livePorts: last.livePorts + interval.rise,
  }
}

function shiftLive(points: readonly Point[], byPorts: number): Point[] {
  return points.map((point) => ({ ...point, livePorts: point.livePorts + byPorts }))
}

/** From the difference of two successive changes, which a steady drift leaves alone; a single jump counts little. */
function advanceJitter(history: History, drift: number, span: number): number {
  const [before, last] = [history.points.at(-2), history.points.at(-1)]
  if (before === undefined || last === undefined) return history.jitter
  const scale = span / Math.max(0.1, last.atSeconds - before.atSeconds)
  const surprise = (drift - (last.livePorts - before.livePorts) * scale) ** 2 / (1 + scale)
  const bounded = Math.min(surprise, 4 * (Math.min(last.livePorts, last.livePorts + drift) + 1))
  return history.jitter + JITTER_WEIGHT * (bounded - history.jitter)
}

function thinPoints(points: readonly Point[]): readonly Point[] {
  const now = points.at(-1)?.atSeconds ?? 0
  const kept: Point[] = []
  for (let i = points.length - 1; i >= 0; i--) {
    const point = points[i]
    if (point === undefined) continue
    const age = now - point.atSeconds
    const spacing = SPACING.find((one) => age <= one.ageSeconds)?.seconds
    if (spacing === undefined) break
    const next = kept.at(-1)
    // NB: measured from fixed moments, or a point that drifts into a wider spacing would push all others out.
    const slot = Math.floor(point.atSeconds / spacing)
    if (next === undefined || Math.floor(next.atSeconds / spacing) !== slot) kept.push(point)
  }
  return kept.reverse()
}
