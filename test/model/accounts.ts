// Sockets on the wire to the accounts of ports and destinations, for tests of what comes before the forecast.

import { createCensusTaker, type Listener } from '../../src/model/census.ts'
import { accountDestinations, rememberListeners } from '../../src/model/destinations.ts'
import { countPorts } from '../../src/model/ports.ts'
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

export function account(
  dumps: readonly WireDump[],
  settings: NetSettings = plainSettings,
  earlier: readonly Listener[] = [],
) {
  const census = createCensusTaker()(settings, replayDumps(dumps))
  const ports = countPorts(census, settings)
  const listeners = rememberListeners(census, earlier)
  const context = { firstPort: settings.range.first, listeners }
  return { census, ports, listeners, columns: accountDestinations(census, ports, context) }
}
