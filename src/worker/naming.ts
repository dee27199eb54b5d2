// Names of the namespaces: each gets one and keeps it, also when the worker is started again. A pod that had to be called
// by its UID is renamed once, when its name is known.

import { chooseName, createNameRegister, isNamedByUid } from '../namespaces/names.ts'
import type { GivenName } from '../sample.ts'
import type { NetnsName } from '../snapshot.ts'
import type { NodeNames } from './node-names.ts'
import { type Identity, isLasting, lastingKeyOf, type Watched } from './watched.ts'

export interface Naming {
  /** Names those of which something is known by now; returns the names it gave, by lasting key. */
  nameAll(watched: ReadonlyMap<number, Watched>, nowSeconds: number): readonly GivenName[]
}

/** `given`: names that earlier workers gave. */
export function createNaming(
  names: Pick<NodeNames, 'podNames'>,
  given: readonly GivenName[] = [],
): Naming {
  const register = createNameRegister()
  const left = new Map(given)

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
    return chooseName({
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
  }

  return {
    nameAll(watched, nowSeconds) {
      register.retain(watched)
      const named: GivenName[] = []
      for (const [id, one] of watched) {
        const { identity, last } = one
        const unread = last.state === undefined && last.failure === undefined
        if (unread || (identity.name !== undefined && !isNameDue(identity))) continue
        const key = isLasting(identity.namespace) ? lastingKeyOf(identity) : undefined
        const name = takeGiven(key) ?? choose(one, nowSeconds)
        if (name === undefined) continue
        if (identity.name !== undefined) register.take(identity.name.netns)
        identity.name = { ...name, netns: register.give(id, name.netns) }
        if (key !== undefined) named.push([key, identity.name])
      }
      return named
    },
  }
}

/** Whether the pod's name has come after its UID had to stand for it. */
function isNameDue({ name, podUid, pod }: Identity): boolean {
  return (
    name !== undefined && podUid !== undefined && pod !== undefined && isNamedByUid(name, podUid)
  )
}
