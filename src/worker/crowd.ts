// Which namespaces are shown where there are more than the page is to have: anybody who may unshare makes as many as
// they like, in cgroups that they call as they like. The order is one that nobody can push others out of: named ones
// first, then by the age of the oldest process, and each user, pod or container has a small share of the rest. What a
// user has made in a user namespace of their own is theirs, whatever its cgroup says, and the outermost pod's,
// container's, unit's or user's in which they made it: root in there is whatever user it likes. Pure but for what it
// notes of each.

import { forgetRead } from './last-read.ts'
import { BUSY_RATIO, DEFAULT_PORTS } from './urgency.ts'
import { holderOf, idOf, makerOf, type Watched } from './watched.ts'

export interface CrowdOptions {
  /** Namespaces shown, ours and the host's apart. As many again may be shown because they are busy or failing. */
  readonly most: number
  /** Whether an allocation was seen to fail in it lately. */
  readonly isFailing: (one: Watched) => boolean
}

/** Part of the namespaces that those of one user, pod or container may be, one that has a name of its own apart. */
const TENANT_SHARE = 0.02
/**
 * Part for what one user's own runtime, such as rootless Podman, calls its containers, one namespace of each, and for
 * all that is made in user namespaces in one pod or container.
 */
const CONTAINER_SHARE = 0.1

/**
 * Lists those that are shown; `leftOut` of each says whether it is. One that is left out is forgotten but for its name.
 */
export function chooseShown(all: Iterable<Watched>, options: CrowdOptions): readonly Watched[] {
  const { most } = options
  const watched = [...all]
  const always = watched.filter(isAlwaysShown)
  const byAge = watched.filter((one) => !isAlwaysShown(one)).sort(compareAge)
  const { named, others } = tellNamed(byAge)
  const isUrgent = (one: Watched) => couldBeBusy(one) || options.isFailing(one)
  const queue = [...named, ...limitTenants(others, most, isUrgent)]
  const urgent = queue.slice(most).filter(isUrgent).slice(0, most)
  const shown = new Set([...always, ...queue.slice(0, most), ...urgent])
  for (const one of watched) note(one, !shown.has(one))
  return watched.filter((one) => shown.has(one))
}

function isAlwaysShown({ identity }: Watched): boolean {
  return identity.namespace.own || identity.namespace.ofInit || identity.initial
}

/** What was made first comes first. */
function compareAge({ identity: left }: Watched, { identity: right }: Watched): number {
  const born = left.namespace.bornSeconds ?? Infinity
  const rival = right.namespace.bornSeconds ?? Infinity
  return born === rival ? left.namespace.id - right.namespace.id : born < rival ? -1 : 1
}

/** Whose a namespace is. */
interface Tenant {
  readonly name: string
  /** Part of the namespaces that the tenant may have. */
  readonly share: number
}

/** One that has no name. */
interface Other {
  readonly one: Watched
  /** Each of them must have a place for it; none where it is of nobody who could not do worse. */
  readonly tenants: readonly Tenant[]
}

/** Named are those with a file in /run/netns, and the oldest one of each pod and container: the runtime made it. */
function tellNamed(byAge: readonly Watched[]): {
  readonly named: readonly Watched[]
  readonly others: readonly Other[]
} {
  const met = new Set<string>()
  const named: Watched[] = []
  const others: Other[] = []
  for (const one of byAge) {
    const { namespace } = one.identity
    const maker = makerOf(one)
    const id = idOf(one.identity)
    const within = holderOf(one)
    const hands = within === id ? undefined : within
    // Nobody is the first of somebody else's container.
    const holder = id && JSON.stringify([id, maker, hands])
    const isFirst = holder !== undefined && !met.has(holder)
    if (holder !== undefined) met.add(holder)
    const isRuntimes = maker === undefined && hands === undefined
    if (namespace.names.length > 0 || (isFirst && isRuntimes)) named.push(one)
    else others.push({ one, tenants: [listHolder(one, isFirst, hands), listWithin(within)].flat() })
  }
  return { named, others }
}

/** `hands`: whose hands it is in, other than its own: what they call it takes nothing from others of that name. */
function listHolder(one: Watched, isFirst: boolean, hands: string | undefined): readonly Tenant[] {
  const { uid } = one.identity
  const maker = makerOf(one)
  // A user is one in all hands: whose those are is told by cgroups, which the user may have made.
  if (isFirst && maker !== undefined) {
    return [{ name: `containers of user ${maker}`, share: CONTAINER_SHARE }]
  }
  const id = idOf(one.identity)
  const user = maker ?? (id === undefined && uid !== 0 ? uid : undefined)
  if (user !== undefined) return [{ name: `user ${user}`, share: TENANT_SHARE }]
  return id === undefined ? [] : [{ name: JSON.stringify([id, hands]), share: TENANT_SHARE }]
}

function listWithin(id: string | undefined): readonly Tenant[] {
  return id === undefined ? [] : [{ name: `made in ${id}`, share: CONTAINER_SHARE }]
}

/** Keeps the share of each tenant: the namespaces that may be in trouble, then the oldest. */
function limitTenants(
  byAge: readonly Other[],
  most: number,
  isUrgent: (one: Watched) => boolean,
): readonly Watched[] {
  const counts = new Map<string, number>()
  const kept = new Set<Watched>()
  const countOf = ({ name }: Tenant) => counts.get(name) ?? 0
  const isFull = (tenant: Tenant) => countOf(tenant) >= Math.max(1, most * tenant.share)
  for (const { one, tenants } of [...byAge.filter((other) => isUrgent(other.one)), ...byAge]) {
    if (kept.has(one) || tenants.some(isFull)) continue
    kept.add(one)
    for (const tenant of tenants) counts.set(tenant.name, countOf(tenant) + 1)
  }
  return byAge.map(({ one }) => one).filter((one) => kept.has(one))
}

function couldBeBusy({ last: { boundPorts, state } }: Watched): boolean {
  return (boundPorts ?? 0) >= BUSY_RATIO * (state?.settings.usablePorts ?? DEFAULT_PORTS)
}

function note({ last, published }: Watched, leftOut: boolean): void {
  if (leftOut && !published.leftOut) {
    forgetRead(last)
    published.row = undefined
    published.state = undefined
  }
  published.leftOut = leftOut
}
