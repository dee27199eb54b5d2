// What the census and the accounts say, in the words of the Snapshot contract.

import { type NamespaceReading, type NetSettings, socketStates } from '../observation.ts'
import type {
  Destinations,
  ListenerRow,
  NamespaceState,
  ProtocolUse,
  Settings,
} from '../snapshot.ts'
import type { Census } from './census.ts'
import type { DestinationColumns } from './destinations.ts'
import { utilization } from './pools.ts'
import type { Ports } from './ports.ts'
import type { RankedMember } from './ranking.ts'

const RELEASE_WITHIN_SECONDS = [1, 5, 15, 30, 60]

export function renderSettings(settings: NetSettings, ports: Ports): Settings {
  return {
    firstPort: settings.range.first,
    lastPort: settings.range.last,
    reservedPorts: ports.reserved,
    reservedRanges: settings.reserved,
    usablePorts: ports.udp.capacity,
    tcpTwReuse: settings.tcpTwReuse,
    tcpTimestamps: settings.tcpTimestamps,
    tcpTwReuseDelaySeconds: settings.tcpTwReuseDelayKnown
      ? settings.tcpTwReuseDelayMs / 1000
      : undefined,
    tcpMaxTwBuckets: settings.tcpMaxTwBuckets,
  }
}

/** One entry for each protocol that was read. */
export function renderProtocols(
  reading: NamespaceReading,
  census: Census,
  ports: Ports,
  inboundFlows: number,
): readonly ProtocolUse[] {
  const listeners = listeningPorts(census, ports)
  const count = (protocol: string) => listeners.filter((row) => row.protocol === protocol).length
  return reading.protocols.map(
    (protocol): ProtocolUse =>
      protocol === 'tcp'
        ? {
            protocol,
            usedPorts: ports.tcpUsed,
            sockets: Object.fromEntries(
              socketStates
                .map((state, code): [string, number] => [state, census.tcpStates[code] ?? 0])
                .filter(([state]) => state !== 'unknown')
                .filter(([state]) => state !== 'bound' || reading.tcpBoundKnown),
            ),
            inboundSockets: inboundFlows,
            listeners: count('tcp'),
          }
        : {
            protocol,
            usedPorts: ports.udpUsed,
            sockets: udpStates(census.udpStates),
            inboundSockets: 0,
            // A UDP listener is known by having chosen its port.
            listeners: reading.udpListenersKnown ? count('udp') : undefined,
          },
  )
}

function udpStates(states: Uint32Array): Record<string, number> {
  const connected = states[socketStates.indexOf('established')] ?? 0
  return { bound: states.reduce((sum, count) => sum + count, 0) - connected, connected }
}

/** The rows of the top destinations; what they leave out is summed in `other`, and `hidden` of those that hold ports. */
export function renderDestinations(
  ports: Ports,
  columns: DestinationColumns,
  members: readonly RankedMember[],
): { readonly destinations: Destinations; readonly hidden: number } {
  const blocked = ports.blockedByListener + ports.blockedByBound
  const rows = members.map(({ name, index }) => ({
    ...name,
    usedPorts: columns.used[index] ?? 0,
    timeWaitPorts: columns.timeWait[index] ?? 0,
    utilizationRatio: utilization(
      ports.tcp.capacity - blocked - (columns.taken[index] ?? 0),
      ports.tcp.capacity,
    ),
  }))
  const rest = (column: Uint32Array, inRows: number) =>
    column.reduce((sum, value) => sum + value, 0) - inRows
  const other = {
    usedPorts: rest(
      columns.used,
      rows.reduce((sum, row) => sum + row.usedPorts, 0),
    ),
    timeWaitPorts: rest(
      columns.timeWait,
      rows.reduce((sum, row) => sum + row.timeWaitPorts, 0),
    ),
  }
  const holding = columns.used.reduce((count, used) => count + (used > 0 ? 1 : 0), 0)
  return {
    destinations: {
      count: columns.count,
      rows,
      other: other.usedPorts > 0 ? other : undefined,
    },
    hidden: holding - rows.filter((row) => row.usedPorts > 0).length,
  }
}

/** The first `top` listening ports in the range, and how many more there are. */
export function renderListeners(
  census: Census,
  ports: Ports,
  top: number,
): { readonly rows: readonly ListenerRow[]; readonly hidden: number } {
  const all = listeningPorts(census, ports)
  return { rows: all.slice(0, top), hidden: Math.max(0, all.length - top) }
}

/** Distinct listening ports that are not reserved, in order. Their owners are not known yet. */
function listeningPorts(census: Census, ports: Ports): readonly ListenerRow[] {
  const distinct = new Map<string, ListenerRow>()
  for (const { protocol, port } of census.listeners) {
    if (ports.usable[port] === 0) continue
    distinct.set(`${protocol} ${port}`, { protocol, port, owner: 'unknown' })
  }
  return [...distinct.values()].sort(
    (left, right) => left.protocol.localeCompare(right.protocol) || left.port - right.port,
  )
}

/** Cumulative: TIME_WAIT ports that come free within that many seconds. */
export function renderRelease(releasing: Uint32Array): NamespaceState['timeWaitRelease'] {
  return RELEASE_WITHIN_SECONDS.map((withinSeconds) => ({
    withinSeconds,
    ports: releasing.subarray(0, withinSeconds).reduce((sum, count) => sum + count, 0),
  }))
}
