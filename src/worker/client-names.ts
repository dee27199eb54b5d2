// Whose an address is that source NAT hides: the addresses of the namespaces of this node, read now and then -> names.

import type { NameClient } from '../model/nat/clients.ts'
import type { NetNamespace } from '../namespaces/net-namespace.ts'
import type { OwnerName } from '../snapshot.ts'
import { judgeReadError } from './read-error.ts'
import type { Identity, Watched } from './watched.ts'

export interface ClientNames {
  /** Reads the addresses of the namespaces that were not asked for a while, the longest first, in about a second. */
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
  addresses: readonly string[]
  /** When it was asked last, or NEVER. */
  readAtSeconds: number
}

const NEVER = Number.NEGATIVE_INFINITY
/** Addresses of a namespace rarely change. */
const FRESH_SECONDS = 60
/** What could not be asked again for so long names nobody: another may have the address by now. */
const STALE_SECONDS = 600
/** No namespace is asked later than that after the first: each may be silent for as long. */
const LATE_SECONDS = 1

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
      const before = known
      known = new Map(
        watched.map(({ identity }) => {
          const { id } = identity.namespace
          const { addresses = [], readAtSeconds = NEVER } = before.get(id) ?? {}
          return [id, { identity, addresses, readAtSeconds }]
        }),
      )
      const due = [...known.values()]
        .filter(({ readAtSeconds }) => now - readAtSeconds >= FRESH_SECONDS)
        .sort((a, b) => compare(a.readAtSeconds, b.readAtSeconds))
      for (const one of due) {
        const readAtSeconds = monotonicSeconds()
        if (readAtSeconds - now >= LATE_SECONDS) break
        one.readAtSeconds = readAtSeconds
        one.addresses = attempt(one.identity.namespace)
      }
      const index = new Map<string, Identity | undefined>()
      // Who has not been asked yet may have any address.
      const isWhole = [...known.values()].every(({ readAtSeconds }) => readAtSeconds !== NEVER)
      for (const { identity, addresses, readAtSeconds } of isWhole ? known.values() : []) {
        if (now - readAtSeconds >= STALE_SECONDS) continue
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

/** Infinities included, whose difference would be NaN. */
export function compare(left: number, right: number): number {
  return Number(left > right) - Number(left < right)
}

function nameNamespace(identity: Identity | undefined): OwnerName | undefined {
  if (identity?.pod) {
    return { owner: `${identity.pod.namespace}/${identity.pod.name}`, ownerKind: 'pod' }
  }
  return identity?.name && { owner: identity.name.netns, ownerKind: 'netns' }
}
