// Names of the namespaces: each gets one once, and keeps it when the worker is started again.

import { chooseName, createNameRegister } from '../namespaces/names.ts'
import type { GivenName } from '../sample.ts'
import type { NetnsName } from '../snapshot.ts'
import type { NodeNames } from './node-names.ts'
import { isLasting, lastingKeyOf, type Watched } from './watched.ts'

export interface Naming {
  /** Names those of which something is known by now; returns the names it gave, by lasting key. */
  nameAll(watched: ReadonlyMap<number, Watched>, nowSeconds: number): readonly GivenName[]
}

/** `given`: names that earlier workers gave. */
export function createNaming(
  names: Pick<NodeNames, 'identify' | 'kubernetes'>,
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
      kubernetes: names.kubernetes,
    })
  }

  return {
    nameAll(watched, nowSeconds) {
      register.retain(watched)
      const named: GivenName[] = []
      for (const [id, one] of watched) {
        const { identity, last } = one
        names.identify(identity)
        const unread = last.state === undefined && last.failure === undefined
        if (identity.name !== undefined || unread) continue
        const key = isLasting(identity.namespace) ? lastingKeyOf(identity) : undefined
        const name = takeGiven(key) ?? choose(one, nowSeconds)
        if (name === undefined) continue
        identity.name = { ...name, netns: register.give(id, name.netns) }
        if (key !== undefined) named.push([key, identity.name])
      }
      return named
    },
  }
}
