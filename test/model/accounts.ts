// Sockets on the wire to the accounts of ports and destinations, for tests of what comes before the forecast.

import { createCensusTaker } from '../../src/model/census.ts'
import { type ClosedMemory, createClosedPorts } from '../../src/model/closed-ports.ts'
import type { NetSettings } from '../../src/observation.ts'
import { plainSocket, type WireSocket } from '../support/kernel/netlink-builder.ts'
import { plainSettings, replayDumps, type WireDump } from '../support/kernel/readings.ts'

export const PORT = 40005
export const connection: WireSocket = { ...plainSocket, device: 0, localPort: PORT }

export function timeWait(expiresMs: number): WireSocket {
  return { ...connection, state: 6, timer: 3, expiresMs }
}

export function tcp(...sockets: WireSocket[]): WireDump[] {
  return [{ protocol: 'tcp', explicit: false, sockets }]
}

/** What createClosedPorts() is told where nobody tests ports and nothing was refused. */
export const nothingKnown = {
  tests: undefined,
  boundKnown: true,
  portsReopen: true,
  unknownReuse: undefined,
  isReuseInferred: false,
  refused: [],
  opened: undefined,
} as const

export function account(
  dumps: readonly WireDump[],
  settings: NetSettings = plainSettings,
  before?: ClosedMemory,
) {
  const census = createCensusTaker()(settings, replayDumps(dumps))
  const atSeconds = (before?.flows.atSeconds ?? 0) + 5
  const now = { ...nothingKnown, atSeconds }
  const { ports, columns, memory } = createClosedPorts()({ census, settings, before, ...now })
  return { census, ports, memory, listeners: memory.listeners, columns }
}
