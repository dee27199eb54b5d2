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

/** A rival must have taken that much more of the capacity before it replaces the destination that is named. */
const WORST_MARGIN_RATIO = 0.01

/**
 * connect() without bind, at the destination that has taken most. `members` are ordered worst first; `previous` is the
 * destination named last time, which stays while it is about as bad as the worst.
 */
export function modelConnectPool(
  { ports, columns, uncertainPorts }: Pick<ClosedPorts, 'ports' | 'columns' | 'uncertainPorts'>,
  members: readonly RankedMember[],
  previous: Destination | undefined,
): PoolNow {
  const capacity = ports.tcp.capacity
  const blocked = ports.blockedByListener + ports.blockedByBound
  const worst = members.find(({ index }) => index >= 0)
  const takenBy = (member: RankedMember) => columns.taken[member.index] ?? 0
  const taken = worst ? takenBy(worst) : 0
  const named = members.find(
    (member) =>
      member.index >= 0 &&
      member.name.source === previous?.source &&
      member.name.destination === previous.destination &&
      takenBy(member) >= taken - WORST_MARGIN_RATIO * capacity,
  )
  const available = capacity - blocked - taken
  const firstHalfTaken = worst ? (columns.takenFirstHalf[worst.index] ?? 0) : 0
  return {
    pool: 'tcp_connect',
    capacityPorts: capacity,
    availablePorts: available,
    unusedPorts: ports.tcp.unused,
    uncertainPorts: uncertainPorts(worst?.index ?? -1),
    utilizationRatio: utilization(available, capacity),
    reclaimablePorts: worst
      ? (columns.reclaimable[worst.index] ?? 0)
      : columns.reclaimable.reduce((most, ports) => Math.max(most, ports), 0),
    slow: ports.openFirstHalf - firstHalfTaken <= 0,
    worstDestination: (named ?? worst)?.name,
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
