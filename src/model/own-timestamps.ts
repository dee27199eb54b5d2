// Which connections have other TCP timestamps than net.ipv4.tcp_timestamps says now: what counts is what it was when
// they began, and no listing shows that of a TIME_WAIT. Memory x census -> what is known of each connection. A
// connection that begins while somebody looks follows the sysctl. Those that were there at the first look are seen one
// by one while they live, and are remembered until they go only if they differ
// (docs/development/port-model.md#what-listings-do-not-tell).

import { FLAG, type NetSettings, type SocketBatch, STATE } from '../observation.ts'
import { isLoopback } from './addresses.ts'
import { type Census, EXPIRY_SECONDS } from './census.ts'
import { PORTS } from './columns.ts'
import { KEY_DEVICE, KEY_WORDS, takeKey } from './flows.ts'
import { LOOPBACK_IFINDEX } from './reuse.ts'

/** Shows sockets, many at a time and always in the same batch. Returns undefined where they cannot be listed. */
export type ShowSockets = (see: (batch: SocketBatch) => void) => true | undefined

/** What is known of a connection. */
export const STAMPS = {
  /** It began under what the sysctl says now. */
  own: 0,
  /** It has timestamps and the sysctl is off, or the reverse. */
  other: 1,
  unknown: 2,
} as const

/** What one sample leaves for the next. */
export interface OwnMemory {
  readonly atSeconds: number
  readonly isOn: boolean
  readonly tcpTwReuse: number | undefined
  /** Undefined while nobody has seen the connections that were there before. */
  readonly rest: Rest | undefined
  /** Whether the sysctl has changed and nobody has seen since then which connections began before that. */
  readonly isLookDue: boolean
  /**
   * The end of the time in which TIME_WAITs may be there that ended while the look was due: nobody saw when they began.
   */
  readonly doubtUntilSeconds: number
}

/** Connections that do not follow the sysctl; row i of every column is one. */
interface Rest {
  readonly port: Uint16Array
  /** 30 bits of a hash of the destination, and the STAMPS. */
  readonly mark: Uint32Array
  /** Whole seconds until a TIME_WAIT is gone, NOT_WAITING for others. */
  readonly expirySeconds: Uint8Array
}

export interface OwnInput {
  readonly census: Census
  readonly settings: NetSettings
  readonly before: OwnMemory | undefined
  readonly atSeconds: number
  /** Shows live connections with FLAG.timestamps or FLAG.noTimestamps; undefined where nobody can, or not now. */
  readonly look: ShowSockets | undefined
}

export interface OwnNow {
  readonly memory: OwnMemory
  /** One of STAMPS by flow, valid until the next call; undefined where all follow the sysctl. */
  readonly stamps: Uint8Array | undefined
}

const NOT_WAITING = 255
const STAMPS_MASK = 3
/** Both times are whole seconds, and a sample takes its time. */
const ROUNDING_SECONDS = 2
/** Connections that are remembered in a namespace, seven bytes each. Where more would have to be, all are unknown. */
const MOST_ROWS = 262_144
const NOTHING: Rest = {
  ...{ port: new Uint16Array(0), mark: new Uint32Array(0), expirySeconds: new Uint8Array(0) },
}

/** Creates the function that tells it of one census after another, in the same working memory. */
export function createOwnTimestamps(): (input: OwnInput) => OwnNow {
  let stamps = new Uint8Array(0)
  const head = new Int32Array(PORTS)

  return ({ census, settings, before, atSeconds, look }) => {
    const { tcpTwReuse } = settings
    const isOn = Boolean(settings.tcpTimestamps)
    // What was left out under another tcp_tw_reuse may matter now.
    const known = before?.tcpTwReuse === tcpTwReuse ? before : undefined
    const isChanged = known !== undefined && known.isOn !== isOn
    let isLookDue = known?.rest !== undefined && (isChanged || known.isLookDue)
    const remember = (rest: Rest | undefined) => {
      // What ended since the last sample was never looked at either.
      const doubtUntilSeconds =
        isLookDue || known?.isLookDue
          ? atSeconds + EXPIRY_SECONDS
          : (known?.doubtUntilSeconds ?? -Infinity)
      return { atSeconds, isOn, tcpTwReuse, rest, isLookDue, doubtUntilSeconds }
    }
    const isNothing = known?.rest === undefined ? !mayRecycle(census, tcpTwReuse) : !isLookDue
    if (isNothing && (known?.rest ?? NOTHING).port.length === 0) {
      return { memory: remember(NOTHING), stamps: undefined }
    }

    const flows = census.flows.flowCount()
    if (stamps.length < flows) stamps = new Uint8Array(census.flows.columns().port.length)
    let isKnown = true
    if (known?.rest === undefined) {
      stamps.fill(STAMPS.unknown, 0, flows)
      isKnown = look !== undefined && seeLive(census, isOn, look, stamps)
    } else {
      stamps.fill(STAMPS.own, 0, flows)
      recall(census, known, { atSeconds, head, stamps })
      if (isChanged) turn(census, { isOn, passedSeconds: atSeconds - known.atSeconds, stamps })
      if (isLookDue && look) isLookDue = !seeLive(census, isOn, look, stamps)
    }
    const rest = isKnown ? collect(census, stamps) : undefined
    return { memory: remember(rest), stamps: rest === NOTHING ? undefined : stamps }
  }
}

/** Whether connect() could ever take over the port of some connection of the census. */
function mayRecycle({ flows }: Census, tcpTwReuse: number | undefined): boolean {
  if (tcpTwReuse === 1) return flows.flowCount() > 0
  if (tcpTwReuse !== 2) return false
  const keys = flows.keys()
  for (let index = 0; index < flows.destinationCount(); index++) {
    const at = index * KEY_WORDS
    if (isLoopback(keys, at) || isLoopback(keys, at + 4)) return true
    if (keys[at + KEY_DEVICE] === LOOPBACK_IFINDEX) return true
  }
  return false
}

