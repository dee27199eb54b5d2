// The three pools of docs/development/port-model.md#the-model: ports and destinations -> what each will still hand out.
// Forecast and peaks come later.

import type { Destination, Pool } from '../snapshot.ts'
import type { ClosedPorts } from './closed-ports.ts'
import type { BindPorts } from './ports.ts'
import type { RankedMember } from './ranking.ts'

/** A pool as of now, without what needs a history. */
export type PoolNow = Omit<
  Pool,
  'utilizationPeakRatio' | 'riskRatio' | 'etaSeconds' | 'heldPorts' | 'cause'
>

/**
 * A rival must have taken that much more of the capacity before it replaces the destination that is named, or as much
 * as is left: no more than that may be between them when allocations are about to fail, and nothing when they do.
 */
const WORST_MARGIN_RATIO = 0.01

export interface ConnectPoolContext {
  /** Index of the destination that has taken most; -1 where there is none. */
  readonly worst: number
  /** Destinations that have a row: nothing else is named. */
  readonly members: readonly RankedMember[]
  /** The destination named last time, which stays while it is about as bad as the worst. */
  readonly previous: Destination | undefined
}

/** connect() without bind, at the destination that has taken most. */
export function modelConnectPool(
  { ports, columns, uncertainPorts }: Pick<ClosedPorts, 'ports' | 'columns' | 'uncertainPorts'>,
  { worst, members, previous }: ConnectPoolContext,
): PoolNow {
  const capacity = ports.tcp.capacity
  const taken = columns.taken[worst] ?? 0
  const available = capacity - ports.blockedByListener - ports.blockedByBound - taken
  const margin = Math.min(WORST_MARGIN_RATIO * capacity, available)
  const named = members.find(
    ({ index, name }) =>
      index >= 0 &&
      name.source === previous?.source &&
      name.destination === previous.destination &&
      (columns.taken[index] ?? 0) >= taken - margin,
  )
  return {
    pool: 'tcp_connect',
    capacityPorts: capacity,
    availablePorts: available,
    unusedPorts: ports.tcp.unused,
    uncertainPorts: uncertainPorts(worst),
    utilizationRatio: utilization(available, capacity),
    reclaimablePorts:
      columns.reclaimable[worst] ??
      columns.reclaimable.reduce((most, ports) => Math.max(most, ports), 0),
    slow: ports.openFirstHalf - (columns.takenFirstHalf[worst] ?? 0) <= 0,
    worstDestination: (named ?? members.find(({ index }) => index === worst && worst >= 0))?.name,
  }
}

/** bind(0), listen() without bind, and everything of UDP. */
export function modelBindPool(pool: 'tcp_bind' | 'udp', ports: BindPorts): PoolNow {
  return {
    pool,
    capacityPorts: ports.capacity,
    availablePorts: ports.available,
    unusedPorts: ports.unused,
    uncertainPorts: undefined,
    utilizationRatio: utilization(ports.available, ports.capacity),
    reclaimablePorts: undefined,
    slow: undefined,
    worstDestination: undefined,
  }
}

/** A pool without any port is exhausted. */
export function utilization(available: number, capacity: number): number {
  return capacity === 0 ? 1 : (capacity - available) / capacity
}
