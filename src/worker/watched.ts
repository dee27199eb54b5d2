// One namespace from sample to sample: what is remembered of it, and what is said of it.

import type { ModelState } from '../model/step.ts'
import type { Place } from '../namespaces/place.ts'
import type { Pod, ProbeOpens } from '../sample.ts'
import type { Namespace, NamespaceState, NetnsName } from '../snapshot.ts'
import { type ProbeMemory, startProbeMemory } from './prober.ts'
import type { Failure } from './read-failure.ts'
import { highestRisk, highestUtilization } from './urgency.ts'

export interface Watched {
  place: Place
  readonly firstSeenSeconds: number
  name: NetnsName | undefined
  containerId: string | undefined
  podUid: string | undefined
  pod: Pod | undefined
  /** Learned by looking from inside. */
  initial: boolean
  boundPorts: number | undefined
  model: ModelState | undefined
  state: NamespaceState | undefined
  failure: Failure | undefined
  /** Of a clock that never steps; undefined before the first read that succeeded. */
  readAtSeconds: number | undefined
  /** When its range was looked at last. */
  rangeAtSeconds: number
  /** When an allocation was last seen to fail in it. */
  failedAtSeconds: number
  detailed: boolean
  readonly probeMemory: ProbeMemory
  /** What was said of it last. */
  said: Namespace | undefined
}

/** Whoever is paged wants to know because of whom, however few ports are in use. */
const RISKY = 0.5
const STILL_RISKY = 0.25
const NO_PROBES: Namespace['probes'] = []
/** Rows appear at the limit and go again below three quarters of it, so that they do not flap. */
const LEAVE_RATIO = 0.75

export function listProbeOpens(watched: Iterable<Watched>): ProbeOpens {
  return [...watched].flatMap((one) =>
    one.probeMemory.opens === 0 ? [] : [[lastingKeyOf(one), one.probeMemory.opens] as const],
  )
}

/** To a namespace that is met anew. */
export function recallProbeOpens(one: Watched, opens: ReadonlyMap<string, number>): void {
  if (isLasting(one.place)) one.probeMemory.opens = opens.get(lastingKeyOf(one)) ?? 0
}

export function startWatching(place: Place, nowSeconds: number): Watched {
  return {
    place,
    firstSeenSeconds: nowSeconds,
    name: undefined,
    containerId: undefined,
    podUid: undefined,
    pod: undefined,
    initial: false,
    boundPorts: undefined,
    model: undefined,
    state: undefined,
    failure: undefined,
    readAtSeconds: undefined,
    rangeAtSeconds: 0,
    failedAtSeconds: Number.NEGATIVE_INFINITY,
    detailed: false,
    probeMemory: startProbeMemory(),
    said: undefined,
  }
}

/** Whether all its rows are exported: always of our own and of the host, else while some pool is used that much. */
export function isDetailed(one: Watched, minUtilization: number): boolean {
  if (one.place.own || one.name?.netnsKind === 'host') return true
  if (one.state === undefined) return one.detailed
  if (highestRisk(one.state) >= (one.detailed ? STILL_RISKY : RISKY)) return true
  const limit = one.detailed ? minUtilization * LEAVE_RATIO : minUtilization
  return highestUtilization(one.state) >= limit
}

/** Whether that key is no other namespace's: a freed inode is given away again. */
export function isLasting({ own, cookie, bornSeconds }: Place): boolean {
  return own || cookie !== undefined || bornSeconds !== undefined
}

/** Undefined while it has no name, or nothing was learned of it yet. */
export function describeNamespace(one: Watched): Namespace | undefined {
  const { name, place, pod, state, failure } = one
  if (name === undefined || (state === undefined && failure === undefined)) return undefined
  if (one.said !== undefined && isSaid(one, one.said)) return one.said
  return {
    ...name,
    inode: place.inode,
    containerId: one.containerId,
    podUid: one.podUid,
    pod: pod && { namespace: pod.namespace, name: pod.name },
    detailed: one.detailed,
    state: failure === undefined ? state : undefined,
    failure,
    allocationFailures: undefined,
    probes: probesOf(one),
  }
}

/** What was tried when it was read last; nothing is known of one that cannot be read. */
function probesOf({ failure, probeMemory }: Watched): Namespace['probes'] {
  return failure === undefined ? probeMemory.probes : NO_PROBES
}

/** Whether nothing has changed since. */
function isSaid(one: Watched, said: Namespace): boolean {
  return (
    one.failure === said.failure &&
    (one.failure !== undefined || one.state === said.state) &&
    one.detailed === said.detailed &&
    probesOf(one) === said.probes &&
    one.pod?.name === said.pod?.name
  )
}

/** Means the same to the next worker, as an id does not: a cookie is the kernel's. */
export function lastingKeyOf({ place }: Watched): string {
  const { own, cookie, inode, netInode, bornSeconds } = place
  if (own) return 'own'
  return cookie === undefined ? `inode/${inode ?? netInode} ${bornSeconds}` : `cookie/${cookie}`
}
