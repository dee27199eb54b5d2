// What happened between two samples, which see only their own moment: timetable and span -> closes in steps of a few
// seconds, and when within the span live ports changed.

import { countClosed, type Schedule, TIME_WAIT_SECONDS } from './schedule.ts'

/** A part of the time since the last sample, by its distance from now. */
export interface Interval {
  readonly olderSeconds: number
  readonly youngerSeconds: number
  /** Connections that went into TIME_WAIT in it. */
  readonly closes: number
}

const STEP_SECONDS = 2.5
/** Closes of a second have changed when they differ by so many standard errors. */
const CHANGED_DEVIATIONS = 5

/** Oldest first. What closed before the timetable reaches back is taken to have closed at the rate of what it shows. */
export function listIntervals(
  schedule: Schedule | undefined,
  spanSeconds: number,
): readonly Interval[] {
  if (schedule === undefined) {
    return [{ olderSeconds: spanSeconds, youngerSeconds: 0, closes: 0 }]
  }
  const reach = Math.min(spanSeconds, schedule.lifetimeSeconds)
  const fine = schedule.lifetimeSeconds >= TIME_WAIT_SECONDS
  const steps = fine ? Math.max(1, Math.ceil(reach / STEP_SECONDS - 0.2)) : 1
  const intervals = Array.from({ length: steps }, (_, i) => {
    const olderSeconds = (reach * (steps - i)) / steps
    const youngerSeconds = (reach * (steps - i - 1)) / steps
    const closes = countClosed(schedule.closed, {
      fromSeconds: youngerSeconds,
      toSeconds: olderSeconds,
    })
    return { olderSeconds, youngerSeconds, closes }
  })
  if (spanSeconds <= reach) return intervals
  const scale = (spanSeconds - reach) / reach
  const closes = scale * intervals.reduce((sum, interval) => sum + interval.closes, 0)
  return [{ olderSeconds: spanSeconds, youngerSeconds: reach, closes }, ...intervals]
}

/**
 * Guesses closes without timers: TIME_WAIT changed by what came less what expired, and that is a share of what there
 * was.
 */
export function guessCloses(before: number, now: number, spanSeconds: number): number {
  return Math.max(0, now - before + before * Math.min(1, spanSeconds / TIME_WAIT_SECONDS))
}

/**
 * Share of a change in live ports that had happened by so many seconds ago. Where closes changed the same way, live
 * ports moved with them (both follow the rate of opening); otherwise the change is spread evenly.
 */
export function placeRise(
  schedule: Schedule | undefined,
  spanSeconds: number,
  rise: number,
): (agoSeconds: number) => number {
  const evenly = (ago: number) => 1 - ago / spanSeconds
  if (schedule === undefined || spanSeconds > schedule.lifetimeSeconds + STEP_SECONDS) return evenly
  // Of the oldest second a part has gone.
  const oldest = Math.min(spanSeconds, schedule.lifetimeSeconds - 2)
  const speed = (ago: number) => {
    const fromSeconds = Math.max(0, ago - 0.5)
    return countClosed(schedule.closed, { fromSeconds, toSeconds: fromSeconds + 1 })
  }
  const [start, end] = [speed(oldest), speed(0)]
  const change = end - start
  const chance = CHANGED_DEVIATIONS * Math.sqrt(start + end + 1)
  if (Math.abs(change) < chance || change * rise < 0) return evenly
  return (ago) => {
    if (ago <= 0) return 1
    return ago >= oldest ? 0 : Math.min(1, Math.max(0, (speed(ago) - start) / change))
  }
}
