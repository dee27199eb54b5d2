// Who holds a port, in the words of the labels owner and owner_kind: cgroup identity, or uid where there is none. Pure.

import type { OwnerName } from '../snapshot.ts'
import type { CgroupIdentity } from './cgroup-path.ts'

export interface OwnerNames {
  /** Name that Kubernetes gives a container, by full container id. */
  readonly containerNames: ReadonlyMap<string, string>
}

export function nameOwner(identity: CgroupIdentity, { containerNames }: OwnerNames): OwnerName {
  const known = containerNames.get(identity.containerId ?? '')
  return { owner: known ?? identity.name, ownerKind: identity.kind }
}

/** Names the user, else the number, for machines without cgroup v2 and kernels that do not tell a socket's. */
export function nameUser(uid: number, userNames: ReadonlyMap<number, string>): OwnerName {
  return { owner: userNames.get(uid) ?? String(uid), ownerKind: 'user' }
}
