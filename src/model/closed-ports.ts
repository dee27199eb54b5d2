// Which ports are closed to connect(), visibly or not: census, memory and tests -> ports, destinations, and what stays in
// doubt.

import type { NetSettings } from '../observation.ts'
import { type BoundFlows, createBoundFlowsMemory, ORIGIN } from './bound-flows.ts'
import { type Census, type Listener, PORTS, USE } from './census.ts'
import { accountDestinations, type DestinationColumns, rememberListeners } from './destinations.ts'
import {
  estimateHidden,
  listAmbiguousPorts,
  type PortTests,
  presumeClosed,
} from './hidden-ports.ts'
import { createDoubt } from './parity.ts'
import { BLOCKING, countPorts, type Ports } from './ports.ts'

/** What one sample leaves for the next. */
export interface ClosedMemory {
  readonly flows: BoundFlows
  /** Listeners in the range, gone ones included while connections are left that they accepted. */
  readonly listeners: readonly Listener[]
}

export interface ClosedPortsInput {
  readonly census: Census
  readonly settings: NetSettings
  readonly before: ClosedMemory | undefined
  readonly atSeconds: number
  /** Undefined where nobody tests ports. */
  readonly tests: PortTests | undefined
  /** Whether bound sockets, and ports that applications chose, can be told. */
  readonly boundKnown: boolean
}

export interface ClosedPorts {
  readonly ports: Ports
  readonly columns: DestinationColumns
  readonly memory: ClosedMemory
  /** Ports worth testing; undefined without tests. */
  readonly ambiguousPorts: readonly number[] | undefined
  /** Whether of each port with connections it is seen, remembered or tested whether it is closed. */
  readonly certain: boolean
  /**
   * By how many the available ports may be too high, `worst` being the index of the destination that has taken most, -1 if
   * there is none. If all ports in doubt are closed, another destination may be worse. Undefined where nothing tells bound
   * sockets.
   */
  readonly uncertainPorts: (worst: number) => number | undefined
}

/** Creates the function. Its answers are valid until the next call; it marks what it finds in the census. */
export function createClosedPorts(): (input: ClosedPortsInput) => ClosedPorts {
  const rememberFlows = createBoundFlowsMemory()
  const findDoubt = createDoubt()
  const unknown = new Uint8Array(PORTS)

  return ({ census, settings, before, atSeconds, tests, boundKnown }) => {
    const { portUse } = census
    const { first, last } = settings.range
    const bound = rememberFlows(census, before?.flows, atSeconds)
    const isLeft = (port: number, origin: number) => ((bound.left[port] ?? 0) & (1 << origin)) !== 0
    const close = (port: number) => {
      portUse[port] = (portUse[port] ?? 0) | USE.hidden
    }
    for (let port = first; port <= last; port++) {
      if (!isLeft(port, ORIGIN.accepted) && !isLeft(port, ORIGIN.explicit)) continue
      if (tests?.get(port)?.closed !== false) close(port)
    }

    let ports = countPorts(census, settings)
    const tested = tests && closeTested(census, ports, tests)
    const untested = tested?.untested ?? listOpenPorts(census, ports)
    unknown.fill(0)
    for (const port of untested) unknown[port] = 1
    const doubt =
      boundKnown && untested.length > 0
        ? findDoubt({ census, ports, firstPort: first, lastPort: last, unknown })
        : unknown
    if (tested !== undefined) ports = countPorts(census, settings)

    const listeners = rememberListeners(census, before?.listeners ?? [], (port) =>
      isLeft(port, ORIGIN.accepted),
    )
    const columns = accountDestinations(census, ports, { firstPort: first, listeners, doubt })
    return {
      ports,
      columns,
      memory: { flows: bound.flows, listeners },
      ambiguousPorts: tested?.ambiguous,
      certain: untested.length === 0,
      uncertainPorts: (worst) =>
        boundKnown
          ? countDoubtful(doubt, ports) +
            columns.takenKnown.reduce((most, taken) => Math.max(most, taken), 0) -
            (columns.taken[worst] ?? 0)
          : undefined,
    }
  }
}

function countDoubtful(doubt: Uint8Array, { neverVisited }: Ports): number {
  const all = doubt.reduce((sum, one) => sum + one, 0)
  return all - (doubt[neverVisited] ?? 0)
}

/** Closes the ports that tests found closed, or that must be presumed to be because others were. */
function closeTested(
  census: Census,
  { usable }: Ports,
  tests: PortTests,
): {
  readonly ambiguous: readonly number[]
  readonly untested: readonly number[]
} {
  const { portUse } = census
  const ambiguous = listAmbiguousPorts(usable, portUse, { tcp: USE.tcp, blocking: BLOCKING })
  const estimate = estimateHidden(ambiguous, tests)
  const closed = presumeClosed(estimate)
  for (const port of closed) portUse[port] = (portUse[port] ?? 0) | USE.hidden
  return {
    ambiguous,
    untested: [...estimate.untested].filter((port) => !closed.has(port)),
  }
}

/** Those with a connection that nothing visible closes. */
function listOpenPorts({ portUse }: Census, { usable }: Ports): Uint16Array {
  const ports = new Uint16Array(PORTS)
  let count = 0
  for (let port = 0; port < PORTS; port++) {
    const use = portUse[port] ?? 0
    if ((use & USE.tcp) === 0 || (use & BLOCKING) !== 0 || usable[port] === 0) continue
    ports[count++] = port
  }
  return ports.subarray(0, count)
}
