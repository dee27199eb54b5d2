// Connections that the kernel refused although the sockets in sight leave ports: evidence about ports in doubt. Counted
// refusals x what is in doubt -> the ports that must be closed, so that the refusals are explained.

import type { NetSettings } from '../observation.ts'
import type { Destination } from '../snapshot.ts'
import { parseAddress, parseEndpoint } from './addresses.ts'
import { type Census, USE } from './census.ts'
import { HOLD, KEY_REMOTE_PORT, KEY_WORDS } from './flows.ts'
import { BLOCKING, type Ports } from './ports.ts'

/** A destination to which connect() found no port. Plain data. */
export interface Refusal extends Destination {
  /** Samples in which that was no burst. */
  readonly samples: number
  /** When the last such sample was, or the first refusal. */
  readonly atSeconds: number
  /** Ports that the sockets in sight left it in the last sample. */
  readonly claimedPorts: number
  /** Most ports that it had in a sample since the first refusal. */
  readonly mostPorts: number
  /** Whether what was in doubt was closed because of it in the last sample. */
  readonly isClosing: boolean
}

/** What one sample leaves for the next. */
export interface RefusalMemory {
  readonly refusals: readonly Refusal[]
  /**
   * Connections opened in the namespace so far, as of the last two samples, the older first; undefined where unknown.
   */
  readonly opened: readonly (number | undefined)[]
}

export interface RefusalsInput {
  readonly census: Census
  readonly settings: NetSettings
  readonly ports: Ports
  /** 1 at each port that may be closed to all although nothing shows it; 0 afterwards where it must be. */
  readonly doubt: Uint8Array
  /**
   * 1 at each port with connections of which only their parity tells that it is open to others, and at those in doubt.
   */
  readonly untested: Uint8Array
  readonly atSeconds: number
  /** Destinations that were refused since the last sample. */
  readonly refused: readonly Destination[]
  /** Connections opened in the namespace so far; undefined where unknown. */
  readonly opened: number | undefined
}

/** A moment proves nothing. */
const LEAST_SAMPLES = 3
/** How long a refusal is believed after the last one. */
const BELIEVED_SECONDS = 60
const MOST_REFUSALS = 16
/** Share of the capacity: under churn a few ports are free when the sockets are listed. */
const LEFT_RATIO = 0.02

/**
 * Learns from refusals, and marks in the census as closed what is in doubt, where it explains them: hardly a port would
 * be left to the destination. In doubt are also its TIME_WAITs, whatever its live connections say of timestamps, and
 * where the rest does not explain it, what parity has acquitted. A destination that gets more ports than it had refutes
 * them: others were refused, such as a client that confines itself to a slice of the range. A burst proves nothing
 * either that took the ports and gave them back before the sockets were listed: then as many connections were opened as
 * there were ports.
 */
export function applyRefusals(
  before: RefusalMemory | undefined,
  input: RefusalsInput,
): {
  readonly memory: RefusalMemory
  readonly isMarked: boolean
  /** Whether refusals have proved that not all is known, and be it that nothing explains them. */
  readonly isProof: boolean
} {
  const { atSeconds, opened, refused } = input
  const [older] = before?.opened ?? []
  const openedSince = opened === undefined || older === undefined ? Infinity : opened - older
  const nameOf = ({ source, destination }: Destination) => `${source} ${destination}`
  const earlier = new Map((before?.refusals ?? []).map((one) => [nameOf(one), one]))
  const now = new Map(refused.map((one) => [nameOf(one), one]))
  const refusals: Refusal[] = []
  let isMarked = false
  let isProof = false
  for (const [name, { source, destination }] of new Map([...now, ...earlier])) {
    const known = earlier.get(name)
    const standing = judge(input, { source, destination })
    if (standing === undefined || refusals.length === MOST_REFUSALS) continue
    const { claimedPorts, ownPorts } = standing
    const isRefuted = known !== undefined && ownPorts > known.mostPorts
    const mostPorts = Math.max(ownPorts, known?.mostPorts ?? 0)
    const isTold = now.has(name) && openedSince < Math.min(claimedPorts, known?.claimedPorts ?? 0)
    const samples = isRefuted ? 0 : (known?.samples ?? 0) + (isTold ? 1 : 0)
    const lastAtSeconds = isTold || known === undefined ? atSeconds : known.atSeconds
    if (atSeconds - lastAtSeconds >= BELIEVED_SECONDS) continue
    const isEnough = samples >= LEAST_SAMPLES
    const isClosing = isEnough && standing.close()
    if (isEnough) isProof = true
    if (isClosing) isMarked = true
    refusals.push({
      ...{ source, destination, samples, claimedPorts, mostPorts, isClosing },
      atSeconds: lastAtSeconds,
    })
  }
  const openedBefore = before?.opened.at(-1)
  return { memory: { refusals, opened: [openedBefore, opened] }, isMarked, isProof }
}

/** The destinations because of whose refusals something was closed, as keys of the flow table. */
export function listClosing({ refusals }: RefusalMemory): readonly Uint32Array[] {
  return refusals.filter(({ isClosing }) => isClosing).flatMap((one) => keyOf(one) ?? [])
}

interface Standing {
  readonly claimedPorts: number
  readonly ownPorts: number
  /** Marks what is in doubt; returns whether that is anything, and explains that nothing is left. */
  close(): boolean
}

/** Undefined where the text is no destination. */
function judge(input: RefusalsInput, refused: Destination): Standing | undefined {
  const { census, settings, ports, doubt, untested } = input
  const { flows, portUse } = census
  const { destination, port, hold } = flows.columns()
  const key = keyOf(refused)
  if (key === undefined) return undefined
  const index = flows.findDestination(key)
  const own = new Set<number>()
  const recyclable: number[] = []
  for (let flow = 0; index >= 0 && flow < flows.flowCount(); flow++) {
    if (destination[flow] !== index) continue
    if (hold[flow] === HOLD.reclaimable) recyclable.push(flow)
    own.add(port[flow] ?? 0)
  }
  const closing: number[] = []
  const acquitted: number[] = []
  let left = 0
  for (let local = settings.range.first; local <= settings.range.last; local++) {
    const isOpen = ports.usable[local] === 1 && ((portUse[local] ?? 0) & BLOCKING) === 0
    if (!isOpen || local === ports.neverVisited || own.has(local)) continue
    if (doubt[local] === 1) closing.push(local)
    else if (untested[local] === 1) acquitted.push(local)
    else left++
  }
  const inDoubt = closing.length + recyclable.length
  return {
    claimedPorts: left + acquitted.length + inDoubt,
    ownPorts: own.size,
    close() {
      const most = LEFT_RATIO * ports.tcp.capacity
      if (left > most || inDoubt + acquitted.length === 0) return false
      if (left + acquitted.length > most) closing.push(...acquitted)
      for (const local of closing) {
        portUse[local] = (portUse[local] ?? 0) | USE.hidden
        doubt[local] = 0
      }
      for (const flow of recyclable) hold[flow] = HOLD.timeWait
      return true
    },
  }
}

/** Undefined where the text is no address. */
function keyOf({ source, destination }: Destination): Uint32Array | undefined {
  const local = parseAddress(source)
  const remote = parseEndpoint(destination)
  if (local === undefined || remote === undefined) return undefined
  const key = new Uint32Array(KEY_WORDS)
  key.set(local)
  key.set(remote.address, 4)
  key[KEY_REMOTE_PORT] = remote.port
  return key
}
