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
  /** Samples that counted some. */
  readonly samples: number
  readonly atSeconds: number
}

/** A burst that is over before the next sample is refused too: one sample proves nothing. */
const LEAST_SAMPLES = 3
/** Since the last refusal. */
const BELIEVED_SECONDS = 60
const MOST_REFUSALS = 16
/** Of the capacity: under churn a few ports are free when the sockets are listed. */
const LEFT_RATIO = 0.02

/** Adds what was counted since the last sample, newest first, and forgets what is over. */
export function advanceRefusals(
  before: readonly Refusal[],
  refused: readonly Destination[],
  atSeconds: number,
): readonly Refusal[] {
  const nameOf = ({ source, destination }: Destination) => `${source} ${destination}`
  const names = new Set(refused.map(nameOf))
  const earlier = new Map(before.map((one) => [nameOf(one), one]))
  const now = [...new Map(refused.map((one) => [nameOf(one), one])).values()].map(
    ({ source, destination }): Refusal => {
      const samples = 1 + (earlier.get(nameOf({ source, destination }))?.samples ?? 0)
      return { source, destination, samples, atSeconds }
    },
  )
  const others = before.filter(
    (one) => !names.has(nameOf(one)) && atSeconds - one.atSeconds < BELIEVED_SECONDS,
  )
  return [...now, ...others].slice(0, MOST_REFUSALS)
}

export interface RefusalsInput {
  readonly census: Census
  readonly settings: NetSettings
  readonly ports: Ports
  /** 1 at each port that may be closed to all although nothing shows it; 0 afterwards where it must be. */
  readonly doubt: Uint8Array
  /** As in AccountContext. */
  readonly unknownReuse: Uint8Array | undefined
  readonly refusals: readonly Refusal[]
}

/**
 * Marks in the census as closed what is in doubt, where that alone explains the refusals: hardly a port would be left to the
 * destination. Whatever else refuses, such as a slice of the range that a client confines itself to, changes nothing. Returns
 * whether anything was marked.
 */
export function applyRefusals(input: RefusalsInput): boolean {
  let isMarked = false
  for (const refusal of input.refusals) {
    if (refusal.samples >= LEAST_SAMPLES && explain(input, refusal)) isMarked = true
  }
  return isMarked
}

function explain(input: RefusalsInput, refusal: Refusal): boolean {
  const { census, settings, ports, doubt, unknownReuse } = input
  const { flows, portUse } = census
  const { destination, port, hold } = flows.columns()
  const key = keyOf(refusal)
  if (key === undefined) return false
  const index = flows.findDestination(key)
  const isUnknown = index >= 0 && unknownReuse?.[index] === 1
  const own = new Set<number>()
  const recyclable: number[] = []
  for (let flow = 0; index >= 0 && flow < flows.flowCount(); flow++) {
    if (destination[flow] !== index) continue
    if (hold[flow] === HOLD.reclaimable) {
      if (!isUnknown) continue
      recyclable.push(flow)
    }
    own.add(port[flow] ?? 0)
  }

  const closing: number[] = []
  let left = 0
  for (let local = settings.range.first; local <= settings.range.last; local++) {
    const isOpen = ports.usable[local] === 1 && ((portUse[local] ?? 0) & BLOCKING) === 0
    if (!isOpen || local === ports.neverVisited || own.has(local)) continue
    if (doubt[local] === 1) closing.push(local)
    else left++
  }
  const isNews = closing.length + recyclable.length > 0
  if (!isNews || left > LEFT_RATIO * ports.tcp.capacity) return false
  for (const local of closing) {
    portUse[local] = (portUse[local] ?? 0) | USE.hidden
    doubt[local] = 0
  }
  for (const flow of recyclable) hold[flow] = HOLD.timeWait
  return true
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
