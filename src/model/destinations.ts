// Pool 1 of docs/development/port-model.md#the-model: census and ports -> what each destination has taken of the ports
// open to connect().

import type { Census } from './census.ts'
import { increment, PORTS } from './columns.ts'
import { copyKey, type FlowTable, HOLD, KEY_DEVICE, KEY_WORDS } from './flows.ts'
import { createInboundTest, type Listener } from './listeners.ts'
import { BLOCKING, type Ports } from './ports.ts'

/** Row i of every column is destination i of the census' flow table. */
export interface DestinationColumns {
  /** Destinations that some connection of ours goes to; the rest are peers of listeners, and 0 below. */
  readonly count: number
  /** Usable ports that its connections hold and that a new connection cannot take over. */
  readonly used: Uint32Array
  /**
   * The larger of used and taken, where it uses any: by its twin without a device it may have taken more than it uses.
   */
  readonly burden: Uint32Array
  /** Used ports that are in TIME_WAIT. */
  readonly timeWait: Uint32Array
  /** Ports it takes from connect(): used, but for the ports that are blocked anyway. */
  readonly taken: Uint32Array
  /**
   * Ports that it has taken at most, those apart that are in doubt for all: with TIME_WAITs that may not be recyclable.
   */
  readonly takenAtMost: Uint32Array
  /** Taken ports in the half of the range that connect() tries first. */
  readonly takenFirstHalf: Uint32Array
  /** Taken ports that are not in TIME_WAIT. FIN_WAIT2 without owner counts, because its TIME_WAIT is still to come. */
  readonly takenLive: Uint32Array
  /** TIME_WAIT ports that connect() may recycle now; not taken. */
  readonly reclaimable: Uint32Array
  /** Flows that a listener in the range accepted. */
  readonly inboundFlows: number
}

export interface AccountContext {
  /** First port of the range: connect() tries ports of its parity first. */
  readonly firstPort: number
  readonly lastPort: number
  /** Listeners, gone ones included that may have left accepted connections behind. */
  readonly listeners: readonly Listener[]
  /** 1 at each port that may be closed to all although nothing shows it, by port number. */
  readonly doubt: Uint8Array
  /**
   * 1 where nobody knows whether TIME_WAITs can be recycled, by index of the destination; undefined where there is
   * none.
   */
  readonly unknownReuse: Uint8Array | undefined
}

/**
 * Accounts every flow to its destination. A connection bound to a device does not hinder connections that are not, but
 * the reverse does (inet_match(), docs/development/port-model.md#ipv6): a destination with a device also pays for its
 * twin without one.
 */
export function accountDestinations(
  census: Census,
  ports: Ports,
  { firstPort, lastPort, listeners, doubt, unknownReuse }: AccountContext,
): DestinationColumns {
  const { flows } = census
  const total = flows.destinationCount()
  const keys = flows.keys()
  const { destination, port, hold } = flows.columns()
  const inbound = listeners === census.tcpListeners ? census.accepts : createInboundTest(listeners)
  const twins = findTwins(census)

  const used = new Uint32Array(total)
  const timeWait = new Uint32Array(total)
  const taken = new Uint32Array(total)
  const takenAtMost = new Uint32Array(total)
  const takenFirstHalf = new Uint32Array(total)
  const takenLive = new Uint32Array(total)
  const reclaimable = new Uint32Array(total)
  const seen = new Uint8Array(total)
  let inboundFlows = census.accepted.count()
  let count = 0

  const { findFlow } = flows
  const flowCount = flows.flowCount()
  const facts = noteFacts(census, ports, { firstPort, lastPort, listeners, doubt })
  for (let flow = 0; flow < flowCount; flow++) {
    const index = destination[flow] ?? 0
    const local = port[flow] ?? 0
    const fact = facts[local] ?? 0
    if ((fact & FACT.listening) !== 0 && inbound(keys, index * KEY_WORDS, local)) {
      inboundFlows++
      continue
    }
    if (seen[index] === 0) {
      seen[index] = 1
      count++
    }
    if ((fact & FACT.usable) === 0) continue
    const held = hold[flow] ?? 0
    if (held === HOLD.reclaimable) {
      if ((fact & FACT.blocked) !== 0) continue
      increment(reclaimable, index)
      const mayHold = unknownReuse?.[index] === 1 && (fact & FACT.doubtful) === 0
      if (mayHold && local !== ports.neverVisited) increment(takenAtMost, index)
      continue
    }
    increment(used, index)
    if (held === HOLD.timeWait) increment(timeWait, index)
    if ((fact & FACT.blocked) !== 0 || local === ports.neverVisited) continue
    const twin = twins?.[index] ?? -1
    if (twin >= 0 && isHeld(hold, findFlow(twin, local))) continue
    increment(taken, index)
    if ((fact & FACT.doubtful) === 0) increment(takenAtMost, index)
    if (((local - firstPort) & 1) === 0) increment(takenFirstHalf, index)
    if (held !== HOLD.timeWait) increment(takenLive, index)
  }

  twins?.forEach((twin, index) => {
    if (twin < 0 || seen[index] === 0) return
    for (const column of [taken, takenAtMost, takenFirstHalf, takenLive]) {
      column[index] = (column[index] ?? 0) + (column[twin] ?? 0)
    }
  })
  const burden =
    twins === undefined
      ? used
      : used.map((ports, index) => (ports === 0 ? 0 : Math.max(ports, taken[index] ?? 0)))
  const columns = { used, burden, timeWait, taken, takenAtMost, takenFirstHalf, takenLive }
  return { count, ...columns, reclaimable, inboundFlows }
}

