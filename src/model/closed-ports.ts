// Which ports are closed to connect(), visibly or not: census, memory and tests -> ports, destinations, and what stays
// in doubt.

import type { NamespaceReading, NetSettings } from '../observation.ts'
import type { Destination } from '../snapshot.ts'
import { lookBound } from './bound-clients.ts'
import { type BoundFlows, createBoundFlowsMemory, ORIGIN } from './bound-flows.ts'
import { type Census, USE } from './census.ts'
import { highestOf, PORTS } from './columns.ts'
import { accountDestinations, type DestinationColumns, rememberListeners } from './destinations.ts'
import {
  estimateHidden,
  isAmbiguous,
  listAmbiguousPorts,
  type PortDoubt,
  type PortMarks,
  type PortTests,
  presumeClosed,
} from './hidden-ports.ts'
import type { Listener } from './listeners.ts'
import { advanceParity, type ParityMemory, settleDoubt } from './parity.ts'
import { BLOCKING, countPorts, type Ports } from './ports.ts'
import { applyRefusals, type RefusalMemory } from './refusals.ts'
import { holdUnseenPorts, listUnseenPorts } from './unseen-ports.ts'

/** What one sample leaves for the next. */
export interface ClosedMemory {
  readonly flows: BoundFlows
  /** Listeners in the range, gone ones included while connections are left that they accepted. */
  readonly listeners: readonly Listener[]
  readonly parity: ParityMemory
  readonly refusals: RefusalMemory
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
  /** Whether ports reopen, as NamespaceReading has it. */
  readonly portsReopen: boolean
  /** Ports whose reuse is unknown, as AccountContext has them. */
  readonly unknownReuse: Uint8Array | undefined
  /** Whether live connections told whether others that are in TIME_WAIT can be recycled. */
  readonly isReuseInferred: boolean
  /** Destinations to which connect() was refused a port since the last sample. */
  readonly refused: readonly Destination[]
  /** Connections opened in the namespace so far; undefined where unknown. */
  readonly opened: number | undefined
}

export interface ClosedPorts {
  readonly ports: Ports
  readonly columns: DestinationColumns
  readonly memory: ClosedMemory
  /** Ports worth testing; undefined without tests. */
  readonly ambiguousPorts: readonly number[] | undefined
  /**
   * Whether it is seen, remembered or tested of each port whether it is closed, and known which TIME_WAITs are
   * recyclable.
   */
  readonly certain: boolean
  /**
   * Counts by how many the available ports may be too high. `worst` is the index of the destination that has taken
   * most, -1 if there is none. If all ports in doubt are closed, another destination may be worse. Undefined where
   * nothing tells bound sockets.
   */
  readonly uncertainPorts: (worst: number) => number | undefined
  /** 1 at each port in doubt, by port number, if they look as if their clients bind before they connect. */
  readonly boundInDoubt: Uint8Array | undefined
}

const USE_BITS = { tcp: USE.tcp, blocking: BLOCKING } as const

/** Tells what the sockets of a census leave in doubt, for a caller that can test ports. */
export function describeDoubt(
  census: Census,
  { settings, tcpBoundKnown }: NamespaceReading,
): PortDoubt {
  const { usable, tcp } = countPorts(census, settings)
  const ambiguous = listAmbiguousPorts(usable, census.portUse, USE_BITS)
  return {
    ambiguous,
    unseen: tcpBoundKnown ? [] : listUnseenPorts(census, usable),
    capacityPorts: tcp.capacity,
    unusedPorts: tcp.unused,
    marks: () => markPorts(census, ambiguous),
  }
}

function markPorts({ flows }: Census, ports: readonly number[]): PortMarks {
  const { destination, port } = flows.columns()
  const marks = new Map(ports.map((local) => [local, 0]))
  for (let flow = 0; flow < flows.flowCount(); flow++) {
    const mark = marks.get(port[flow] ?? 0)
    if (mark !== undefined) marks.set(port[flow] ?? 0, mark ^ flows.hashOf(destination[flow] ?? 0))
  }
  return marks
}

