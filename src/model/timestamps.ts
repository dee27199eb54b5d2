// Which TIME_WAITs tcp_tw_reuse can recycle: only those of connections that negotiated TCP timestamps, which no dump of a
// TIME_WAIT shows. Live connections to the same destination tell: memory x census -> who is known, and what is to be held.

import type { NetSettings } from '../observation.ts'
import { isLoopback } from './addresses.ts'
import { type Census, EXPIRY_SECONDS } from './census.ts'
import { copyKey, HOLD, KEY_REMOTE_PORT, KEY_WORDS } from './flows.ts'
import { createComparison, takeBest } from './ranking.ts'
import { advanceRecycling, type Recycling, type RecyclingMemory } from './recycling.ts'

/** Asks live connections to a destination: true where all have timestamps, false where none, undefined where none lives. */
export type AskTimestamps = (remote: {
  readonly address: readonly number[]
  readonly port: number
}) => boolean | 'mixed' | undefined

interface Peer {
  readonly key: Uint32Array
  /** Mixed also where refusals prove that connections without timestamps were among them. */
  readonly hasTimestamps: ReturnType<AskTimestamps>
  readonly askedAtSeconds: number
  /** When that was learned. */
  readonly toldAtSeconds: number
}

/** What one sample leaves for the next. */
export interface TimestampMemory {
  readonly peers: readonly Peer[]
  /** net.ipv4.tcp_timestamps of the last sample, and since when it is another than before; undefined: as far as is known. */
  readonly own: number | undefined
  readonly changedAtSeconds: number | undefined
  /** When that was looked at for the first time: what it was before nobody knows. */
  readonly firstAtSeconds: number
  /** Undefined where no TIME_WAIT looks recyclable. */
  readonly recycling: RecyclingMemory | undefined
}

export interface TimestampsInput {
  readonly census: Census
  readonly settings: NetSettings
  readonly before: TimestampMemory | undefined
  readonly atSeconds: number
  /** Undefined where nobody can ask, or where it is not time to: an answer costs a walk over all sockets. */
  readonly ask: AskTimestamps | undefined
  /** Keys of destinations that were refused ports although what live connections say would leave them some. */
  readonly refuted: readonly Uint32Array[]
}

export interface TimestampsNow {
  readonly memory: TimestampMemory
  /** 1 at the index of a destination of whose TIME_WAITs nobody knows; undefined where there is none. */
  readonly unknown: Uint8Array | undefined
  /** Whether live connections told of others that are in TIME_WAIT: one address may stand for several machines. */
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

/** Holds the TIME_WAITs of the census that cannot be recycled. Asks at most once a call. */
export function advanceTimestamps(input: TimestampsInput): TimestampsNow {
  const { census, settings, before, atSeconds } = input
  const { flows } = census
  const own = settings.tcpTimestamps
  const isChanged = before !== undefined && before.own !== own
  const changedAtSeconds = isChanged ? atSeconds : before?.changedAtSeconds
  const firstAtSeconds = before?.firstAtSeconds ?? atSeconds
  const memory = { peers: before?.peers ?? [], own, changedAtSeconds, firstAtSeconds }
  const forgetting = { ...memory, recycling: undefined }
  const nothing = { memory: forgetting, unknown: undefined, isInferred: false }
  if (!census.hasReclaimableFlows) return nothing

  const { destination, hold, expirySeconds } = flows.columns()
  const ports = new Uint32Array(flows.destinationCount())
  /** 1 where some began before anybody looked. */
  const older = new Uint8Array(ports.length)
  let any = false
  for (let flow = 0; flow < flows.flowCount(); flow++) {
    if (hold[flow] !== HOLD.reclaimable) continue
    const ageSeconds = EXPIRY_SECONDS - (expirySeconds[flow] ?? 0)
    if (changedAtSeconds !== undefined && ageSeconds > atSeconds - changedAtSeconds) {
      // What began without timestamps never has them.
      hold[flow] = HOLD.timeWait
      continue
    }
    any = true
    const to = destination[flow] ?? 0
    ports[to] = (ports[to] ?? 0) + 1
    if (ageSeconds > atSeconds - firstAtSeconds) older[to] = 1
  }
  if (!any) return nothing
  const recycling = advanceRecycling({
    ...{ census, settings, atSeconds, recyclable: ports },
    before: before?.recycling,
  })
  const peers = askOne({ ...input, recycling }, ports, memory.peers)
  const told = new Map(peers.map((peer) => [flows.findDestination(peer.key), peer.hasTimestamps]))
  const unknown = new Uint8Array(flows.destinationCount())
  let isUnknown = false
  let isInferred = false
  ports.forEach((count, index) => {
    if (count === 0) return
    const peer = told.get(index)
    const isOwn = isOwnPeer(flows.keys(), index)
    if (typeof peer === 'boolean' && !isOwn) isInferred = true
    if (peer === false) return
    const isPeerKnown = peer === true || (peer === undefined && isOwn)
    if (isPeerKnown && older[index] === 0) return
    unknown[index] = 1
    isUnknown = true
  })
  for (let flow = 0; flow < flows.flowCount(); flow++) {
    const isHeld = hold[flow] === HOLD.reclaimable && told.get(destination[flow] ?? 0) === false
    if (isHeld) hold[flow] = HOLD.timeWait
  }
  const next = { ...memory, peers, recycling: recycling.memory }
  return { memory: next, unknown: isUnknown ? unknown : undefined, isInferred }
}

/** The peers of the destinations with the most reclaimable ports; one that is not known, or not any more, is asked. */
function askOne(
  {
    census: { flows },
    atSeconds,
    ask,
    refuted,
    recycling: { passedBy, recycled },
  }: TimestampsInput & { readonly recycling: Recycling },
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
    const answer = ask({ address: [...key.slice(4, 8)], port: key[KEY_REMOTE_PORT] ?? 0 })
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

/** Whether the other end is this host: it sends timestamps when we do. */
function isOwnPeer(keys: Uint32Array, index: number): boolean {
  const at = index * KEY_WORDS
  if (isLoopback(keys, at) || isLoopback(keys, at + 4)) return true
  return [0, 1, 2, 3].every((word) => keys[at + word] === keys[at + 4 + word])
}
