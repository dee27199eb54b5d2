// The kernel's own timetable of TIME_WAIT: one reading of a track -> how many connections closed how long ago, and how
// long a TIME_WAIT of this track holds its port.

import type { ForecastTrack } from './reading.ts'

/** TCP_TIMEWAIT_LEN, include/net/tcp.h. */
export const TIME_WAIT_SECONDS = 60
/** The seconds before the last one, which show how many ports a second of this timetable should hold. */
const REFERENCE_SECONDS = 5
const LATE_LEAST_PORTS = 5
const LATE_MOST_SECONDS = 8
const LATE_WEIGHT = 0.1

export interface Schedule {
  /** Entry i: ports whose connection closed between i and i + 1 seconds ago and that are still held. */
  readonly closed: readonly number[]
  readonly lifetimeSeconds: number
}

/** Undefined where no timer is known, or none tells. `lateSeconds`: see advanceLateness(). */
export function takeSchedule(
  track: ForecastTrack,
  {
    lateSeconds,
    reuseDelaySeconds = TIME_WAIT_SECONDS,
  }: { readonly lateSeconds: number; readonly reuseDelaySeconds?: number | undefined },
): Schedule | undefined {
  const closed = listAges(track)
  const known = closed.reduce((sum, ports) => sum + ports, 0)
  if (track.timeWaitPorts > 0 && known < track.timeWaitPorts / 2) return undefined
  // Where nothing was ever recycled the setting alone does not help: it may be for loopback only.
  if (track.reclaimablePorts > 0 && reuseDelaySeconds < TIME_WAIT_SECONDS) {
    const lifetimeSeconds = Math.max(1, Math.ceil(reuseDelaySeconds))
    return { closed: closed.slice(0, lifetimeSeconds), lifetimeSeconds }
  }
  let overdue = ((closed[TIME_WAIT_SECONDS - 1] ?? 0) * lateSeconds) / (1 + lateSeconds)
  closed[TIME_WAIT_SECONDS - 1] = (closed[TIME_WAIT_SECONDS - 1] ?? 0) - overdue
  for (let left = lateSeconds; left > 0; left--) {
    const share = overdue * Math.min(1, 1 / left)
    closed.push(share)
    overdue -= share
  }
  return { closed, lifetimeSeconds: TIME_WAIT_SECONDS + lateSeconds }
}

/**
 * How long after its 60 s a TIME_WAIT really goes. The timer wheel rounds up by its granularity at that distance
 * (measured on Linux 6.18 with HZ=250: 60.1 to 62.0 s, evenly), and meanwhile the kernel reports 0 s left: the last
 * entry of the timetable then holds more ports than its neighbours.
 */
export function advanceLateness(lateSeconds: number, track: ForecastTrack): number {
  if (track.reclaimablePorts > 0) return lateSeconds
  let reference = 0
  for (let i = 1; i <= REFERENCE_SECONDS; i++)
    reference += (track.expiring[i] ?? 0) / REFERENCE_SECONDS
  if (reference < LATE_LEAST_PORTS) return lateSeconds
  const seen = Math.min(LATE_MOST_SECONDS, (track.expiring[0] ?? 0) / reference - 1)
  return Math.max(0, lateSeconds + LATE_WEIGHT * (seen - lateSeconds))
}

/** Closes between two ages in seconds, whole seconds split evenly. */
export function countClosed(
  closed: readonly number[],
  { fromSeconds, toSeconds }: { fromSeconds: number; toSeconds: number },
): number {
  let ports = 0
  for (let age = Math.floor(fromSeconds); age < toSeconds && age < closed.length; age++) {
    const share = Math.min(toSeconds, age + 1) - Math.max(fromSeconds, age)
    ports += share * (closed[age] ?? 0)
  }
  return ports
}

function listAges(track: ForecastTrack): number[] {
  const closed: number[] = []
  for (let i = TIME_WAIT_SECONDS - 1; i >= 0; i--) closed.push(track.expiring[i] ?? 0)
  return closed
}

/** Ports of the timetable that are still held in so many seconds. */
export function countRemaining({ closed, lifetimeSeconds }: Schedule, seconds: number): number {
  return countClosed(closed, { fromSeconds: 0, toSeconds: lifetimeSeconds - seconds })
}
