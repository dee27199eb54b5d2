// One namespace from sample to sample: who it is, what was read of it last, and what was published of it.

import type { NetNamespace } from '../namespaces/net-namespace.ts'
import type { ConntrackCounted, ConntrackCounters, Pod, ProbeOpens } from '../sample.ts'
import type { Namespace, NamespaceState, NetnsName, OwnerShare, Program } from '../snapshot.ts'
import { isCauseShown } from '../snapshot-pools.ts'
import { type LastRead, startLastRead } from './last-read.ts'

/** Who a namespace is. */
export interface Identity {
  namespace: NetNamespace
  readonly firstSeenSeconds: number
  name: NetnsName | undefined
  containerId: string | undefined
  podUid: string | undefined
  /** The pod, container, unit or user's slice that all the others are in which its cgroup path names. */
  outermostId: string | undefined
  pod: Pod | undefined
  /** The oldest process in it, and its real user; undefined where /proc does not tell. */
  oldest: Program | undefined
  uid: number | undefined
  /** Whether it is the initial namespace, as a look from inside has told. */
  initial: boolean
}

/** What the last sample published of a namespace. */
export interface Published {
  /** Whether all its rows are exported. */
  detailed: boolean
  /** Whether it is one too many: it is neither read nor shown then. */
  leftOut: boolean
  row: Namespace | undefined
  /** The state that the row was made of. */
  state: NamespaceState | undefined
}

export interface Watched {
  readonly identity: Identity
  readonly last: LastRead
  readonly published: Published
}

export function startWatching(namespace: NetNamespace, nowSeconds: number): Watched {
  return {
    identity: {
      namespace,
      firstSeenSeconds: nowSeconds,
      name: undefined,
      containerId: undefined,
      podUid: undefined,
      outermostId: undefined,
      pod: undefined,
      oldest: undefined,
      uid: undefined,
      initial: false,
    },
    last: startLastRead(),
    published: { detailed: false, leftOut: false, row: undefined, state: undefined },
  }
}

/** Lists the connections of our own probes that each namespace counts, by its lasting key. */
export function listProbeOpens(watched: Iterable<Watched>): ProbeOpens {
  return [...watched].flatMap(({ identity, last: { probeMemory } }) =>
    probeMemory.opens === 0 ? [] : [[lastingKeyOf(identity), probeMemory.opens] as const],
  )
}

/** Lists the counters of conntrack that have grown. */
export function listConntrackCounted(watched: Iterable<Watched>): ConntrackCounted {
  return [...watched].flatMap(({ identity, last: { nat } }) =>
    nat.counters !== undefined && Object.values(nat.counters).some((one) => (one?.total ?? 0) > 0)
      ? [[lastingKeyOf(identity), nat.counters] as const]
      : [],
  )
}

/** Counts by lasting key. */
export interface Counted {
  readonly opens: ReadonlyMap<string, number>
  readonly counted: ReadonlyMap<string, ConntrackCounters>
}

/** Gives a namespace that is met anew the counts that an earlier worker, or an earlier id, has left. */
export function recallCounts({ identity, last }: Watched, { opens, counted }: Counted): void {
  if (!isLasting(identity.namespace)) return
  const key = lastingKeyOf(identity)
  last.probeMemory.opens = opens.get(key) ?? 0
  last.nat.counters = counted.get(key)
}

/**
 * The user, other than root, who made the namespace in a user namespace of their own: its processes and cgroups are
 * what that user says they are. Undefined for all others.
 */
export function makerOf({
  identity: { namespace },
}: Pick<Watched, 'identity'>): number | undefined {
  const { makerUid } = namespace
  return makerUid === 0 || makerUid === 'privileged' ? undefined : makerUid
}

/**
 * The outermost pod, container, unit or user's slice of its cgroup path. A process in it can give cgroups any name,
 * but cannot leave it. Undefined where there is none, and where somebody made the namespace who had rights on the
 * machine.
 */
export function holderOf({ identity }: Pick<Watched, 'identity'>): string | undefined {
  const { namespace, outermostId, uid } = identity
  if (namespace.makerUid === 'privileged') return undefined
  const isRoots = namespace.makerUid === undefined && idOf(identity) === undefined && uid === 0
  return isRoots ? undefined : outermostId
}

/** Whether somebody without rights on the machine may have made it in a cgroup that they called what they liked. */
export function isForgeable(one: Pick<Watched, 'identity'>): boolean {
  if (makerOf(one) !== undefined) return true
  if (one.identity.namespace.makerUid === 'privileged') return false
  const holder = holderOf(one)
  return holder !== undefined && holder !== idOf(one.identity)
}

/** The pod or container that it is of. */
export function idOf({ podUid, containerId }: Identity): string | undefined {
  return podUid ?? containerId
}

/** The owners behind the pools that are nearly full or at risk. */
export function listSuspects(state: NamespaceState | undefined): readonly OwnerShare[] {
  return (state?.pools ?? [])
    .filter(isCauseShown)
    .flatMap(({ cause }) => cause?.owners.slice(0, 1) ?? [])
}

/** Whether lastingKeyOf() is no other namespace's: the kernel gives a freed inode away again. */
export function isLasting({ own, cookie, bornSeconds }: NetNamespace): boolean {
  return own || cookie !== undefined || bornSeconds !== undefined
}

/** Means the same to the next worker, which an id does not: a cookie is the kernel's. */
export function lastingKeyOf({ namespace }: Pick<Identity, 'namespace'>): string {
  const { own, cookie, inode, netInode, bornSeconds } = namespace
  if (own) return 'own'
  return cookie === undefined ? `inode/${inode ?? netInode} ${bornSeconds}` : `cookie/${cookie}`
}
