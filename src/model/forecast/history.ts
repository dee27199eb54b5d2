// What is remembered of one track: reading after reading -> a bounded list of points, dense for the last minutes and
// thin for the last hour, from which every rate is taken.

import { guessCloses, type Interval, listIntervals, placeRise } from './intervals.ts'
import type { Before, History, HistoryReading, Point } from './points.ts'
import { TIME_WAIT_SECONDS } from './schedule.ts'

const REMEMBERED_SECONDS = 3600
/** Spacing of points by age. */
const SPACING = [
  { ageSeconds: 90, seconds: 4.5 },
  { ageSeconds: 300, seconds: 14 },
  { ageSeconds: 900, seconds: 45 },
  { ageSeconds: REMEMBERED_SECONDS, seconds: 180 },
] as const
const BEFORE_STEP_SECONDS = 60

/** Begins a history; `before` is what is known of the time when nobody followed the track. */
export function startHistory(reading: HistoryReading, before?: Before): History {
  const { atSeconds, livePorts, timeWaitPorts, schedule } = reading
  const reach = schedule?.lifetimeSeconds ?? 0
  const live = before?.livePorts ?? livePorts
  const from = Math.min(atSeconds - reach, before?.fromSeconds ?? atSeconds)
  const points: Point[] = [{ atSeconds: from, closedPorts: 0, livePorts: live }]
  const quiet = atSeconds - reach - from
  if (before !== undefined && quiet > 0) {
    // Steady churn: what the connections of a TIME_WAIT's life leave behind, again and again.
    const rate = Math.max(0, before.meanPorts - live) / Math.max(1, reach || TIME_WAIT_SECONDS)
    for (let age = Math.min(quiet, REMEMBERED_SECONDS); age > 0; age -= BEFORE_STEP_SECONDS) {
      const since = quiet - age
      points.push({ atSeconds: from + since, closedPorts: rate * since, livePorts: live })
    }
    points.push({ atSeconds: from + quiet, closedPorts: rate * quiet, livePorts: live })
  }
  const intervals = reach > 0 ? listIntervals(schedule, reach) : []
  addIntervals(points, intervals, { atSeconds, rise: 0, risen: () => 1 })
  points.push({ atSeconds, closedPorts: points.at(-1)?.closedPorts ?? 0, livePorts })
  return {
    points: thinPoints(points),
    timeWaitPorts,
    seenFromSeconds: before?.fromSeconds ?? atSeconds,
  }
}

export function advanceHistory(history: History, reading: HistoryReading): History {
  const last = history.points.at(-1)
  if (last === undefined) return startHistory(reading)
  const { atSeconds, schedule, timeWaitPorts } = reading
  const span = atSeconds - last.atSeconds
  const points = [...history.points]
  const intervals =
    schedule === undefined
      ? [
          {
            olderSeconds: span,
            youngerSeconds: 0,
            closes: guessCloses(history.timeWaitPorts, timeWaitPorts, span),
          },
        ]
      : listIntervals(schedule, span)
  const rise = reading.livePorts - last.livePorts
  addIntervals(points, intervals, { atSeconds, rise, risen: placeRise(schedule, span, rise) })
  return { points: thinPoints(points), timeWaitPorts, seenFromSeconds: history.seenFromSeconds }
}

function addIntervals(
  points: Point[],
  intervals: readonly Interval[],
  parts: {
    readonly atSeconds: number
    readonly rise: number
    readonly risen: (agoSeconds: number) => number
  },
): void {
  const base = points.at(-1)
  let closedPorts = base?.closedPorts ?? 0
  for (const { youngerSeconds, closes } of intervals) {
    closedPorts += closes
    points.push({
      atSeconds: parts.atSeconds - youngerSeconds,
      closedPorts,
      livePorts: (base?.livePorts ?? 0) + parts.rise * parts.risen(youngerSeconds),
    })
  }
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
