// The pools nat_tcp and nat_udp: accounts of one protocol -> the pool as of now, its rows, and what the forecast is
// told.

import type { PortRange, Protocol } from '../../observation.ts'
import type { Destination, NatDestinationRow, NatPoolName, Pool } from '../../snapshot.ts'
import type { FlowTable } from '../flows.ts'
import type { ForecastInput } from '../forecast/forecast.ts'
import type { ForecastTrack } from '../forecast/reading.ts'
import type { NumberTable } from '../owners/ids.ts'
import { type PoolNow, utilization } from '../pools.ts'
import { type Member, type RankedMember, rankDestinations } from '../ranking.ts'
import { nameTrack } from '../tracks.ts'
import { advanceWatch, type Watch } from '../watch.ts'
import { judgeNatCause, type NatCause, renderHeldPorts, shareAmongClients } from './cause.ts'
import type { NameClient } from './clients.ts'
import { judgeDestinations, type NatColumns, ROW_LEAST_PORTS } from './destinations.ts'
import { sizeOf } from './ranges.ts'
import { type FittedRanges, SEARCHED_SHARE } from './rivals.ts'
import { emptyHeadroom, type Search } from './search.ts'

/** What one sample leaves of one protocol for the next. */
export interface NatProtocolState {
  readonly members: readonly Member[]
  readonly worst: Destination | undefined
  readonly watch: Watch
  readonly cause: NatCause | undefined
  readonly fitted: FittedRanges
}

export interface NatPoolReading {
  readonly protocol: Protocol
  readonly flows: FlowTable
  readonly columns: NatColumns
  readonly top: number
  readonly atSeconds: number
  readonly clients: NumberTable
  readonly nameClient: NameClient
}

export interface NatPoolNow {
  readonly state: NatProtocolState
  readonly pool: PoolNow & { readonly pool: NatPoolName }
  readonly holdings: Pick<Pool, 'heldPorts' | 'cause'>
  readonly failureRatio: number
  readonly destinations: readonly NatDestinationRow[]
  readonly hidden: number
  readonly input: Omit<ForecastInput, 'atSeconds'>
}

interface Candidate extends Search {
  readonly member: RankedMember
  readonly range: PortRange
  readonly hardPorts: number
  readonly softPorts: number
  /** Share of the range that may still be taken. */
  readonly headroomRatio: number
}

/** A destination or client needs this share of the range, and so many ports, for a row of its own. */
const ROW_SHARE = 0.01
/** Differences of headroom and of probability below it are none, and do not change which destination is named. */
const WORST_MARGIN_RATIO = 0.01

/** How many ports make a row. */
export function leastRowPorts(widestPorts: number): number {
  return Math.max(ROW_LEAST_PORTS, ROW_SHARE * widestPorts)
}

/** Models the pool of one protocol. Ranges by zone are not told apart: a zone is part of the destination's name. */
export function modelNatPool(
  before: NatProtocolState | undefined,
  reading: NatPoolReading,
): NatPoolNow {
  const { protocol, flows, columns, top, atSeconds } = reading
  const { widestPorts } = columns
  const limits = { top, least: leastRowPorts(widestPorts) }
  const members = rankDestinations(flows, columns, limits, before?.members ?? [])
  const { watch, ...watched } = advanceWatch(before?.watch, {
    flows,
    columns,
    openPorts: widestPorts,
    atSeconds,
  })
  const candidates = judgeCandidates([...members, ...watched.members], reading)
  const all = [...candidates.values()]
  const worst = chooseWorst(all)
  const named = worst && chooseNamed(worst, all, before?.worst)
  const { rows, hidden } = renderRows(protocol, columns, members)
  const tracks = watched.members.flatMap(({ index, name, earlier }): ForecastTrack[] => {
    const candidate = candidates.get(index)
    if (candidate === undefined) return []
    const scale = widestPorts / sizeOf(candidate.range)
    return [
      createTrack(nameTrack(name), {
        availablePorts: Math.floor(candidate.headroomPorts * scale),
        livePorts: columns.taken[index] ?? 0,
        earlier,
      }),
    ]
  })
  const heldBy = (one: Candidate | undefined) => {
    const closingPorts = columns.closing[one?.member.index ?? -1] ?? 0
    return { livePorts: (one?.hardPorts ?? 0) - closingPorts, closingPorts }
  }
  // Of the one that is named, since the page tells it beside its clients.
  const { name, cause } = judgeNatCause(heldBy(named), before?.cause, () =>
    named
      ? shareAmongClients(flows, { index: named.member.index, range: named.range }, reading)
      : [],
  )
  return {
    state: { members, worst: named?.member.name, watch, cause: name, fitted: columns.fitted },
    holdings: { heldPorts: renderHeldPorts(heldBy(worst)), cause },
    pool: createPool(protocol, { worst, named, widestPorts }),
    failureRatio: worst?.failureProbability ?? 0,
    destinations: rows,
    hidden,
    input: {
      capacityPorts: widestPorts,
      blockedPorts: 0,
      range: String(widestPorts),
      reuseDelaySeconds: undefined,
      tracks: [
        ...tracks,
        createTrack('', { availablePorts: emptyHeadroom(widestPorts), livePorts: 0 }),
      ],
      left: watched.left.map(({ name }) => nameTrack(name)),
    },
  }
}

