// What is remembered of one track, as values: the points of its past, and what one reading adds.

import type { Schedule } from './schedule.ts'

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
  /** Intervals that went into it. */
  readonly jitterLooks: number
  readonly restart: Restart | undefined
}

export interface HistoryReading {
  readonly atSeconds: number
  /** Live and blocked ports. */
  readonly livePorts: number
  readonly timeWaitPorts: number
  readonly schedule: Schedule | undefined
  /** Ports that came free since the last sample, where they were counted. */
  readonly leftPorts: number | undefined
  readonly capacityPorts: number
}

export interface Restart {
  /** Live ports before. */
  readonly levelPorts: number
  readonly lowestPorts: number
  /** When something last came back. */
  readonly atSeconds: number
  readonly returning: boolean
}
