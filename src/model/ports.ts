// Ports of one namespace: census -> what the three pools have left, whatever the destination
// (docs/development/port-model.md#the-model).

import type { NetSettings } from '../observation.ts'
import { type Census, EXPIRY_SECONDS, USE } from './census.ts'
import { increment, PORTS } from './columns.ts'

/** What a pool has left that knows no destination: bind(0), and UDP altogether. */
export interface BindPorts {
  /** Ports the pool can ever hand out. */
  readonly capacity: number
  readonly available: number
  readonly unused: number
  /** Ports that are not available and held by something that is not in TIME_WAIT. */
  readonly live: number
  /** Ports that are not available and held by TIME_WAIT alone. */
  readonly timeWait: number
}

export interface Ports {
  /** 1 at every port of the range that is not reserved, indexed by port number. */
  readonly usable: Uint8Array
  /** Reserved ports inside the range. */
  readonly reserved: number
  /** The one usable port that no TCP allocation is ever given; -1 where there is none. */
  readonly neverVisited: number
  readonly tcpUsed: number
  readonly udpUsed: number
  readonly blockedByListener: number
  readonly blockedByBound: number
  /** Ports open to connect() in the half of the range that it tries first. */
  readonly openFirstHalf: number
  readonly tcp: BindPorts
  readonly udp: BindPorts
  /** Ports that TIME_WAIT alone holds, by whole seconds until they are free. */
  readonly releasing: Uint32Array
}

/** Bits that close a port to every connect(). */
export const BLOCKING = USE.listener | USE.bound | USE.hidden

/**
 * Counts the ports of the range by what the census found on them. The two bind pools are those of the stricter of the
 * wildcards 0.0.0.0 and, where there is IPv6, dual-stack ::, which collides with every socket
 * (docs/development/port-model.md#bind-to-port-0 and #udp). A caller that counts again may hand over the usable ports.
 */
export function countPorts(
  census: Census,
  settings: NetSettings,
  usable: Uint8Array = usablePorts(settings),
): Ports {
  const { first, last } = settings.range
  const tcpCollision = settings.ipv6 ? USE.tcp : USE.tcpIpv4
  const udpCollision = settings.ipv6 ? USE.udp : USE.udpIpv4
  // connect() and bind(0) never visit the last one of three ports
  // (docs/development/port-model.md#ranges-and-reserved-ports).
  const neverVisited = last - first === 2 ? last : -1

  const { portUse, portExpirySeconds } = census
  const releasing = new Uint32Array(EXPIRY_SECONDS)
  let [capacity, unused, available, live, timeWait] = [0, 0, 0, 0, 0]
  let [udpCapacity, udpUnused, udpAvailable] = [0, 0, 0]
  let [tcpUsed, blockedByListener, blockedByBound, openFirstHalf] = [0, 0, 0, 0]

  for (let port = first; port <= last; port++) {
    if (usable[port] === 0) continue
    const use = portUse[port] ?? 0
    udpCapacity++
    if ((use & USE.udp) === 0) udpUnused++
    if ((use & udpCollision) === 0) udpAvailable++

    if ((use & USE.tcp) !== 0) tcpUsed++
    if (port === neverVisited) continue
    capacity++
    if ((use & USE.tcp) === 0) unused++
    if ((use & tcpCollision) === 0) available++
    else if ((use & USE.tcpLive) !== 0) live++
    else {
      timeWait++
      increment(releasing, portExpirySeconds[port] ?? 0)
    }
    if ((use & USE.listener) !== 0) blockedByListener++
    else if ((use & BLOCKING) !== 0) blockedByBound++
    else if (((port - first) & 1) === 0) openFirstHalf++
  }

  return {
    usable,
    reserved: last - first + 1 - udpCapacity,
    neverVisited,
    tcpUsed,
    udpUsed: udpCapacity - udpUnused,
    blockedByListener,
    blockedByBound,
    openFirstHalf,
    tcp: { capacity, available, unused, live, timeWait },
    udp: {
      capacity: udpCapacity,
      available: udpAvailable,
      unused: udpUnused,
      live: udpCapacity - udpAvailable,
      timeWait: 0,
    },
    releasing,
  }
}

/** A text that is another whenever the ports that can be handed out may be others. */
export function nameRange({ range, reservedText }: NetSettings): string {
  return `${range.first}-${range.last} ${reservedText}`
}

function usablePorts({ range, reserved }: NetSettings): Uint8Array {
  const usable = new Uint8Array(PORTS)
  usable.fill(1, range.first, range.last + 1)
  for (const { first, last } of reserved) usable.fill(0, first, last + 1)
  return usable
}
