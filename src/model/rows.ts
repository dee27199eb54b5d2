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
import { sumOf } from './columns.ts'
import type { DestinationColumns } from './destinations.ts'
import type { Listener } from './listeners.ts'
import { outclaims, UNKNOWN_ID } from './owners/ids.ts'
import { nameListener } from './owners/owners.ts'
import type { NameOwner } from './owners/rows.ts'
import { utilization } from './pools.ts'
import type { Ports } from './ports.ts'
import type { RankedMember } from './ranking.ts'

const RELEASE_WITHIN_SECONDS = [1, 5, 15, 30, 60]

/** Bounds the list. A user who may set it can make 32,767 ranges, and a Snapshot has it for each namespace. */
const MOST_RESERVED_RANGES = 100

export function renderSettings(settings: NetSettings, ports: Ports): Settings {
  return {
    firstPort: settings.range.first,
    lastPort: settings.range.last,
    reservedPorts: ports.reserved,
    reservedRanges: settings.reserved.slice(0, MOST_RESERVED_RANGES),
    reservedRangesLeftOut: Math.max(0, settings.reserved.length - MOST_RESERVED_RANGES),
    usablePorts: ports.udp.capacity,
    tcpTwReuse: settings.tcpTwReuse,
    tcpTimestamps: settings.tcpTimestamps,
    tcpTwReuseDelaySeconds: settings.tcpTwReuseDelayKnown
      ? settings.tcpTwReuseDelayMs / 1000
      : undefined,
    tcpMaxTwBuckets: settings.tcpMaxTwBuckets,
    autobindReuse: settings.autobindReuse,
    portStepWidth: settings.portStepWidth,
  }
}

export interface ProtocolContext {
  readonly census: Census
  readonly ports: Ports
  readonly inboundFlows: number
  readonly listening: readonly Listener[]
  /** Whether UDP sockets that are services can be told from others. */
  readonly udpServicesKnown: boolean
}

/** One entry for each protocol that was read. */
export function renderProtocols(
  reading: NamespaceReading,
  { census, ports, inboundFlows, listening, udpServicesKnown }: ProtocolContext,
): readonly ProtocolUse[] {
  const count = (protocol: string) => listening.filter((row) => row.protocol === protocol).length
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
            // A UDP listener is known by having chosen its port, and by having kept it.
            listeners: udpServicesKnown ? count('udp') : undefined,
          },
  )
}

function udpStates(states: Uint32Array): Record<string, number> {
  const connected = states[socketStates.indexOf('established')] ?? 0
  return { bound: states.reduce((sum, count) => sum + count, 0) - connected, connected }
}

/**
 * A host that talks to the world would make new series all day: a destination with fewer ports is one of the others.
 */
const LEAST_SHARE = 0.01
const LEAST_PORTS = 8

/** Ports from which on a destination gets a row. Where few ports are open, a quarter of them is not few. */
export function leastPortsOfRow({ tcp, blockedByListener, blockedByBound }: Ports): number {
  const open = tcp.capacity - blockedByListener - blockedByBound
  return Math.max(LEAST_SHARE * tcp.capacity, Math.min(LEAST_PORTS, open / 4))
}

export interface DestinationRows {
  readonly members: readonly RankedMember[]
  /** Ports that a row needs, by leastPortsOfRow(). */
  readonly least: number
}

/**
 * The rows of the top destinations; what they leave out is summed in `other`, and `hidden` those that are no less big.
 */
export function renderDestinations(
  ports: Ports,
  columns: DestinationColumns,
  { members, least }: DestinationRows,
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
  const other = {
    usedPorts: sumOf(columns.used) - rows.reduce((sum, row) => sum + row.usedPorts, 0),
    timeWaitPorts: sumOf(columns.timeWait) - rows.reduce((sum, row) => sum + row.timeWaitPorts, 0),
  }
  const isBig = (used: number) => used > 0 && used >= least
  let big = 0
  for (const used of columns.used) if (isBig(used)) big++
  return {
    destinations: {
      count: columns.count,
      rows,
      other: other.usedPorts > 0 ? other : undefined,
    },
    hidden: big - rows.filter((row) => isBig(row.usedPorts)).length,
  }
}

/** The first `top` listening ports in the range, and how many more there are. */
export function renderListeners(
  listening: readonly Listener[],
  top: number,
  nameOwner: NameOwner = () => undefined,
): { readonly rows: readonly ListenerRow[]; readonly hidden: number } {
  const rows = listening.slice(0, top).map(({ protocol, port, ownerId }) => ({
    protocol,
    port,
    owner: nameListener(ownerId, nameOwner),
  }))
  return { rows, hidden: listening.length - rows.length }
}

/**
 * One listener for each port that is listened on and not reserved, in order. Of several at one port the one whose owner
 * has the highest claim on it.
 */
export function listeningPorts(listeners: readonly Listener[], ports: Ports): readonly Listener[] {
  const distinct = new Map<string, Listener>()
  for (const listener of listeners) {
    const { protocol, port, ownerId = UNKNOWN_ID } = listener
    if (ports.usable[port] === 0) continue
    const rival = distinct.get(`${protocol} ${port}`)
    if (rival !== undefined && !outclaims(port, ownerId, rival.ownerId ?? UNKNOWN_ID)) continue
    distinct.set(`${protocol} ${port}`, listener)
  }
  // localeCompare() would load ICU: 3 MB for two words.
  return [...distinct.values()].sort((left, right) =>
    left.protocol === right.protocol
      ? left.port - right.port
      : left.protocol < right.protocol
        ? -1
        : 1,
  )
}

/** Cumulative: TIME_WAIT ports that come free within that many seconds. */
export function renderRelease(releasing: Uint32Array): NamespaceState['timeWaitRelease'] {
  return RELEASE_WITHIN_SECONDS.map((withinSeconds) => ({
    withinSeconds,
    ports: releasing.subarray(0, withinSeconds).reduce((sum, count) => sum + count, 0),
  }))
}
