// What the parity of ports tells of connections whose bind history no listing shows: bound, made by connect(), or in doubt.
// connect() begins with the ports that have the parity of the first port of the range, bind(0) with the others
// (docs/development/port-model.md#what-listings-do-not-tell). A destination whose connections have far more ports of one parity than chance, or
// a half that was full for a time, could give them is known by that.
// Programs that confine themselves to a part of the range (IP_LOCAL_PORT_RANGE) use both parities alike: they prove nothing.

import { type Census, PORTS, USE } from './census.ts'
import { HOLD } from './flows.ts'
import type { Ports } from './ports.ts'

/** What is known of a port before its parity is looked at. */
export const HISTORY = {
  /** Nothing hides: no connection, or closed for a reason that is seen or known, or tested. */
  known: 0,
  unknown: 1,
  /** An earlier sample inferred that a connection which is still there was bound. */
  inferred: 2,
} as const

export interface ParityInput {
  readonly census: Census
  readonly ports: Ports
  readonly firstPort: number
  readonly lastPort: number
  /** One of HISTORY by port number. */
  readonly history: Uint8Array
  /** Told of each connection that this sample infers to be bound. */
  readonly note: (flow: number) => void
}

/** A port's verdict, by port number. */
export const VERDICT = { open: 0, doubt: 1, closed: 2 } as const

/** Standard deviations of a binomial count that are no chance, however often it is looked at. */
const NO_CHANCE = 4

/** Creates the function, which returns one of VERDICT by port number, valid until the next call. */
export function createParityJudge(): (input: ParityInput) => Uint8Array {
  const verdict = new Uint8Array(PORTS)

  return ({ census, ports, firstPort, lastPort, history, note }) => {
    const { destination, port, hold } = census.flows.columns()
    const flows = census.flows.flowCount()
    const total = census.flows.destinationCount()
    const first = new Uint32Array(total)
    const second = new Uint32Array(total)
    verdict.fill(VERDICT.open)

    for (let flow = 0; flow < flows; flow++) {
      const local = port[flow] ?? 0
      if (history[local] === HISTORY.known) continue
      const half = (local - firstPort) % 2 === 0 ? first : second
      const to = destination[flow] ?? 0
      half[to] = (half[to] ?? 0) + 1
    }

    const share = secondShare(census, ports, { firstPort, lastPort })
    const bindsEarly = hasEarlyBindPort(census, ports, { firstPort, lastPort })
    for (let flow = 0; flow < flows; flow++) {
      const local = port[flow] ?? 0
      if (history[local] !== HISTORY.unknown || verdict[local] === VERDICT.closed) continue
      const to = destination[flow] ?? 0
      const count = (first[to] ?? 0) + (second[to] ?? 0)
      const excess = (second[to] ?? 0) - count * share
      const isChance = Math.abs(excess) <= NO_CHANCE * Math.sqrt(count * share * (1 - share))
      const inFirst = (local - firstPort) % 2 === 0
      if (!isChance && excess > 0 && !inFirst) {
        verdict[local] = VERDICT.closed
        note(flow)
      } else if (isChance || excess > 0 || !inFirst || !bindsEarly || hold[flow] !== HOLD.live) {
        // A TIME_WAIT may be of a connection whose port the application chose.
        verdict[local] = VERDICT.doubt
      }
    }
    for (let local = firstPort; local <= lastPort; local++) {
      if (history[local] === HISTORY.inferred) verdict[local] = VERDICT.closed
    }
    return verdict
  }
}

interface Range {
  readonly firstPort: number
  readonly lastPort: number
}

/** The part of the ports open to connect() that it tries last: the most that it leaves in that half by itself. */
function secondShare({ portUse }: Census, { usable }: Ports, { firstPort, lastPort }: Range) {
  const open = [0, 0]
  for (let local = firstPort; local <= lastPort; local++) {
    if (usable[local] === 0 || ((portUse[local] ?? 0) & (USE.listener | USE.bound)) !== 0) continue
    const half = (local - firstPort) % 2
    open[half] = (open[half] ?? 0) + 1
  }
  const [first = 0, second = 0] = open
  return second / Math.max(1, first + second)
}

/**
 * Whether bind(0) finds a port of its own parity still: with SO_REUSEADDR it takes the lower half of the range first, of
 * both parities (net/ipv4/inet_connection_sock.c:inet_csk_find_open_port).
 */
function hasEarlyBindPort({ portUse }: Census, { usable }: Ports, { firstPort, lastPort }: Range) {
  const size = lastPort - firstPort + 1
  const end = size < 4 ? lastPort : firstPort + ((size >> 2) << 1) - 1
  for (let local = firstPort + 1; local <= end; local += 2) {
    if (usable[local] === 1 && ((portUse[local] ?? 0) & USE.tcp) === 0) return true
  }
  return false
}
