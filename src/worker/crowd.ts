// Which namespaces are shown where there are more than the page is to have: anybody who may unshare makes as many as they
// like, in cgroups that they call as they like. The order is one that nobody can push others out of: named ones first, then
// by the age of the oldest process, and each user, pod or container has a small share of the rest. What a user has made in a
// user namespace of their own is theirs, whatever its cgroup says. Pure but for what it notes of each.

import { BUSY_RATIO, DEFAULT_PORTS } from './urgency.ts'
import { makerOf, type Watched } from './watched.ts'

export interface CrowdOptions {
  /** Namespaces shown, ours and the host's apart. As many again may be shown because they are busy or failing. */
  readonly most: number
  /** Whether an allocation was seen to fail in it lately. */
  readonly isFailing: (one: Watched) => boolean
}

/** Part of the namespaces that those of one user, pod or container may be, one that has a name of its own apart. */
const TENANT_SHARE = 0.02
/** The same for what one user's own runtime, such as rootless Podman, calls its containers: one namespace of each. */
const CONTAINER_SHARE = 0.1

/** Lists those that are shown; `leftOut` of each says whether it is. One that is left out is forgotten but for its name. */
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

/** One that has no name. */
interface Other {
  readonly one: Watched
  /** Whose it is; undefined where that is nobody who could not do worse. */
  readonly tenant: string | undefined
  /** Part of the namespaces that the tenant may have. */
  readonly share: number
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
    const { namespace, podUid, containerId, uid } = one.identity
    const maker = makerOf(one)
    const id = podUid ?? containerId
    // Nobody is the first of somebody else's container.
    const holder = id && [id, maker].join()
    const isFirst = holder !== undefined && !met.has(holder)
    if (holder !== undefined) met.add(holder)
    if (namespace.names.length > 0 || (isFirst && maker === undefined)) named.push(one)
    else if (isFirst) {
      others.push({ one, tenant: `containers of user ${maker}`, share: CONTAINER_SHARE })
    } else {
      const user = maker ?? (id === undefined && uid !== 0 ? uid : undefined)
      const tenant = user === undefined ? id : `user ${user}`
      others.push({ one, tenant, share: TENANT_SHARE })
    }
  }
  return { named, others }
}

/** Of each tenant those that may be in trouble, then the oldest. */
function limitTenants(
  byAge: readonly Other[],
  most: number,
  isUrgent: (one: Watched) => boolean,
): readonly Watched[] {
  const counts = new Map<string, number>()
  const kept = new Set<Watched>()
  for (const { one, tenant, share } of [
    ...byAge.filter((other) => isUrgent(other.one)),
    ...byAge,
  ]) {
    const count = tenant === undefined ? 0 : (counts.get(tenant) ?? 0)
    if (kept.has(one) || count >= Math.max(1, most * share)) continue
    kept.add(one)
    if (tenant !== undefined) counts.set(tenant, count + 1)
  }
  return byAge.map(({ one }) => one).filter((one) => kept.has(one))
}

function couldBeBusy({ last: { boundPorts, state } }: Watched): boolean {
  return (boundPorts ?? 0) >= BUSY_RATIO * (state?.settings.usablePorts ?? DEFAULT_PORTS)
}

function note({ last, published }: Watched, leftOut: boolean): void {
  if (leftOut && !published.leftOut) {
    last.model = undefined
    last.state = undefined
    last.failure = undefined
    last.readAtSeconds = undefined
    published.row = undefined
    published.state = undefined
  }
  published.leftOut = leftOut
}
