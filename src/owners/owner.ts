// Who holds a port, in the words of the labels owner and owner_kind: cgroup identity, or uid where there is none. Pure.

import type { OwnerName } from '../snapshot.ts'
import type { CgroupIdentity } from './cgroup-path.ts'
import { shortenLabel } from './label.ts'

export interface OwnerNames {
  /** Name that Kubernetes gives a container, by full container id. */
  readonly containerNames: ReadonlyMap<string, string>
}

/**
 * Names an owner. Only a container of the node's has the name that Kubernetes gave it. A user who may make cgroups can
 * call them like that container.
 */
export function nameOwner(
  { kind, name, containerId, within }: CgroupIdentity,
  { containerNames }: OwnerNames,
): OwnerName {
  const known = within === undefined ? containerNames.get(containerId ?? '') : undefined
  return { owner: shortenLabel(known ?? name), ownerKind: kind }
}

/** Names the user, else the number, for machines without cgroup v2 and kernels that do not tell a socket's. */
export function nameUser(uid: number, userNames: ReadonlyMap<number, string>): OwnerName {
  return { owner: userNames.get(uid) ?? String(uid), ownerKind: 'user' }
}
