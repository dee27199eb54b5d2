// Which namespaces are shown where there are more than the page is to have: anybody who may unshare makes as many as they
// like. The order is one that nobody can push others out of: named ones first, then by the age of the oldest process, and
// each user, pod or container has a small share of the rest. Pure but for what it notes of each.

import { BUSY_RATIO, DEFAULT_PORTS } from './urgency.ts'
import type { Watched } from './watched.ts'

export interface CrowdOptions {
  /** Namespaces shown, ours and the host's apart. As many again may be shown because they are busy or failing. */
  readonly most: number
  /** Whether an allocation was seen to fail in it lately. */
  readonly isFailing: (one: Watched) => boolean
}

/** Part of the namespaces that those of one user, pod or container may be, one that has a name of its own apart. */
const TENANT_SHARE = 0.02

/** Lists those that are shown; `leftOut` of each says whether it is. One that is left out is forgotten but for its name. */
export function chooseShown(all: Iterable<Watched>, options: CrowdOptions): readonly Watched[] {
  const { most } = options
  const watched = [...all]
  const always = watched.filter(isAlwaysShown)
  const byAge = watched.filter((one) => !isAlwaysShown(one)).sort(compareAge)
  const { named, others } = tellNamed(byAge)
  const isUrgent = (one: Watched) => couldBeBusy(one) || options.isFailing(one)
  const queue = [...named, ...limitTenants(others, Math.max(1, most * TENANT_SHARE), isUrgent)]
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

/** Named are those with a file in /run/netns, and the oldest one of each pod and container: the runtime made it. */
function tellNamed(byAge: readonly Watched[]): {
  readonly named: readonly Watched[]
  readonly others: readonly Watched[]
} {
  const met = new Set<string>()
  const named: Watched[] = []
  const others: Watched[] = []
  for (const one of byAge) {
    const { namespace, podUid, containerId } = one.identity
    const holder = podUid ?? containerId
    const isFirst = holder !== undefined && !met.has(holder)
    if (holder !== undefined) met.add(holder)
    if (isFirst || namespace.names.length > 0) named.push(one)
    else others.push(one)
  }
  return { named, others }
}

/** Those of root, outside of pods and containers, are nobody's who could not do worse. */
function tenantOf({ identity: { podUid, containerId, uid } }: Watched): string | undefined {
  const holder = podUid ?? containerId
  if (holder !== undefined) return holder
  return uid === undefined || uid === 0 ? undefined : `user ${uid}`
}

/** Of each tenant those that may be in trouble, then the oldest. */
function limitTenants(
  byAge: readonly Watched[],
  most: number,
  isUrgent: (one: Watched) => boolean,
): readonly Watched[] {
  const counts = new Map<string, number>()
  const kept = new Set<Watched>()
  for (const one of [...byAge.filter(isUrgent), ...byAge]) {
    const tenant = tenantOf(one)
    const count = tenant === undefined ? 0 : (counts.get(tenant) ?? 0)
    if (kept.has(one) || count >= most) continue
    kept.add(one)
    if (tenant !== undefined) counts.set(tenant, count + 1)
  }
  return byAge.filter((one) => kept.has(one))
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
