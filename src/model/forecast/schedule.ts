// The kernel's own timetable of TIME_WAIT: one reading of a track -> how many connections closed how long ago, and how long
// a TIME_WAIT of this track holds its port.

import type { ForecastTrack } from '../forecast.ts'

export const TIME_WAIT_SECONDS = 60
/** Under tcp_tw_reuse: that share of the held ports is younger than what counts as their lifetime; the rest are FIN_WAIT2. */
const YOUNG_SHARE = 0.95

export interface Schedule {
  /** Entry i: ports whose connection closed between i and i + 1 seconds ago and that are still held. */
  readonly closed: readonly number[]
  readonly lifetimeSeconds: number
}

/** Undefined where the source does not know the timers. */
export function takeSchedule(track: ForecastTrack): Schedule | undefined {
  const closed = Array.from(
    { length: TIME_WAIT_SECONDS },
    (_, age) => track.expiring[TIME_WAIT_SECONDS - 1 - age] ?? 0,
  )
  const known = closed.reduce((sum, ports) => sum + ports, 0)
  if (track.timeWaitPorts > 0 && known < track.timeWaitPorts / 2) return undefined
  if (track.reclaimablePorts === 0) return { closed, lifetimeSeconds: TIME_WAIT_SECONDS }
  let young = 0
  let age = 0
  while (age < TIME_WAIT_SECONDS && young < known * YOUNG_SHARE) young += closed[age++] ?? 0
  return { closed, lifetimeSeconds: Math.max(1, age) }
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
