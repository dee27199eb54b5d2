// What connect() does tells whether the TIME_WAITs of a destination can be recycled: memory x census -> where they
// cannot, and where they can. connect() goes on to the second half of the ports only when it has tried the whole first
// half in vain (docs/development/port-model.md#tcp-connect-without-bind). A connection that has come there, while old
// TIME_WAITs of its destination stood in the first half and nothing was free, is their proof. A TIME_WAIT that was
// replaced before its time was recycled.

import { type NetSettings, type PortRange, STATE } from '../observation.ts'
import { isSameRange } from '../port-ranges.ts'
import { type Census, EXPIRY_SECONDS } from './census.ts'
import { copyKey, HOLD } from './flows.ts'
import { BLOCKING, countPorts } from './ports.ts'

/** A destination that has the first half of the ports. */
interface Crowded {
  readonly key: Uint32Array
  readonly range: PortRange
  /** What its connection at each port of the range was, from the first port on: NONE, LIVE, or a TIME_WAIT. */
  readonly stood: Uint8Array
  readonly atSeconds: number
  /** Samples that proved that nothing is recycled, since the last one that told otherwise. */
  readonly proofs: number
}

/** What one sample leaves for the next. */
export type RecyclingMemory = readonly Crowded[]

export interface Recycling {
  readonly memory: RecyclingMemory
  /** Keys of the destinations whose TIME_WAITs connect() has passed by. */
  readonly passedBy: readonly Uint32Array[]
  /** Keys of those of which it has recycled some since the last sample. */
  readonly recycled: readonly Uint32Array[]
}

export interface RecyclingInput {
  readonly census: Census
  readonly settings: NetSettings
  readonly before: RecyclingMemory | undefined
  readonly atSeconds: number
  /** TIME_WAITs that look recyclable, by index of the destination. */
  readonly recyclable: Uint32Array
}

const NONE = 0
/** Or a TIME_WAIT that cannot be recycled for a known reason: that connect() passes it by proves nothing. */
const LIVE = 1
/** A TIME_WAIT is its seconds left plus this. */
const TIME_WAIT = 2
/** Share of the ports that are open in the first half: what has just ended may be missing. */
const CROWDED_RATIO = 0.98
/** TIME_WAITs of the first half that connect() must have passed by, and ports that are worth a look. */
const LEAST_PORTS = 8
/** Moments prove nothing. */
const LEAST_PROOFS = 3
/** A peer that sends its FIN again restarts a TIME_WAIT, which then looks replaced: as often in both halves. */
const LEAST_RATIO = 4
const MOST_DESTINATIONS = 4
/** Between what two samples say of one timer. */
const SLACK_SECONDS = 2

/** Compares the destinations that have the first half of the ports with what they had at the last sample. */
export function advanceRecycling(input: RecyclingInput): Recycling {
  const { census, settings, before = [], atSeconds } = input
  const { flows } = census
  const { range } = settings
  const next: Crowded[] = []
  const recycled: Uint32Array[] = []
  for (const [index, stood] of listCrowded(input)) {
    const key = copyKey(flows, index)
    const last = before.find(
      (one) => flows.findDestination(one.key) === index && isSameRange(one.range, range),
    )
    const change = last && compare(last, { stood, settings, atSeconds })
    if (change && change.recycled > change.second) recycled.push(key)
    next.push({ key, range, stood, atSeconds, proofs: judge(last?.proofs ?? 0, change) })
  }
  const passedBy = next.filter(({ proofs }) => proofs >= LEAST_PROOFS).map(({ key }) => key)
  return { memory: next, passedBy, recycled }
}

/** The destinations to which hardly a port of the first half is free, and what stands at the ports that are open. */
function listCrowded({ census, settings, recyclable }: RecyclingInput) {
  // Where connect() goes by steps the halves mean nothing.
  if ((settings.portStepWidth ?? 0) > 1) return []
  const most = [...recyclable.keys()]
    .filter((index) => (recyclable[index] ?? 0) >= LEAST_PORTS)
    .toSorted((left, right) => (recyclable[right] ?? 0) - (recyclable[left] ?? 0))
    .slice(0, MOST_DESTINATIONS)
  if (most.length === 0) return []
  const { usable, openFirstHalf } = countPorts(census, settings)
  return most
    .map((index) => [index, noteStanding(census, { usable, settings, index })] as const)
    .filter(([, stood]) => {
      const taken = stood.reduce((sum, is, at) => sum + (is !== NONE && (at & 1) === 0 ? 1 : 0), 0)
      return taken >= CROWDED_RATIO * openFirstHalf
    })
}

function noteStanding(
  { flows, portUse }: Census,
  {
    usable,
    settings: { range },
    index,
  }: { readonly usable: Uint8Array; readonly settings: NetSettings; readonly index: number },
): Uint8Array {
  const { destination, port, state, hold, expirySeconds } = flows.columns()
  const stood = new Uint8Array(range.last - range.first + 1)
  for (let flow = 0; flow < flows.flowCount(); flow++) {
    const local = port[flow] ?? 0
    const isOpen = usable[local] === 1 && ((portUse[local] ?? 0) & BLOCKING) === 0
    if (destination[flow] !== index || !isOpen) continue
    const isWaiting = state[flow] === STATE.timeWait && hold[flow] === HOLD.reclaimable
    stood[local - range.first] = isWaiting ? TIME_WAIT + (expirySeconds[flow] ?? 0) : LIVE
  }
  return stood
}

interface Change {
  /** TIME_WAITs of the first half that were there all the time and old enough. */
  readonly passed: number
  /** How many of them were replaced. */
  readonly recycled: number
  /** Connections that have come in the second half. */
  readonly second: number
}

function compare(
  last: Crowded,
  {
    stood,
    settings,
    atSeconds,
  }: { readonly stood: Uint8Array; readonly settings: NetSettings; readonly atSeconds: number },
): Change {
  const elapsed = atSeconds - last.atSeconds
  const delay = settings.tcpTwReuseDelayMs / 1000
  let [passed, recycled, second] = [0, 0, 0]
  stood.forEach((now, at) => {
    const was = last.stood[at] ?? NONE
    const left = was - TIME_WAIT - elapsed
    const isSame = now >= TIME_WAIT && now - TIME_WAIT <= left + SLACK_SECONDS
    const isWaiting = was >= TIME_WAIT
    if ((at & 1) === 0) {
      const isOld = isWaiting && EXPIRY_SECONDS - (was - TIME_WAIT) > delay + SLACK_SECONDS
      if (!isOld || left <= SLACK_SECONDS) return
      if (isSame) passed++
      else if (now !== NONE) recycled++
    } else if (now !== NONE && (was === NONE || (isWaiting && !isSame))) second++
  })
  return { passed, recycled, second }
}

function judge(proofs: number, change: Change | undefined): number {
  if (change === undefined) return proofs
  const { passed, recycled, second } = change
  if (passed >= LEAST_PORTS && second > LEAST_RATIO * recycled) return proofs + 1
  return recycled > second ? 0 : proofs
}
