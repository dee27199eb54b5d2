// What the forecast is told: census, ports and destinations -> one ForecastTrack for each thing that can run out.

import type { Destination } from '../snapshot.ts'
import { type Census, EXPIRY_SECONDS } from './census.ts'
import type { DestinationColumns } from './destinations.ts'
import { HOLD } from './flows.ts'
import type { ForecastTrack } from './forecast/reading.ts'
import { type BindPorts, BLOCKING, type Ports } from './ports.ts'
import type { WatchedMember } from './watch.ts'

/** Names the track of every destination that has no connection yet: blocked ports are gone for it too. */
const ANY_DESTINATION = ''

/** One track for each destination that is followed and has connections, and one for all others together. */
export function trackDestinations(
  census: Census,
  ports: Ports,
  columns: DestinationColumns,
  members: readonly WatchedMember[],
): readonly ForecastTrack[] {
  const tracked = members.filter(({ index }) => index >= 0)
  const expiring = scheduleExpiry(census, ports, tracked)
  const open = ports.tcp.capacity - ports.blockedByListener - ports.blockedByBound
  const others: ForecastTrack = {
    key: ANY_DESTINATION,
    availablePorts: open,
    livePorts: 0,
    timeWaitPorts: 0,
    reclaimablePorts: 0,
    expiring: new Array<number>(EXPIRY_SECONDS).fill(0),
  }
  const rows = tracked.map(({ index, name, earlier }, position): ForecastTrack => {
    const taken = columns.taken[index] ?? 0
    const live = columns.takenLive[index] ?? 0
    return {
      key: nameTrack(name),
      availablePorts: open - taken,
      livePorts: live,
      timeWaitPorts: taken - live,
      reclaimablePorts: columns.reclaimable[index] ?? 0,
      expiring: expiring[position] ?? [],
      earlier,
    }
  })
  return [...rows, others]
}

/** The key of a destination's track. */
export function nameTrack({ source, destination }: Destination): string {
  return `${source} ${destination}`
}

/**
 * The track of a pool that knows no destination. Ports in TIME_WAIT count as live: where connections to several
 * destinations share a port, its timers tell nothing, since the next connection renews it.
 */
export function trackPorts(ports: BindPorts): ForecastTrack {
  return {
    key: '',
    availablePorts: ports.available,
    livePorts: ports.live + ports.timeWait,
    timeWaitPorts: 0,
    reclaimablePorts: 0,
    expiring: [],
  }
}

function scheduleExpiry(
  census: Census,
  ports: Ports,
  tracked: readonly WatchedMember[],
): readonly (readonly number[])[] {
  const { destination, port, hold, expirySeconds } = census.flows.columns()
  const positions = new Int32Array(census.flows.destinationCount()).fill(-1)
  tracked.forEach(({ index }, position) => {
    positions[index] = position
  })
  const schedules = tracked.map(() => new Array<number>(EXPIRY_SECONDS).fill(0))
  const flowCount = census.flows.flowCount()
  for (let flow = 0; flow < flowCount; flow++) {
    // First what stands in the row itself: it spares most rows the look-ups.
    if (hold[flow] !== HOLD.timeWait) continue
    const schedule = schedules[positions[destination[flow] ?? 0] ?? -1]
    if (schedule === undefined) continue
    const local = port[flow] ?? 0
    if (ports.usable[local] === 0 || local === ports.neverVisited) continue
    if (((census.portUse[local] ?? 0) & BLOCKING) !== 0) continue
    const second = expirySeconds[flow] ?? 0
    schedule[second] = (schedule[second] ?? 0) + 1
  }
  return schedules
}