/** Notes what live connections say. One that has not shaken hands yet follows the sysctl. */
function seeLive({ flows }: Census, isOn: boolean, look: ShowSockets, stamps: Uint8Array): boolean {
  const { state } = flows.columns()
  for (let flow = 0; flow < flows.flowCount(); flow++) {
    const isBeginning = state[flow] === STATE.synSent || state[flow] === STATE.synRecv
    if (isBeginning && stamps[flow] === STAMPS.unknown) stamps[flow] = STAMPS.own
  }
  const key = new Uint32Array(KEY_WORDS)
  const isShown = look((batch) => {
    for (let row = 0; row < batch.length; row++) {
      const flags = batch.flags[row] ?? 0
      if ((flags & (FLAG.timestamps | FLAG.noTimestamps)) === 0) continue
      takeKey(batch, row, key, 0)
      const destination = flows.findDestination(key)
      const flow = destination < 0 ? -1 : flows.findFlow(destination, batch.localPort[row] ?? 0)
      if (flow < 0) continue
      stamps[flow] = ((flags & FLAG.timestamps) !== 0) === isOn ? STAMPS.own : STAMPS.other
    }
  })
  return isShown === true
}

/** Notes the remembered connections that are still there. */
function recall(
  { flows }: Census,
  { rest = NOTHING, isOn, atSeconds: beforeSeconds }: OwnMemory,
  now: { readonly atSeconds: number; readonly head: Int32Array; readonly stamps: Uint8Array },
): void {
  const { port, mark, expirySeconds: remembered } = rest
  const { head, stamps } = now
  const next = new Int32Array(port.length)
  head.fill(0)
  for (let row = 0; row < port.length; row++) {
    const slot = slotOf(mark[row] ?? 0, port[row] ?? 0)
    next[row] = head[slot] ?? 0
    head[slot] = row + 1
  }
  const columns = flows.columns()
  const passedSeconds = now.atSeconds - beforeSeconds
  for (let flow = 0; flow < flows.flowCount(); flow++) {
    const local = columns.port[flow] ?? 0
    const hash = flows.hashOf(columns.destination[flow] ?? 0)
    let row = head[slotOf(hash, local)] ?? 0
    while (row > 0 && !isAt(rest, row - 1, hash, local)) row = next[row - 1] ?? 0
    if (row === 0) continue
    const stamp = (mark[row - 1] ?? 0) & STAMPS_MASK
    const left = remembered[row - 1] ?? 0
    const isWaiting = columns.state[flow] === STATE.timeWait
    // Retransmitted FINs prolong a TIME_WAIT. One that can be recycled has rather been so, and is another.
    const isFixed = isOn && stamp === STAMPS.other && left > passedSeconds + 1
    const most = Math.min(left, left - passedSeconds + ROUNDING_SECONDS)
    const isSame =
      left === NOT_WAITING || (isWaiting && (isFixed || (columns.expirySeconds[flow] ?? 0) <= most))
    if (isSame) stamps[flow] = stamp
  }
}

function isAt({ port, mark }: Rest, row: number, hash: number, local: number): boolean {
  return port[row] === local && (((mark[row] ?? 0) ^ hash) & ~STAMPS_MASK) === 0
}

/** Where a tenant chooses destinations nobody can foresee their hashes. */
function slotOf(mark: number, port: number): number {
  return ((mark >>> 2) ^ port) & (PORTS - 1)
}

/** The sysctl has changed: what followed it does not any more, and the reverse. */
function turn(
  { flows }: Census,
  now: { readonly isOn: boolean; readonly passedSeconds: number; readonly stamps: Uint8Array },
): void {
  const { isOn, passedSeconds, stamps } = now
  const { state, expirySeconds } = flows.columns()
  for (let flow = 0; flow < flows.flowCount(); flow++) {
    if (stamps[flow] === STAMPS.unknown) continue
    const isWaiting = state[flow] === STATE.timeWait
    const leastAgeSeconds = EXPIRY_SECONDS - (expirySeconds[flow] ?? 0) - 1
    // It may have begun since the last sample, before they were switched on or after that.
    if (isOn && isWaiting && leastAgeSeconds <= passedSeconds) stamps[flow] = STAMPS.unknown
    else stamps[flow] = stamps[flow] === STAMPS.own ? STAMPS.other : STAMPS.own
  }
}

/** What is to be remembered; undefined where that is too much. */
function collect({ flows }: Census, stamps: Uint8Array): Rest | undefined {
  const columns = flows.columns()
  const flowCount = flows.flowCount()
  let rows = 0
  for (let flow = 0; flow < flowCount; flow++) if (stamps[flow] !== STAMPS.own) rows++
  if (rows === 0) return NOTHING
  if (rows > MOST_ROWS) return undefined
  const rest = {
    port: new Uint16Array(rows),
    mark: new Uint32Array(rows),
    expirySeconds: new Uint8Array(rows),
  }
  let row = 0
  for (let flow = 0; flow < flowCount; flow++) {
    const stamp = stamps[flow] ?? 0
    if (stamp === STAMPS.own) continue
    const hash = flows.hashOf(columns.destination[flow] ?? 0)
    const isWaiting = columns.state[flow] === STATE.timeWait
    rest.port[row] = columns.port[flow] ?? 0
    rest.mark[row] = (hash & ~STAMPS_MASK) | stamp
    rest.expirySeconds[row++] = isWaiting ? (columns.expirySeconds[flow] ?? 0) : NOT_WAITING
  }
  return rest
}
