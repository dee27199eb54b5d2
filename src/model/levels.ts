// What the bigger destinations held lately, whether or not anybody follows them: accounts and the last levels -> the
// next ones. Bounded columns, so that it costs little where destinations are many.

import type { DestinationColumns } from './destinations.ts'
import { type FlowTable, KEY_WORDS } from './flows.ts'
import type { Earlier } from './forecast/reading.ts'
import { createComparison, takeBest } from './ranking.ts'

/** Row i of every column is one destination. */
export interface Levels {
  readonly atSeconds: number
  readonly keys: Uint32Array
  /** Ports that live connections take. */
  readonly live: Float64Array
  /** Ports taken, averaged over the last minutes. */
  readonly mean: Float64Array
  /** When it got its row. */
  readonly sinceSeconds: Float64Array
  /** When there were rows first. */
  readonly startedSeconds: number
  /** A destination without a row took less than `leastPorts`; where it is false, some with more had no place either. */
  readonly complete: boolean
  readonly leastPorts: number
}

/** Less than this share of the ports is not worth remembering... */
const LEAST_SHARE = 0.01
/** ...and no more rows are. */
const MOST_ROWS = 512
const MEAN_SECONDS = 120

export interface LevelsNow {
  readonly levels: Levels
  /** Destinations with a row, in its order. */
  readonly indexes: readonly number[]
  /** What was known of a destination at the last sample. */
  readonly earlier: (index: number) => Earlier | undefined
}

export function advanceLevels(
  before: Levels | undefined,
  { flows, columns, ...now }: LevelsReading,
): LevelsNow {
  const { atSeconds } = now
  const leastPorts = Math.max(1, LEAST_SHARE * now.openPorts)
  const rows = findRows(before, flows)
  const indexes = takeBest(
    columns.taken,
    MOST_ROWS,
    createComparison(flows, [columns.taken]),
    leastPorts,
  )
  const kept = Math.exp(-Math.max(0, atSeconds - (before?.atSeconds ?? 0)) / MEAN_SECONDS)
  const mean = Float64Array.from(indexes, (index) => {
    const taken = columns.taken[index] ?? 0
    const unseen = before?.complete ? Math.min(taken, before.leastPorts) : taken
    const row = rows.get(index)
    const earlier = row === undefined ? unseen : (before?.mean[row] ?? taken)
    return taken + (earlier - taken) * kept
  })
  const keys = new Uint32Array(indexes.length * KEY_WORDS)
  indexes.forEach((index, row) => {
    keys.set(flows.keys().subarray(index * KEY_WORDS, (index + 1) * KEY_WORDS), row * KEY_WORDS)
  })
  const live = Float64Array.from(indexes, (index) => columns.takenLive[index] ?? 0)
  const sinceSeconds = Float64Array.from(indexes, (index) => {
    const row = rows.get(index)
    return (row === undefined ? undefined : before?.sinceSeconds[row]) ?? atSeconds
  })
  const startedSeconds = before?.startedSeconds ?? atSeconds
  const complete = indexes.length < MOST_ROWS
  return {
    levels: { atSeconds, keys, live, mean, sinceSeconds, startedSeconds, complete, leastPorts },
    indexes,
    earlier: (index) => {
      const row = rows.get(index)
      if (before === undefined || (row === undefined && !before.complete)) return undefined
      return row === undefined
        ? { livePorts: 0, meanPorts: 0, sinceSeconds: before.startedSeconds }
        : {
            livePorts: before.live[row] ?? 0,
            meanPorts: before.mean[row] ?? 0,
            sinceSeconds: before.sinceSeconds[row] ?? atSeconds,
          }
    },
  }
}

export interface LevelsReading {
  readonly flows: FlowTable
  readonly columns: Pick<DestinationColumns, 'taken' | 'takenLive' | 'used' | 'burden'>
  /** Ports that a destination without connections could take. */
  readonly openPorts: number
  readonly atSeconds: number
}

function findRows(levels: Levels | undefined, flows: FlowTable): ReadonlyMap<number, number> {
  const rows = new Map<number, number>()
  const { keys = new Uint32Array(0) } = levels ?? {}
  for (let row = 0; row * KEY_WORDS < keys.length; row++) {
    const index = flows.findDestination(keys.subarray(row * KEY_WORDS, (row + 1) * KEY_WORDS))
    if (index >= 0) rows.set(index, row)
  }
  return rows
}
