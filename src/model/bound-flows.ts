// Memory of connections that hold their port by bind() or from a listener: what one census saw -> what it means for the next,
// where the listener has closed or the connection is a TIME_WAIT and looks like any other.
// Only these connections keep a port closed to connect(), and only until the last of them has gone
// (docs/development/port-model.md#what-listings-do-not-tell).

import { type Census, PORTS, USE } from './census.ts'
import { createInboundTest } from './destinations.ts'
import { HOLD, KEY_WORDS } from './flows.ts'

/** How a connection came to hold a port that is closed because of it. */
export const ORIGIN = {
  /** A listener accepted it. */
  accepted: 1,
  /** The application chose the port. */
  explicit: 2,
} as const

/** Row i of both columns is one connection. */
export interface BoundFlows {
  readonly atSeconds: number
  readonly count: number
  readonly port: Uint16Array
  /** 29 bits of a hash of the destination, a bit for a minisock, and the ORIGIN. */
  readonly mark: Uint32Array
}

export interface BoundFlowsNow {
  /** Bits 1 << ORIGIN by port number: which remembered connections are still there. */
  readonly left: Uint8Array
  /** What the next sample is to know. */
  readonly flows: BoundFlows
}

/** Connections of one port that are remembered. When all of them have gone and others are left, the port is in doubt. */
const MOST_PER_PORT = 8
/** Connections that are remembered in a namespace: six bytes each. */
const MOST_ROWS = 65_536
/** A mark that was not seen again for as long as a TIME_WAIT lasts may be that of another connection. */
const BELIEVED_SECONDS = 60
const MINISOCK = 4
const ORIGIN_MASK = 3
const HASH_MASK = ~7

/** Creates the function that looks the memory up in one census after another, in the same working memory. */
export function createBoundFlowsMemory(): (
  census: Census,
  before: BoundFlows | undefined,
  atSeconds: number,
) => BoundFlowsNow {
  const left = new Uint8Array(PORTS)
  /** For each port number 1 + the first row of the memory, and how many rows it has, new ones included. */
  const head = new Int32Array(PORTS)
  const rows = new Uint8Array(PORTS)
  /** By port number: rows of the memory whose connection was not met yet. A listener has thousands, but few that are rows. */
  const missing = new Uint8Array(PORTS)
  const next = new Int32Array(MOST_ROWS)
  const port = new Uint16Array(MOST_ROWS)
  const mark = new Uint32Array(MOST_ROWS)

  return (census, before, atSeconds) => {
    const keys = census.flows.keys()
    const columns = census.flows.columns()
    const believed =
      before !== undefined && before.count > 0 && atSeconds - before.atSeconds <= BELIEVED_SECONDS
        ? before
        : undefined
    let count = 0
    left.fill(0)
    const hasListeners = census.listeners.some(({ protocol }) => protocol === 'tcp')
    if (believed === undefined && !hasListeners && !census.hasExplicitFlows) {
      return { left, flows: { atSeconds, count, port: port.slice(0, 0), mark: mark.slice(0, 0) } }
    }
    head.fill(0)
    rows.fill(0)
    for (let row = 0; row < (believed?.count ?? 0); row++) {
      const local = believed?.port[row] ?? 0
      next[row] = head[local] ?? 0
      head[local] = row + 1
      rows[local] = (rows[local] ?? 0) + 1
    }
    missing.set(rows)

    const isMinisock = (flow: number) => columns.hold[flow] !== HOLD.live

    function keep(local: number, kept: number): void {
      if (count === MOST_ROWS) return
      port[count] = local
      mark[count++] = kept
    }

    /** The remembered mark of a flow that is the same connection as then; 0 where there is none. */
    function recall(flow: number, local: number): number {
      const hash = census.flows.hashOf(columns.destination[flow] ?? 0) & HASH_MASK
      for (let row = head[local] ?? 0; row > 0; row = next[row - 1] ?? 0) {
        // As a signed number, which takes no memory.
        const found = (believed?.mark[row - 1] ?? 0) | 0
        if (((found ^ hash) & HASH_MASK) !== 0) continue
        const minisock = isMinisock(flow)
        // A live connection never follows a minisock, and the kernel lists a live explicit one as explicit.
        if ((found & MINISOCK) !== 0 && !minisock) return 0
        const origin = found & ORIGIN_MASK
        if (origin === ORIGIN.explicit && !minisock && columns.explicit[flow] === 0) return 0
        return hash | (minisock ? MINISOCK : 0) | origin
      }
      return 0
    }

    function note(flow: number, origin: number): void {
      const local = columns.port[flow] ?? 0
      const known = rows[local] ?? 0
      if (known >= MOST_PER_PORT) return
      rows[local] = known + 1
      const hash = census.flows.hashOf(columns.destination[flow] ?? 0) & HASH_MASK
      keep(local, hash | (isMinisock(flow) ? MINISOCK : 0) | origin)
    }

    const accepted = createInboundTest(census.listeners)
    const { portUse } = census
    const flowCount = census.flows.flowCount()
    for (let flow = 0; flow < flowCount; flow++) {
      const local = columns.port[flow] ?? 0
      const use = portUse[local] ?? 0
      const remembered = missing[local] === 0 ? 0 : recall(flow, local)
      if (remembered !== 0) {
        missing[local] = (missing[local] ?? 0) - 1
        left[local] = (left[local] ?? 0) | (1 << (remembered & ORIGIN_MASK))
        keep(local, remembered)
      } else if (columns.explicit[flow] === 1) {
        note(flow, ORIGIN.explicit)
      } else if ((use & USE.listener) !== 0 && (rows[local] ?? 0) < MOST_PER_PORT) {
        const at = (columns.destination[flow] ?? 0) * KEY_WORDS
        if (accepted(keys, at, local)) note(flow, ORIGIN.accepted)
      }
    }

    return {
      left,
      flows: { atSeconds, count, port: port.slice(0, count), mark: mark.slice(0, count) },
    }
  }
}
