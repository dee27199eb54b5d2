// Whose an address is that source NAT hides: the addresses of the namespaces of this node, read now and then -> names.

import type { NameClient } from '../model/nat/clients.ts'
import type { NetNamespace } from '../namespaces/net-namespace.ts'
import type { OwnerName } from '../snapshot.ts'
import { judgeReadError } from './read-error.ts'
import type { Identity, Watched } from './watched.ts'

export interface ClientNames {
  /** Reads the addresses of the namespaces that were not asked for a while. */
  refresh(watched: readonly Watched[]): void
  /** Names the pod or the namespace that alone has the address. */
  readonly nameClient: NameClient
}

export interface ClientNamesOptions {
  /** Addresses of a namespace as text. Throws SourceError or DecodeError. */
  readonly read: (namespace: NetNamespace) => readonly string[]
  /** Names the pod that Kubernetes says has the address. */
  readonly namePod: NameClient
  readonly monotonicSeconds: () => number
}

interface Known {
  readonly identity: Identity
  readonly addresses: readonly string[]
  readonly readAtSeconds: number
}

/** Addresses of a namespace rarely change. */
const FRESH_SECONDS = 60

export function createClientNames(options: ClientNamesOptions): ClientNames {
  const { read, namePod, monotonicSeconds } = options
  let known: ReadonlyMap<number, Known> = new Map()
  /** Undefined for an address of several namespaces: it names none of them. */
  let byAddress: ReadonlyMap<string, Identity | undefined> = new Map()

  /** What cannot be looked at names nobody. */
  function attempt(namespace: NetNamespace): readonly string[] {
    try {
      return read(namespace)
    } catch (error) {
      judgeReadError(error)
      return []
    }
  }

  return {
    refresh(watched) {
      const now = monotonicSeconds()
      known = new Map(
        watched.map(({ identity }) => {
          const { id } = identity.namespace
          const before = known.get(id)
          const isFresh = before !== undefined && now - before.readAtSeconds < FRESH_SECONDS
          const addresses = isFresh ? before.addresses : attempt(identity.namespace)
          const readAtSeconds = isFresh ? before.readAtSeconds : now
          return [id, { identity, addresses, readAtSeconds }]
        }),
      )
      const index = new Map<string, Identity | undefined>()
      for (const { identity, addresses } of known.values()) {
        for (const address of addresses) {
          const isShared = index.has(address) && index.get(address) !== identity
          index.set(address, isShared ? undefined : identity)
        }
      }
      byAddress = index
    },
    nameClient: (address) => namePod(address) ?? nameNamespace(byAddress.get(address)),
  }
}

function nameNamespace(identity: Identity | undefined): OwnerName | undefined {
  if (identity?.pod) {
    return { owner: `${identity.pod.namespace}/${identity.pod.name}`, ownerKind: 'pod' }
  }
  return identity?.name && { owner: identity.name.netns, ownerKind: 'netns' }
}
