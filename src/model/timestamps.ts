// Which TIME_WAITs tcp_tw_reuse can recycle: only those of connections that negotiated TCP timestamps, which no dump of
// a TIME_WAIT shows. What is known of our own side, and what live connections to the same destination tell: memory x
// census -> who is known, and what is to be held.

import { type NetSettings, STATE } from '../observation.ts'
import { isLoopback } from './addresses.ts'
import type { Census } from './census.ts'
import { copyKey, HOLD, KEY_REMOTE_PORT, KEY_WORDS } from './flows.ts'
import { createInboundTest, type Listener, takeListener } from './listeners.ts'
import { createOwnTimestamps, type OwnMemory, type ShowSockets, STAMPS } from './own-timestamps.ts'
import { createComparison, takeBest } from './ranking.ts'
import { advanceRecycling, type Recycling, type RecyclingMemory } from './recycling.ts'

/**
 * Asks live connections to a destination: true where all have timestamps, false where none, undefined where none lives.
 */
export type AskTimestamps = (remote: {
  readonly address: readonly number[]
  readonly port: number
}) => boolean | 'mixed' | undefined

/**
 * What can be asked now; undefined where nobody can, or where it is not time to: an answer costs a walk over all
 * sockets.
 */
export interface TimestampQuestions {
  readonly askTimestamps?: AskTimestamps | undefined
  /** Shows live connections of the range with FLAG.timestamps or FLAG.noTimestamps. */
  readonly lookTimestamps?: ShowSockets | undefined
  /** Shows all TCP listeners. */
  readonly listListeners?: ShowSockets | undefined
}

interface Peer {
  readonly key: Uint32Array
  /** Mixed also where refusals prove that connections without timestamps were among them. */
  readonly hasTimestamps: ReturnType<AskTimestamps>
  readonly askedAtSeconds: number
  /** When that was learned. */
  readonly toldAtSeconds: number
}

interface Served {
  /** Hashes of destinations at which this host listens, as long as they have TIME_WAITs. */
  readonly hashes: ReadonlySet<number>
  /** When all listeners were listed for the last time. */
  readonly listedAtSeconds: number
}

/** What one sample leaves for the next. */
export interface TimestampMemory {
  readonly peers: readonly Peer[]
  readonly own: OwnMemory
  readonly served: Served
  /** Undefined where no TIME_WAIT looks recyclable. */
  readonly recycling: RecyclingMemory | undefined
}

export interface TimestampsInput {
  readonly census: Census
  readonly settings: NetSettings
  readonly before: TimestampMemory | undefined
  readonly atSeconds: number
  readonly questions: TimestampQuestions
  /** Keys of destinations that were refused ports although what live connections say would leave them some. */
  readonly refuted: readonly Uint32Array[]
}

export interface TimestampsNow {
  readonly memory: TimestampMemory
  /** 1 at the index of a destination of whose TIME_WAITs nobody knows; undefined where there is none. */
  readonly unknown: Uint8Array | undefined
  /**
   * Whether live connections told of others that are in TIME_WAIT, since one address may stand for several machines, or
   * whether some are held of which nobody knows.
   */
  readonly isInferred: boolean
}

/** Destinations with reclaimable ports that are asked for and remembered. */
const MOST_PEERS = 32
/** A program may change, or what stands behind an address. */
const BELIEVED_SECONDS = 300
/** A minute before that: at one moment perhaps no connection lives. */
const RENEW_SECONDS = 240
/** Where no live connection was found one may be made soon. */
const ASK_AGAIN_SECONDS = 10

const NOT_SERVED: Served = { hashes: new Set(), listedAtSeconds: -Infinity }

/**
 * Creates the function that holds the TIME_WAITs of a census that cannot be recycled. It asks each at most once a call.
 */
