// Ports that look unused to a reader that cannot see sockets that are only bound: which they are, and how one is marked
// of which a refusal has told that such a socket holds it.

import type { NetSettings } from '../observation.ts'
import { type Census, USE } from './census.ts'
import { countPorts } from './ports.ts'

const HELD = USE.tcp | USE.tcpIpv4 | USE.tcpLive | USE.bound

/** Lists the usable ports on which no TCP socket is seen. */
export function listUnseenPorts({ portUse }: Census, usable: Uint8Array): readonly number[] {
  const ports: number[] = []
  for (let port = 0; port < portUse.length; port++) {
    if (usable[port] === 1 && ((portUse[port] ?? 0) & USE.tcp) === 0) ports.push(port)
  }
  return ports
}

/** Marks ports as held by a socket that is bound and nothing else. */
export function holdUnseenPorts({ portUse }: Census, ports: Iterable<number>): void {
  for (const port of ports) portUse[port] = (portUse[port] ?? 0) | HELD
}

/**
 * Where bind() to port 0 of 0.0.0.0 was refused, no port is left that looks unused: each is held by a socket that is
 * not seen.
 */
export function holdRefusedPorts(census: Census, settings: NetSettings): void {
  holdUnseenPorts(census, listUnseenPorts(census, countPorts(census, settings).usable))
}
