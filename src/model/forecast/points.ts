// What is remembered of one track, as values: the points of its past, and what one reading adds.

import type { Schedule } from './schedule.ts'

export interface Point {
  readonly atSeconds: number
  /** Connections that have gone into TIME_WAIT since the track is known. */
  readonly closedPorts: number
  /** Ports that connections hold which have not closed, and blocked ones. */
  readonly livePorts: number
}

export interface History {
  /** Oldest first, never empty. */
  readonly points: readonly Point[]
  /** Ports in TIME_WAIT at the last reading. */
  readonly timeWaitPorts: number
  /** Live ports before this moment are assumed, not seen. */
  readonly seenFromSeconds: number
}

export interface HistoryReading {
  readonly atSeconds: number
  /** Live and blocked ports. */
  readonly livePorts: number
  readonly timeWaitPorts: number
  readonly schedule: Schedule | undefined
}

/** What the track held before anybody followed it. */
export interface Before {
  readonly fromSeconds: number
  readonly livePorts: number
  /** Ports taken, averaged over the last minutes. */
  readonly meanPorts: number
}
