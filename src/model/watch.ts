// Which destinations the forecast follows, whatever has a row: accounts and the last watch -> the next one. The biggest
// are followed and, should one of the others be about to overtake them, those that grow the fastest.

import type { Earlier } from './forecast/reading.ts'
import { advanceLevels, type Levels, type LevelsNow, type LevelsReading } from './levels.ts'
import {
  enterDestination,
  findMembers,
  type Member,
  type RankedMember,
  rankDestinations,
} from './ranking.ts'
import { keepMembers } from './sticky.ts'

export interface Watch {
  readonly biggest: readonly Member[]
  readonly growing: readonly Member[]
  readonly levels: Levels
}

export interface WatchedMember extends RankedMember {
  readonly earlier: Earlier | undefined
}

/** They stay while they are among the biggest twice as many. */
const BIGGEST = 20
const GROWING = 10
/** Standard deviations of a Poisson count that are no chance. */
const GROWN_DEVIATIONS = 3

/** Members without an index have gone. `left` are those of the last watch that go on unfollowed. */
export function advanceWatch(
  before: Watch | undefined,
  reading: LevelsReading,
): {
  readonly watch: Watch
  readonly members: readonly WatchedMember[]
  readonly left: readonly Member[]
} {
  const { flows, columns } = reading
  const biggest = rankDestinations(
    flows,
    columns,
    { top: BIGGEST, least: 1 },
    before?.biggest ?? [],
  )
  const now = advanceLevels(before?.levels, reading)
  const followed = new Set(biggest.map(({ index }) => index))
  const growing = rankGrowing(before?.growing ?? [], reading, now).filter(
    ({ index }) => !followed.has(index),
  )
  for (const { index } of growing) followed.add(index)
  const last = [...(before?.biggest ?? []), ...(before?.growing ?? [])]
  return {
    watch: { biggest, growing, levels: now.levels },
    members: [...biggest, ...growing].map((member) => ({
      ...member,
      earlier: now.earlier(member.index),
    })),
    left: last.filter(({ key }) => {
      const index = flows.findDestination(key)
      return index >= 0 && !followed.has(index)
    }),
  }
}

/** Ranks members by how soon they would be full if they went on like that, soonest first. */
function rankGrowing(
  members: readonly Member[],
  { flows, columns, openPorts }: LevelsReading,
  { indexes, levels }: LevelsNow,
): readonly RankedMember[] {
  const speeds = new Map<number, number>()
  indexes.forEach((index, row) => {
    const taken = columns.taken[index] ?? 0
    const grown = taken - (levels.mean[row] ?? taken)
    if (grown > GROWN_DEVIATIONS * Math.sqrt(taken)) {
      speeds.set(index, grown / Math.max(1, openPorts - taken))
    }
  })
  const there = findMembers(flows, members).filter(({ index }) => index >= 0)
  const kept = keepMembers(there, ({ index }) => speeds.has(index))
  const known = new Map(kept.map((member) => [member.index, member]))
  const speedOf = (index: number) => speeds.get(index) ?? 0
  return [...new Set([...speeds.keys(), ...known.keys()])]
    .sort((left, right) => speedOf(right) - speedOf(left))
    .slice(0, GROWING)
    .map((index) => known.get(index) ?? enterDestination(flows, index))
}
