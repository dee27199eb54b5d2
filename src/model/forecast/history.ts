// What is remembered of one track: reading after reading -> a bounded list of points, dense for the last seconds and thin
// for the last hour, from which every rate is taken. Openings are what nothing reports: change in live ports plus closes.

import { guessInterval, type Interval, listIntervals, placeRise } from './intervals.ts'
import type { History, HistoryReading, Point } from './points.ts'
import { advanceRestart } from './restart.ts'
import { TIME_WAIT_SECONDS } from './schedule.ts'

/** Nothing is known more exactly than that. */
const LEAST_VARIANCE = 0.1
/** Spacing of points by age. */
const SPACING = [
  { ageSeconds: 20, seconds: 0.9 },
  { ageSeconds: 120, seconds: 4.5 },
  { ageSeconds: 300, seconds: 14 },
  { ageSeconds: 900, seconds: 45 },
  { ageSeconds: 3600, seconds: 220 },
] as const
/** The mean is one of twenty intervals, and of a hundred seconds where these are more. */
const JITTER_INTERVALS = 20
const JITTER_SECONDS = 100

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
  // The timetable is complete: what it does not show did not close.
  const span = Math.min(reach, atSeconds - start.atSeconds)
  if (span < atSeconds - start.atSeconds) points.push({ ...start, atSeconds: atSeconds - span })
  const quiet = Math.max(start.atSeconds, Math.min(atSeconds, seen?.toSeconds ?? atSeconds))
  const risen = (ago: number) =>
    quiet < atSeconds ? Math.max(0, 1 - ago / (atSeconds - quiet)) : 0
  for (const interval of span > 0 ? listIntervals(schedule, span) : []) {
    const rise =
      (livePorts - before) * (risen(interval.youngerSeconds) - risen(interval.olderSeconds))
    const at = atSeconds - interval.youngerSeconds
    points.push(extend(points.at(-1) ?? start, { ...interval, atSeconds: at, rise }))
  }
  return {
    points,
    livePorts,
    timeWaitPorts,
    seenFromSeconds: seen?.fromSeconds ?? atSeconds,
    // The first change that is seen may be chance altogether.
    jitter: seen === undefined ? 0 : boundJitter((livePorts - before) ** 2, before, livePorts),
    jitterLooks: seen === undefined ? 0 : 1,
    restart: undefined,
  }
}

export function advanceHistory(history: History, reading: HistoryReading): History {
  const last = history.points.at(-1)
  if (last === undefined) return startHistory(reading)
  const { atSeconds } = reading
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

  const span = atSeconds - last.atSeconds
  const intervals =
    reading.schedule === undefined
      ? [listUntimed(history, reading, span)]
      : listIntervals(reading.schedule, span)
  const drift = level - from.livePorts
  const jitter = advanceJitter(history, drift, span)
  const closed = intervals.reduce((sum, interval) => sum + interval.closes, 0)
  const unexplained = Math.max(0, jitter - 2 * closed)
  const kept = 1 - Math.min(1, lost / Math.max(1, closed))
  const risen = placeRise(reading.schedule, span, drift)
  for (const interval of intervals) {
    const share = (interval.olderSeconds - interval.youngerSeconds) / span
    points.push(
      extend(points.at(-1) ?? from, {
        atSeconds: atSeconds - interval.youngerSeconds,
        closes: interval.closes * kept,
        variance: interval.variance + share * unexplained,
        rise: drift * (risen(interval.youngerSeconds) - risen(interval.olderSeconds)),
      }),
    )
  }
  return {
    points: thinPoints(points),
    livePorts: reading.livePorts,
    timeWaitPorts: reading.timeWaitPorts,
    seenFromSeconds: history.seenFromSeconds,
    jitter,
    jitterLooks: history.jitterLooks + 1,
    restart,
  }
}

/** Another range: live ports that are outside of it go by and by, and what follows them comes into it. */
export function moveHistory(history: History, reading: HistoryReading): History {
  const levelPorts = history.points.at(-1)?.livePorts ?? 0
  const { atSeconds, livePorts } = reading
  if (livePorts >= levelPorts - 3 * Math.sqrt(levelPorts)) return bridgeHistory(history, reading)
  const restart = { levelPorts, lowestPorts: livePorts, atSeconds, returning: false }
  return { ...bridgeHistory(history, { ...reading, livePorts: levelPorts }), livePorts, restart }
}

/**
 * Over an interval that says nothing about load: sockets went out of the range or came into it, or all closed at once. What
 * was opened in it is taken to be what the last minute would have opened.
 */
function bridgeHistory(history: History, reading: HistoryReading): History {
  const last = history.points.at(-1)
  if (last === undefined) return startHistory(reading)
  const minute = history.points.find(
    (point) => point.atSeconds >= last.atSeconds - TIME_WAIT_SECONDS,
  )
  const span = reading.atSeconds - last.atSeconds
  const past = Math.max(1, last.atSeconds - (minute ?? last).atSeconds)
  const opened = (Math.max(0, last.openedPorts - (minute ?? last).openedPorts) * span) / past
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

function listUntimed(
  history: History,
  { timeWaitPorts, leftPorts }: HistoryReading,
  span: number,
): Interval {
  if (leftPorts === undefined) return guessInterval(history.timeWaitPorts, timeWaitPorts, span)
  // Less than none closed where a port in TIME_WAIT was opened again: it is live and not new.
  const closes = timeWaitPorts - history.timeWaitPorts + leftPorts
  return { olderSeconds: span, youngerSeconds: 0, closes, variance: Math.abs(closes) }
}

function extend(
  last: Point,
  next: { atSeconds: number; closes: number; variance: number; rise: number },
): Point {
  return {
    atSeconds: next.atSeconds,
    openedPorts: last.openedPorts + next.closes + next.rise,
    openedVariance: last.openedVariance + next.variance + LEAST_VARIANCE,
    livePorts: last.livePorts + next.rise,
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
  const bounded = boundJitter(surprise, last.livePorts, last.livePorts + drift)
  const most = Math.max(JITTER_INTERVALS, JITTER_SECONDS / span)
  const weight = Math.max(1 / most, 1 / (1 + history.jitterLooks))
  return history.jitter + weight * (bounded - history.jitter)
}

function boundJitter(square: number, livePorts: number, otherPorts: number): number {
  return Math.min(square, 4 * (Math.min(livePorts, otherPorts) + 1))
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
