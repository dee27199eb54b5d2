// Memory of connections that hold their port by bind() or from a listener: what one census saw -> what it means for the
// next, where the listener has closed or the connection is a TIME_WAIT and looks like any other. Only these connections
// keep a port closed to connect(), and only until the last of them has gone
// (docs/development/port-model.md#what-listings-do-not-tell).

import { type Census, USE } from './census.ts'
import { PORTS } from './columns.ts'
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

/**
 * Connections of one port that are remembered. When all of them have gone and others are left, the port is in doubt.
 */
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
  let isLeftEmpty = true
  /** For each port number 1 + the first row of the memory, and how many rows it has, new ones included. */
  const head = new Int32Array(PORTS)
  const rows = new Uint8Array(PORTS)
  /**
   * Rows of the memory whose connection was not met yet, by port number. A listener has thousands, but few that are
   * rows.
   */
  const missing = new Uint8Array(PORTS)
  const next = new Int32Array(MOST_ROWS)
  const port = new Uint16Array(MOST_ROWS)
  const mark = new Uint32Array(MOST_ROWS)

  return (census, before, atSeconds) => {
    const { flows, accepted, portUse, tcpListeners, accepts } = census
    const believed =
      before !== undefined && before.count > 0 && atSeconds - before.atSeconds <= BELIEVED_SECONDS
        ? before
        : undefined
    let count = 0
    if (!isLeftEmpty) left.fill(0)
    isLeftEmpty = true
    if (believed === undefined && tcpListeners.length === 0 && !census.hasExplicitFlows) {
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

    function keep(local: number, kept: number): void {
      if (count === MOST_ROWS) return
      port[count] = local
      mark[count++] = kept
    }

    /** The remembered mark of a flow that is the same connection as then; 0 where there is none. */
    function recall(local: number, hash: number, minisock: boolean, explicit: boolean): number {
      for (let row = head[local] ?? 0; row > 0; row = next[row - 1] ?? 0) {
        // As a signed number, which takes no memory.
        const found = (believed?.mark[row - 1] ?? 0) | 0
        if (((found ^ hash) & HASH_MASK) !== 0) continue
        // A live connection never follows a minisock, and the kernel lists a live explicit one as explicit.
        if ((found & MINISOCK) !== 0 && !minisock) return 0
        const origin = found & ORIGIN_MASK
        if (origin === ORIGIN.explicit && !minisock && !explicit) return 0
        return (hash & HASH_MASK) | (minisock ? MINISOCK : 0) | origin
      }
      return 0
    }

    /** Keeps a flow that is remembered. Of any other the port may still have room, which is returned. */
    function advance(local: number, hash: number, minisock: boolean, explicit: boolean): boolean {
      const remembered = missing[local] === 0 ? 0 : recall(local, hash, minisock, explicit)
      if (remembered === 0) return (rows[local] ?? 0) < MOST_PER_PORT
      missing[local] = (missing[local] ?? 0) - 1
      left[local] = (left[local] ?? 0) | (1 << (remembered & ORIGIN_MASK))
      isLeftEmpty = false
      keep(local, remembered)
      return false
    }

    function note(local: number, hash: number, minisock: boolean, origin: number): void {
      rows[local] = (rows[local] ?? 0) + 1
      keep(local, (hash & HASH_MASK) | (minisock ? MINISOCK : 0) | origin)
    }

    const { destination, port: ports, hold, explicit: chosen } = flows.columns()
    const keys = flows.keys()
    const flowCount = flows.flowCount()
    for (let flow = 0; flow < flowCount; flow++) {
      const local = ports[flow] ?? 0
      const to = destination[flow] ?? 0
      const explicit = chosen[flow] === 1
      const isListening = ((portUse[local] ?? 0) & USE.listener) !== 0
      if (missing[local] === 0 && !explicit && !isListening) continue
      const hash = flows.hashOf(to)
      const minisock = hold[flow] !== HOLD.live
      if (!advance(local, hash, minisock, explicit)) continue
      if (explicit) note(local, hash, minisock, ORIGIN.explicit)
      else if (isListening && accepts(keys, to * KEY_WORDS, local)) {
        note(local, hash, minisock, ORIGIN.accepted)
      }
    }
    const { port: acceptedPorts, hold: acceptedHold } = accepted.columns()
    const acceptedCount = accepted.count()
    for (let row = 0; row < acceptedCount; row++) {
      const local = acceptedPorts[row] ?? 0
      if (missing[local] === 0 && (rows[local] ?? 0) === MOST_PER_PORT) continue
      const minisock = acceptedHold[row] !== HOLD.live
      const hash = accepted.hashOf(row)
      if (advance(local, hash, minisock, false)) note(local, hash, minisock, ORIGIN.accepted)
    }

    return {
      left,
      flows: { atSeconds, count, port: port.slice(0, count), mark: mark.slice(0, count) },
    }
  }
}
