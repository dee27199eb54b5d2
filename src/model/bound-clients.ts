// Whether the connections in doubt look as if their clients bind before they connect, which fills the pool of bind()
// while the kernel counts no failure. It names a cause and changes no number: a proof is not to be had from ports
// alone.

import type { Census } from './census.ts'
import { increment, PORTS } from './columns.ts'
import type { Ports } from './ports.ts'

export interface BoundClientsInput {
  readonly census: Census
  readonly ports: Ports
  readonly firstPort: number
  readonly lastPort: number
  /** 1 at each port in doubt, by port number. */
  readonly doubt: Uint8Array
}

/**
 * Share of the ports in doubt, and the least number: bind(0) takes the other half when it has no more ports of its own.
 */
const LEAST_RATIO = 0.25
const LEAST_PORTS = 8
/** Share of the first half: a destination that has more ports of it may have used them all a moment ago. */
const FULL_RATIO = 0.75

/**
 * connect() goes on to the second half of the ports only when its destination has all of the first
 * (docs/development/port-model.md#tcp-connect-without-bind). Many connections there, to destinations that have far from
 * all of the first half, are of clients that bind.
 */
export function lookBound(input: BoundClientsInput): boolean {
  const { census, ports, firstPort, lastPort, doubt } = input
  // Until half of the ports are in use nobody asks for the cause.
  if (ports.tcp.unused * 2 > ports.tcp.capacity) return false
  const { flows } = census
  const { destination, port } = flows.columns()
  const isFirst = (local: number) => ((local - firstPort) & 1) === 0
  const first = new Uint32Array(flows.destinationCount())
  const flowCount = flows.flowCount()
  for (let flow = 0; flow < flowCount; flow++) {
    // What may be recycled by now was taken a moment ago.
    if (isFirst(port[flow] ?? 0)) increment(first, destination[flow] ?? 0)
  }
  const full = FULL_RATIO * ports.openFirstHalf
  /** A port that is shared with such a destination may have been taken by it. */
  const explained = new Uint8Array(PORTS)
  for (let flow = 0; flow < flowCount; flow++) {
    if ((first[destination[flow] ?? 0] ?? 0) >= full) explained[port[flow] ?? 0] = 1
  }
  let [all, second] = [0, 0]
  for (let local = firstPort; local <= lastPort; local++) {
    if (doubt[local] === 0) continue
    all++
    if (!isFirst(local) && explained[local] === 0) second++
  }
  return second >= LEAST_PORTS && second >= LEAST_RATIO * all
}