export function createTimestamps(): (input: TimestampsInput) => TimestampsNow {
  const advanceOwn = createOwnTimestamps()

  return (input) => {
    const { census, settings, before, atSeconds } = input
    const { flows } = census
    const { memory: own, stamps } = advanceOwn({
      ...input,
      before: before?.own,
      look: input.questions.lookTimestamps,
    })
    const nothing = {
      memory: { peers: before?.peers ?? [], own, served: NOT_SERVED, recycling: undefined },
      ...{ unknown: undefined, isInferred: false },
    }
    if (!census.hasReclaimableFlows) return nothing

    const { destination, hold, state } = flows.columns()
    /** Which STAMPS the live connections of a destination have, a bit each. */
    const lives = new Uint8Array(flows.destinationCount())
    const ports = new Uint32Array(flows.destinationCount())
    /** 1 where nobody knows of some whether our own side had timestamps. */
    const unknown = new Uint8Array(ports.length)
    let any = false
    let isHeldInDoubt = false
    for (let flow = 0; flow < flows.flowCount(); flow++) {
      const stamp = stamps?.[flow] ?? STAMPS.own
      const to = destination[flow] ?? 0
      if (state[flow] !== STATE.timeWait) lives[to] = (lives[to] ?? 0) | (1 << stamp)
      if (hold[flow] !== HOLD.reclaimable) continue
      const isDoubtful = stamp === STAMPS.unknown
      // Where they are off, they rather were so always: too few ports are better than too many.
      if (own.isOn ? stamp === STAMPS.other : stamp !== STAMPS.other) {
        hold[flow] = HOLD.timeWait
        if (isDoubtful || atSeconds < own.doubtUntilSeconds) isHeldInDoubt = true
        continue
      }
      any = true
      ports[to] = (ports[to] ?? 0) + 1
      if (isDoubtful || !own.isOn) unknown[to] = 1
    }
    if (!any) return { ...nothing, isInferred: isHeldInDoubt }
    // Connections of today say nothing of those of a time when our own side had timestamps.
    if (!own.isOn) return { ...nothing, unknown, isInferred: isHeldInDoubt }
    const served = findServed(input, ports)
    const recycling = advanceRecycling({
      ...{ census, settings, atSeconds, recyclable: ports },
      before: before?.recycling,
    })
    const peers = askOne({ ...input, recycling, lives }, ports, nothing.memory.peers)
    const told = new Map(peers.map((peer) => [flows.findDestination(peer.key), peer.hasTimestamps]))
    // All that live since before the first look have none: so had those of that time that have ended.
    const areOldHeld = (index: number) => lives[index] === 1 << STAMPS.other
    let isUnknown = false
    let isInferred = isHeldInDoubt
    ports.forEach((count, index) => {
      if (count === 0) return
      const peer = told.get(index)
      const isServed = served.hashes.has(flows.hashOf(index))
      // Where this host has timestamps, a peer without them is another one.
      if (peer === false || (peer === true && !isServed)) isInferred = true
      if (peer === false) {
        unknown[index] = 0
        return
      }
      if (unknown[index] === 1 && areOldHeld(index)) {
        unknown[index] = 0
        isInferred = true
      }
      if (peer !== true && (peer === 'mixed' || !isServed)) unknown[index] = 1
      if (unknown[index] === 1) isUnknown = true
    })
    for (let flow = 0; flow < flows.flowCount(); flow++) {
      if (hold[flow] !== HOLD.reclaimable) continue
      const to = destination[flow] ?? 0
      const isOld = stamps?.[flow] === STAMPS.unknown
      if (told.get(to) === false || (isOld && areOldHeld(to))) hold[flow] = HOLD.timeWait
    }
    const memory = { peers, own, served, recycling: recycling.memory }
    return { memory, unknown: isUnknown ? unknown : undefined, isInferred }
  }
}

/**
 * The destinations with reclaimable ports at which this host listens: it sends timestamps when we do. An address of
 * this host alone proves nothing, because its NAT rules may send such connections elsewhere.
 */
function findServed(
  { census: { flows }, before, atSeconds, questions: { listListeners: list } }: TimestampsInput,
  ports: Uint32Array,
): Served {
  const keys = flows.keys()
  const known = before?.served ?? NOT_SERVED
  const isOld = list !== undefined && atSeconds - known.listedAtSeconds >= RENEW_SECONDS
  const hashes = new Set<number>()
  const asked: number[] = []
  ports.forEach((count, index) => {
    if (count === 0 || !isOwnAddress(keys, index)) return
    const hash = flows.hashOf(index)
    if (known.hashes.has(hash) && !isOld) hashes.add(hash)
    else asked.push(index)
  })
  if (asked.length === 0 || list === undefined) return { ...known, hashes }
  const listeners: Listener[] = []
  list((batch) => {
    for (let row = 0; row < batch.length; row++) listeners.push(takeListener(batch, row, undefined))
  })
  const accepts = createInboundTest(listeners)
  for (const index of asked) {
    const at = index * KEY_WORDS
    if (accepts(keys, at + 4, keys[at + KEY_REMOTE_PORT] ?? 0)) hashes.add(flows.hashOf(index))
  }
  return { hashes, listedAtSeconds: isOld ? atSeconds : known.listedAtSeconds }
}

