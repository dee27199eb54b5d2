// What a sample says of the namespaces: what is known of each -> its row, or its name alone where nothing has changed.

import { DEFAULT_NAT_RANGE, sizeOf } from '../model/nat/ranges.ts'
import type { Sample } from '../sample.ts'
import type { SamplingSettings } from '../settings.ts'
import type { ConntrackState, Namespace, NamespaceState, NatState } from '../snapshot.ts'
import { type LastRead, NO_PROGRAMS } from './last-read.ts'
import { NO_PROBES } from './prober.ts'
import { highestRisk, highestUtilization } from './urgency.ts'
import type { Watched } from './watched.ts'

/** Somebody who is paged wants to know because of whom, however few ports are in use. */
const RISKY = 0.5
const STILL_RISKY = 0.25
/** Rows appear at the limit and go again below three quarters of it, so that they do not flap. */
const LEAVE_RATIO = 0.75
const WIDEST_NAT_PORTS = sizeOf(DEFAULT_NAT_RANGE)

export interface PublishingOptions extends Pick<SamplingSettings, 'detailMinUtilization'> {
  /**
   * The process that stays in its own namespace; undefined where none does, or none that the node knows by its
   * number.
   */
  readonly ownPid?: number | undefined
}

/** Lists the rows in the order of the page, and notes what was published. */
export function publishAll(
  watched: Iterable<Watched>,
  { detailMinUtilization, ownPid }: PublishingOptions,
): Sample['namespaces'] {
  const rows: {
    readonly netns: string
    readonly own: boolean
    readonly row: Sample['namespaces'][number]
  }[] = []
  for (const one of watched) {
    const { published } = one
    published.detailed = isDetailed(one, detailMinUtilization)
    const row = describeNamespace(one, ownPid)
    if (row === undefined) continue
    const { own } = one.identity.namespace
    rows.push({ netns: row.netns, own, row: row === published.row ? row.netns : row })
    published.row = row
    published.state = one.last.state
  }
  return rows
    .sort((a, b) => Number(b.own) - Number(a.own) || (a.netns < b.netns ? -1 : 1))
    .map(({ row }) => row)
}

/**
 * Whether all rows are exported: always of our own namespace and of the host, else while some pool is used that much.
 */
function isDetailed({ identity, last, published }: Watched, minUtilization: number): boolean {
  if (identity.namespace.own || identity.name?.netnsKind === 'host') return true
  if (last.state === undefined) return published.detailed
  if (mayFill(last.nat.conntrack, minUtilization)) return true
  // Drops are shown, and alerts read them, however few entries there are.
  if (last.nat.conntrack?.dropSignature !== undefined) return true
  const state = withNatPools(last.state, last.nat.state)
  if (highestRisk(state) >= (published.detailed ? STILL_RISKY : RISKY)) return true
  const limit = published.detailed ? minUtilization * LEAVE_RATIO : minUtilization
  return highestUtilization(state) >= limit
}

/** Undefined while it has no name, or nothing was learned of it yet. */
function describeNamespace(one: Watched, ownPid: number | undefined): Namespace | undefined {
  const { identity, last, published } = one
  const { name, namespace, pod } = identity
  if (name === undefined || (last.state === undefined && last.readError === undefined)) {
    return undefined
  }
  const entrance = entranceOf(namespace, name.netnsKind === 'self' ? ownPid : undefined)
  if (published.row !== undefined && isPublished(one, published.row, entrance)) return published.row
  return {
    ...name,
    inode: namespace.inode,
    containerId: identity.containerId,
    podUid: identity.podUid,
    pod: pod && { namespace: pod.namespace, name: pod.name },
    oldest: oldestOf(one),
    entrance,
    programs: last.readError === undefined ? last.programs : NO_PROGRAMS,
    detailed: published.detailed,
    ...(last.readError === undefined && last.state !== undefined
      ? {
          state: published.detailed ? withNatPools(last.state, last.nat.state) : last.state,
          conntrack: last.nat.conntrack,
          nat: last.nat.state,
        }
      : { state: undefined, conntrack: undefined, nat: undefined }),
    failure: last.readError,
    allocationFailures: undefined,
    probes: probesOf(last),
  }
}

/** Other processes come first: this one is replaced at each restart. */
function entranceOf(
  { names, madeSeconds, pids }: Watched['identity']['namespace'],
  ownPid: number | undefined,
): Namespace['entrance'] {
  return { name: names[0], madeSeconds, pid: pids[0] ?? ownPid }
}

/** A number says nothing to anybody: the program may. */
function oldestOf({ identity }: Watched): Namespace['oldest'] {
  return identity.name?.netnsKind === 'inode' ? identity.oldest : undefined
}

/** Whether conntrack has so many entries that its table, or the widest NAT pool, could be used that much. */
function mayFill(conntrack: ConntrackState | undefined, minUtilization: number): boolean {
  if (conntrack === undefined) return false
  const { entries, limitEntries = WIDEST_NAT_PORTS } = conntrack
  return entries >= minUtilization * Math.min(WIDEST_NAT_PORTS, limitEntries) && entries > 0
}

/** The pools of a NAT are pools of the namespace that translates. */
function withNatPools(state: NamespaceState, nat: NatState | undefined): NamespaceState {
  return nat === undefined ? state : { ...state, pools: [...state.pools, ...nat.pools] }
}

/** What was tried when it was read last; nothing is known of one that cannot be read. */
function probesOf({ readError, probeMemory }: LastRead): Namespace['probes'] {
  return readError === undefined ? probeMemory.probes : NO_PROBES
}

/** Whether nothing has changed since that row was published. */
function isPublished(
  { identity, last, published }: Watched,
  row: Namespace,
  { name, madeSeconds, pid }: Namespace['entrance'],
): boolean {
  return (
    identity.name?.netns === row.netns &&
    last.readError === row.failure &&
    (last.readError !== undefined ||
      (last.state === published.state &&
        last.nat.conntrack === row.conntrack &&
        last.nat.state === row.nat)) &&
    published.detailed === row.detailed &&
    name === row.entrance.name &&
    madeSeconds === row.entrance.madeSeconds &&
    pid === row.entrance.pid &&
    probesOf(last) === row.probes &&
    identity.pod?.name === row.pod?.name &&
    identity.oldest?.program === (row.oldest ?? identity.oldest)?.program
  )
}