/** What matters of a port, as bits of one byte: each is asked for once for every connection. */
const FACT = { usable: 1, blocked: 2, doubtful: 4, listening: 8 } as const

function noteFacts(
  { portUse }: Census,
  { usable }: Ports,
  { firstPort, lastPort, listeners, doubt }: Omit<AccountContext, 'unknownReuse'>,
): Uint8Array {
  const facts = new Uint8Array(PORTS)
  for (let port = firstPort; port <= lastPort; port++) {
    const blocked = ((portUse[port] ?? 0) & BLOCKING) !== 0 ? FACT.blocked : 0
    const doubtful = doubt[port] !== 0 ? FACT.doubtful : 0
    facts[port] = (usable[port] !== 0 ? FACT.usable : 0) | blocked | doubtful
  }
  for (const { port } of listeners) facts[port] = (facts[port] ?? 0) | FACT.listening
  return facts
}

/**
 * The TCP listeners of this census, and earlier ones as long as a connection is left that they are known to have
 * accepted: whatever else is found at the port of a listener that has gone has taken the port since. `acceptedLeft`
 * tells that by port number.
 */
export function rememberListeners(
  census: Census,
  earlier: readonly Listener[],
  acceptedLeft: (port: number) => boolean,
): readonly Listener[] {
  const now = census.tcpListeners
  const known = new Set(now.map(nameListener))
  const gone = earlier.filter(
    (listener) => acceptedLeft(listener.port) && !known.has(nameListener(listener)),
  )
  return gone.length === 0 ? now : [...now, ...gone]
}

function nameListener({ port, address, ipv6Only }: Listener): string {
  return `${port} ${address.join()} ${ipv6Only}`
}

/**
 * Finds the same destination without the device, which pays for the connections that are bound to none; -1 for none.
 */
export function findTwin(flows: FlowTable, index: number): number {
  const key = copyKey(flows, index)
  if (key[KEY_DEVICE] === 0) return -1
  key[KEY_DEVICE] = 0
  return flows.findDestination(key)
}

/** Finds the twin of each destination, -1 for none; undefined without devices. */
function findTwins({ flows }: Census): Int32Array | undefined {
  const keys = flows.keys()
  const total = flows.destinationCount()
  let twins: Int32Array | undefined
  for (let index = 0; index < total; index++) {
    if (keys[index * KEY_WORDS + KEY_DEVICE] === 0) continue
    twins ??= new Int32Array(total).fill(-1)
    twins[index] = findTwin(flows, index)
  }
  return twins
}

function isHeld(hold: Uint8Array, flow: number): boolean {
  return flow >= 0 && hold[flow] !== HOLD.reclaimable
}
