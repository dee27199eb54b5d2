// Names of the namespaces: each gets one and keeps it, also when the worker is started again. A pod that had to be
// called by its UID is renamed once, when its name is known. What somebody made who may call a cgroup like that of
// any container is named after the others.

import { chooseName, createNameRegister, isNamedByUid } from '../namespaces/names.ts'
import { shortenContainerId } from '../owners/cgroup-path.ts'
import { shortenLabel } from '../owners/label.ts'
import type { GivenName } from '../sample.ts'
import type { NetnsName } from '../snapshot.ts'
import type { NodeNames } from './node-names.ts'
import type { WatchList } from './watch-list.ts'
import { type Identity, isForgeable, isLasting, lastingKeyOf, type Watched } from './watched.ts'

export interface Naming {
  /**
   * Names those of which something is known by now. Returns all names by lasting key, those that earlier workers gave
   * to namespaces that still wait for them included; undefined where they are what they were, and while nobody sees who
   * is there.
   */
  nameAll(
    list: Pick<WatchList, 'all' | 'blind'>,
    nowSeconds: number,
  ): readonly GivenName[] | undefined
}

/** Leaves room for the `~2` of a second one. */
const MOST_NAME_BYTES = 250

/** `given`: names that earlier workers gave. */
export function createNaming(
  names: Pick<NodeNames, 'podNames'>,
  given: readonly GivenName[] = [],
): Naming {
  /** Names of earlier workers that are still to be given. */
  const left = new Map(given)
  const register = createNameRegister((name) =>
    [...left.values()].some(({ netns }) => netns === name),
  )
  let told: ReadonlyMap<string, NetnsName> = new Map(given)

  /** Takes the name out: it belongs to one namespace. */
  function takeGiven(key: string | undefined): NetnsName | undefined {
    if (key === undefined) return undefined
    const name = left.get(key)
    left.delete(key)
    return name
  }

  function choose({ identity }: Watched, nowSeconds: number): NetnsName | undefined {
    const { namespace } = identity
    const isHost = namespace.ofInit || identity.initial
    const name = chooseName({
      special: isHost ? 'host' : namespace.own ? 'self' : undefined,
      podUid: identity.podUid,
      pod: identity.pod,
      containerId: identity.containerId,
      names: namespace.names,
      inode: namespace.inode ?? namespace.netInode,
      ageSeconds: nowSeconds - identity.firstSeenSeconds,
      processAgeSeconds: namespace.processAgeSeconds,
      podNames: names.podNames(),
    })
    return name && { ...name, netns: shortenLabel(name.netns, MOST_NAME_BYTES) }
  }

  return {
    nameAll({ all: watched, blind }, nowSeconds) {
      register.retain(watched)
      const present = indexByLastingKey(watched.values())
      if (!blind) for (const key of left.keys()) if (!present.has(key)) left.delete(key)
      const due = [...watched]
        .filter(([, one]) => !isUnread(one) && isNameDue(one.identity))
        .toSorted(([, left], [, right]) => Number(isForgeable(left)) - Number(isForgeable(right)))
      const awaited = due.length > 0 ? listAwaited(watched.values()) : new Set()
      for (const [id, one] of due) {
        const { identity } = one
        if (isForgeable(one) && awaited.has(shortIdOf(one))) continue
        const key = isLasting(identity.namespace) ? lastingKeyOf(identity) : undefined
        const name = takeGiven(key) ?? choose(one, nowSeconds)
        if (name === undefined) continue
        if (identity.name !== undefined) register.take(identity.name.netns)
        identity.name = { ...name, netns: register.give(id, name.netns) }
      }
      if (blind) return undefined
      const before = told
      const names = [...present].map(([key, { name }]) => [key, name] as const)
      told = new Map([...left, ...names.filter(isNamed)])
      return isSame(told, before) ? undefined : [...told]
    },
  }
}

function indexByLastingKey(all: Iterable<Watched>): ReadonlyMap<string, Identity> {
  const lasting = [...all].filter(({ identity }) => isLasting(identity.namespace))
  return new Map(lasting.map(({ identity }) => [lastingKeyOf(identity), identity]))
}

function isNamed(entry: readonly [string, NetnsName | undefined]): entry is GivenName {
  return entry[1] !== undefined
}

function isSame(
  left: ReadonlyMap<string, NetnsName>,
  right: ReadonlyMap<string, NetnsName>,
): boolean {
  return left.size === right.size && [...left].every(([key, name]) => right.get(key) === name)
}

function isUnread({ last }: Watched): boolean {
  return last.state === undefined && last.readError === undefined
}

/** Containers whose own namespace is still to be read: its name is kept for it. */
function listAwaited(all: Iterable<Watched>): ReadonlySet<string | undefined> {
  const isAwaited = (one: Watched) => isUnread(one) && !one.published.leftOut && !isForgeable(one)
  return new Set([...all].filter(isAwaited).flatMap((one) => shortIdOf(one) ?? []))
}

function shortIdOf({ identity: { containerId } }: Watched): string | undefined {
  return containerId && shortenContainerId(containerId)
}

/** Whether it has no name yet, or the pod's name has come after its UID had to stand for it. */
function isNameDue({ name, podUid, pod }: Identity): boolean {
  if (name === undefined) return true
  return podUid !== undefined && pod !== undefined && isNamedByUid(name, podUid)
}
