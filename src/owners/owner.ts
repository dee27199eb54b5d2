// Who holds a port, in the words of the labels owner and owner_kind: cgroup identity, or uid where there is none. Pure.

import type { OwnerName } from '../snapshot.ts'
import type { CgroupIdentity } from './cgroup-path.ts'

export interface OwnerNames {
  /** By full container id: what Kubernetes calls it. */
  readonly containerNames: ReadonlyMap<string, string>
}

export function nameOwner(identity: CgroupIdentity, { containerNames }: OwnerNames): OwnerName {
  const known = containerNames.get(identity.containerId ?? '')
  return { owner: known ?? identity.name, ownerKind: identity.kind }
}

/** For machines without cgroup v2, or kernels that do not tell a socket's: the user's name, else the number. */
export function nameUser(uid: number, userNames: ReadonlyMap<number, string>): OwnerName {
  return { owner: userNames.get(uid) ?? String(uid), ownerKind: 'user' }
}