/** No timer of these entries is followed, so that all that is taken counts as live, as it does in the pool udp. */
function createTrack(
  key: string,
  track: Pick<ForecastTrack, 'availablePorts' | 'livePorts' | 'earlier'>,
): ForecastTrack {
  return { key, timeWaitPorts: 0, reclaimablePorts: 0, expiring: [], ...track }
}

/** Judges every destination that may be the worst, once, by its index. */
function judgeCandidates(
  members: readonly RankedMember[],
  { flows, columns }: NatPoolReading,
): ReadonlyMap<number, Candidate> {
  const found = new Map<number, Omit<Candidate, keyof Search | 'headroomRatio'>>()
  for (const member of members) {
    const { index } = member
    const range = index < 0 ? undefined : columns.rangeAt(index)
    if (range === undefined) continue
    const softPorts = columns.soft[index] ?? 0
    const hardPorts = (columns.used[index] ?? 0) - softPorts
    found.set(index, { member, range, hardPorts, softPorts })
  }
  const crowded = [...found].filter(
    ([, { hardPorts, softPorts, range }]) =>
      hardPorts + softPorts >= SEARCHED_SHARE * sizeOf(range),
  )
  const searches = judgeDestinations(
    flows,
    new Map(crowded.map(([index, { range }]) => [index, range])),
  )
  return new Map(
    [...found].map(([index, one]) => {
      const size = sizeOf(one.range)
      const search = searches.get(index) ?? {
        failureProbability: 0,
        headroomPorts: emptyHeadroom(size) - one.hardPorts,
      }
      return [index, { ...one, ...search, headroomRatio: search.headroomPorts / size }]
    }),
  )
}

/** Chooses the destination with the least headroom among those that are about as likely to fail as any. */
function chooseWorst(candidates: readonly Candidate[]): Candidate | undefined {
  const highest = Math.max(...candidates.map(({ failureProbability }) => failureProbability))
  const [worst] = candidates
    .filter(({ failureProbability }) => failureProbability >= highest - WORST_MARGIN_RATIO)
    .toSorted(
      (left, right) =>
        left.headroomRatio - right.headroomRatio ||
        right.failureProbability - left.failureProbability,
    )
  return worst
}

/** The worst, or who was named before while that one is about as bad, but not when the worst is exhausted. */
function chooseNamed(
  worst: Candidate,
  candidates: readonly Candidate[],
  previous: Destination | undefined,
): Candidate {
  if (worst.headroomRatio === 0) return worst
  const named = candidates.find(
    ({ member }) =>
      member.name.source === previous?.source && member.name.destination === previous.destination,
  )
  const isAsBad =
    named !== undefined &&
    named.headroomRatio <= worst.headroomRatio + WORST_MARGIN_RATIO &&
    Math.abs(named.failureProbability - worst.failureProbability) <= WORST_MARGIN_RATIO
  return isAsBad ? named : worst
}

/** The values are those of the worst destination. */
function createPool(
  protocol: Protocol,
  {
    worst,
    named,
    widestPorts,
  }: {
    readonly worst: Candidate | undefined
    readonly named: Candidate | undefined
    readonly widestPorts: number
  },
): NatPoolNow['pool'] {
  const capacityPorts = worst === undefined ? widestPorts : sizeOf(worst.range)
  const { hardPorts = 0, softPorts = 0 } = worst ?? {}
  const availablePorts = capacityPorts - hardPorts
  return {
    pool: `nat_${protocol}`,
    capacityPorts,
    availablePorts,
    unusedPorts: availablePorts - softPorts,
    utilizationRatio: utilization(availablePorts, capacityPorts),
    reclaimablePorts: protocol === 'tcp' ? softPorts : undefined,
    slow: undefined,
    uncertainPorts: undefined,
    worstDestination: named && isNotable(named) ? named.member.name : undefined,
  }
}

/** Whether it has enough ports for a row of its own, or all of them. */
function isNotable({ hardPorts, softPorts, range }: Candidate): boolean {
  const size = sizeOf(range)
  return hardPorts + softPorts >= leastRowPorts(size) || hardPorts === size
}

function renderRows(
  protocol: Protocol,
  { total }: NatColumns,
  members: readonly RankedMember[],
): { readonly rows: readonly NatDestinationRow[]; readonly hidden: number } {
  const rows = members
    .map(({ name, index }) => ({ protocol, ...name, usedPorts: total[index] ?? 0 }))
    .filter(({ usedPorts }) => usedPorts > 0)
  const sum = (ports: Iterable<number>) => [...ports].reduce((all, one) => all + one, 0)
  const rest = sum(total) - sum(rows.map((row) => row.usedPorts))
  const holders = total.reduce((count, ports) => count + (ports > 0 ? 1 : 0), 0)
  const other = { protocol, source: 'other', destination: 'other', usedPorts: rest }
  return { rows: rest > 0 ? [...rows, other] : rows, hidden: holders - rows.length }
}