/** Creates the function. Its answers are valid until the next call; it marks what it finds in the census. */
export function createClosedPorts(): (input: ClosedPortsInput) => ClosedPorts {
  const rememberFlows = createBoundFlowsMemory()
  const doubt = new Uint8Array(PORTS)
  const beforeParity = new Uint8Array(PORTS)
  let written = { first: 0, last: 0 }

  return (input) => {
    const { census, settings, before, atSeconds, tests, boundKnown, portsReopen, unknownReuse } =
      input
    const { first, last } = settings.range
    const bound = rememberFlows(census, before?.flows, atSeconds)
    if (bound.flows.count > 0) hideLeft(census, bound.left, { settings, tests })
    const seen = countPorts(census, settings)
    const unseen = tests && !boundKnown ? listUnseenPorts(census, seen.usable) : []
    const tested = tests && closeTested(census, seen, { tests, unseen })
    let ports = tested === undefined ? seen : countPorts(census, settings, seen.usable)

    const parity = advanceParity(before?.parity, { census, ports, settings })
    const { mixed } = parity
    doubt.fill(0, written.first, written.last + 1)
    written = settings.range
    const untested = tested?.untested.length ?? markOpenPorts(census, seen, { settings, doubt })
    for (const port of tested?.untested ?? []) doubt[port] = 1
    beforeParity.set(doubt.subarray(first, last + 1), first)
    // Where ports stay closed, sockets of others that have gone count as well, and parity says nothing of them.
    if (boundKnown && portsReopen && untested > 0) {
      settleDoubt({ census, ports, firstPort: first, lastPort: last, mixed, unknown: doubt })
    }
    const refusals = applyRefusals(before?.refusals, {
      ...input,
      ports,
      doubt,
      untested: beforeParity,
    })
    if (refusals.isMarked) ports = countPorts(census, settings, seen.usable)

    // An open port has none: the listener had joined a connection, with SO_REUSEADDR on both.
    const isAccepted = (port: number) =>
      ((bound.left[port] ?? 0) & (1 << ORIGIN.accepted)) !== 0 && tests?.get(port)?.closed !== false
    const listeners = rememberListeners(census, before?.listeners ?? [], isAccepted)
    const columns = accountDestinations(census, ports, {
      firstPort: first,
      lastPort: last,
      listeners,
      doubt,
      unknownReuse,
    })
    return {
      ports,
      columns,
      memory: { flows: bound.flows, listeners, parity, refusals: refusals.memory },
      ambiguousPorts: tested?.ambiguous,
      certain:
        untested === 0 &&
        tested?.isPresumed !== true &&
        !isReuseInDoubt(columns, unknownReuse) &&
        !input.isReuseInferred &&
        !refusals.isProof,
      uncertainPorts: (worst) =>
        boundKnown
          ? countDoubtful(doubt, ports, settings) +
            highestOf(columns.takenAtMost) -
            (columns.taken[worst] ?? 0)
          : undefined,
      boundInDoubt: lookBound({ census, ports, firstPort: first, lastPort: last, doubt })
        ? doubt
        : undefined,
    }
  }
}

/** Whether a TIME_WAIT that may not be recyclable has a port that is not closed anyway. */
function isReuseInDoubt(
  { reclaimable }: DestinationColumns,
  unknown: Uint8Array | undefined,
): boolean {
  return unknown?.some((one, index) => one === 1 && (reclaimable[index] ?? 0) > 0) ?? false
}

function countDoubtful(doubt: Uint8Array, { neverVisited }: Ports, { range }: NetSettings): number {
  let count = 0
  for (let port = range.first; port <= range.last; port++) {
    if (port !== neverVisited) count += doubt[port] ?? 0
  }
  return count
}

/**
 * Closes the ports that tests found closed, or that must be presumed to be because others were: of those with
 * connections as often as the tested of them, and the same of those that look unused.
 */
function closeTested(
  census: Census,
  { usable }: Ports,
  { tests, unseen }: { readonly tests: PortTests; readonly unseen: readonly number[] },
): {
  readonly ambiguous: readonly number[]
  readonly untested: readonly number[]
  /** Whether ports are closed because all that were tested are. */
  readonly isPresumed: boolean
} {
  const { portUse } = census
  const ambiguous = listAmbiguousPorts(usable, portUse, USE_BITS)
  const estimate = estimateHidden(ambiguous, tests)
  const closed = presumeClosed(estimate)
  for (const port of closed) portUse[port] = (portUse[port] ?? 0) | USE.hidden
  holdUnseenPorts(census, presumeClosed(estimateHidden(unseen, tests)))
  return {
    ambiguous: [...ambiguous, ...unseen],
    untested: [...estimate.untested].filter((port) => !closed.has(port)),
    isPresumed: [...estimate.untested].some((port) => closed.has(port)),
  }
}

/**
 * Marks the ports that connections known to be bound or accepted have left closed, those apart that a test found open.
 */
function hideLeft(
  { portUse }: Census,
  left: Uint8Array,
  { settings, tests }: Pick<ClosedPortsInput, 'settings' | 'tests'>,
): void {
  for (let port = settings.range.first; port <= settings.range.last; port++) {
    if (left[port] === 0 || tests?.get(port)?.closed === false) continue
    portUse[port] = (portUse[port] ?? 0) | USE.hidden
  }
}

/** Marks the ports with a connection that nothing visible closes, and returns how many they are. */
function markOpenPorts(
  { portUse }: Census,
  { usable }: Ports,
  { settings, doubt }: { readonly settings: NetSettings; readonly doubt: Uint8Array },
): number {
  let count = 0
  for (let port = settings.range.first; port <= settings.range.last; port++) {
    if (!isAmbiguous(portUse[port] ?? 0, USE_BITS) || usable[port] !== 1) continue
    doubt[port] = 1
    count++
  }
  return count
}