/** The peers of the destinations with the most reclaimable ports; one that is not known, or not any more, is asked. */
function askOne(
  {
    census: { flows },
    atSeconds,
    questions: { askTimestamps: ask },
    refuted,
    recycling: { passedBy, recycled },
    lives,
  }: TimestampsInput & { readonly recycling: Recycling; readonly lives: Uint8Array },
  ports: Uint32Array,
  before: readonly Peer[],
): readonly Peer[] {
  const known = new Map(before.map((peer) => [flows.findDestination(peer.key), peer]))
  const note = (key: Uint32Array, hasTimestamps: Peer['hasTimestamps']) =>
    known.set(flows.findDestination(key), {
      ...{ key, hasTimestamps, askedAtSeconds: atSeconds, toldAtSeconds: atSeconds },
    })
  for (const key of refuted) {
    // The TIME_WAITs of a peer of which no connection has any are held already.
    if (known.get(flows.findDestination(key))?.hasTimestamps !== false) note(key, 'mixed')
  }
  for (const key of recycled) {
    if (known.get(flows.findDestination(key))?.hasTimestamps === false) note(key, 'mixed')
  }
  for (const key of passedBy) note(key, false)
  const best = takeBest(ports, MOST_PEERS, createComparison(flows, [ports]))
  const isDue = (index: number) => {
    const peer = known.get(index)
    if (peer === undefined) return true
    const isFresh =
      peer.hasTimestamps !== undefined && atSeconds - peer.toldAtSeconds < RENEW_SECONDS
    return !isFresh && atSeconds - peer.askedAtSeconds >= ASK_AGAIN_SECONDS
  }
  // One that was never asked comes before none whose answer is about to be dropped.
  const askedAt = (index: number) => known.get(index)?.askedAtSeconds ?? atSeconds - RENEW_SECONDS
  const [due] = best.filter(isDue).toSorted((left, right) => askedAt(left) - askedAt(right))
  if (ask !== undefined && due !== undefined) {
    const key = copyKey(flows, due)
    const said = ask({ address: [...key.slice(4, 8)], port: key[KEY_REMOTE_PORT] ?? 0 })
    // Where some began before our own side had timestamps, those may be the ones without.
    const areAllOwn = (livesTo(flows, lives, key) & ~(1 << STAMPS.own)) === 0
    const answer = said === true || areAllOwn ? said : undefined
    const peer = known.get(due)
    const isKept = answer === undefined && peer !== undefined
    if (isKept) known.set(due, { ...peer, askedAtSeconds: atSeconds })
    else note(key, answer)
  }
  for (const [index, peer] of known) {
    if (atSeconds - peer.toldAtSeconds < BELIEVED_SECONDS) continue
    known.set(index, { ...peer, hasTimestamps: undefined })
  }
  const here = new Set(best)
  // Destinations without reclaimable ports now may have some again.
  const others = before.filter(
    ({ key, toldAtSeconds }) =>
      !here.has(flows.findDestination(key)) && atSeconds - toldAtSeconds < BELIEVED_SECONDS,
  )
  return [...best.flatMap((index) => known.get(index) ?? []), ...others].slice(0, MOST_PEERS)
}

/** The STAMPS of what lives to a remote address and port, from whatever source: those answer as well. */
function livesTo(flows: Census['flows'], lives: Uint8Array, key: Uint32Array): number {
  const keys = flows.keys()
  const remote = [4, 5, 6, 7, KEY_REMOTE_PORT]
  return lives.reduce((all, some, index) => {
    const isThere = remote.every((word) => keys[index * KEY_WORDS + word] === key[word])
    return isThere ? all | some : all
  }, 0)
}

/** Whether the address of the other end is of this host. */
function isOwnAddress(keys: Uint32Array, index: number): boolean {
  const at = index * KEY_WORDS
  if (isLoopback(keys, at) || isLoopback(keys, at + 4)) return true
  return [0, 1, 2, 3].every((word) => keys[at + word] === keys[at + 4 + word])
}
