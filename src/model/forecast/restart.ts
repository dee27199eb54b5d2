// A restart of the clients: most live connections close at once and as many come back. History and reading -> the level that
// is being restored, so that the storm of openings is not taken for a load that goes on.

import type { History, HistoryReading } from './history.ts'

export interface Restart {
  /** Live ports before. */
  readonly levelPorts: number
  readonly lowestPorts: number
  /** When something last came back. */
  readonly atSeconds: number
  readonly returning: boolean
}

/** Live ports that go within this time went at once. */
const COLLAPSE_SECONDS = 20
const COLLAPSE_SHARE = 0.2
/** Of the pool's capacity; what is less is noise to it. */
const COLLAPSE_LEAST = 0.03
/** Standard deviations of a Poisson count that are no chance. */
const COLLAPSE_DEVIATIONS = 8
/** When nothing came back for so long, it was an end. */
const PATIENCE_SECONDS = 60

export function advanceRestart(history: History, reading: HistoryReading): Restart | undefined {
  const { atSeconds, livePorts } = reading
  const running = history.restart
  if (running === undefined) {
    let level = 0
    for (const point of history.points) {
      if (point.atSeconds >= atSeconds - COLLAPSE_SECONDS) level = Math.max(level, point.livePorts)
    }
    const floor = level * (1 - COLLAPSE_SHARE) - COLLAPSE_DEVIATIONS * Math.sqrt(level)
    if (livePorts >= floor || level - livePorts < reading.capacityPorts * COLLAPSE_LEAST) {
      return undefined
    }
    return { levelPorts: level, lowestPorts: livePorts, atSeconds, returning: false }
  }
  const { levelPorts } = running
  if (livePorts >= levelPorts - 3 * Math.sqrt(levelPorts)) return undefined
  if (atSeconds - running.atSeconds > PATIENCE_SECONDS) return undefined
  const progress = livePorts > history.livePorts + levelPorts / 100
  const lowestPorts = Math.min(running.lowestPorts, livePorts)
  return {
    levelPorts,
    lowestPorts,
    atSeconds: progress ? atSeconds : running.atSeconds,
    returning: running.returning || livePorts > lowestPorts + levelPorts / 20,
  }
}
