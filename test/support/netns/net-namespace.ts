// A network namespace that was found, with nothing special about it; and namespaces that conntrack knows nothing of.

import type { Namespaces } from '../../../src/namespaces/namespaces.ts'
import type { NetNamespace } from '../../../src/namespaces/net-namespace.ts'

export function buildNetNamespace(part: Partial<NetNamespace> = {}): NetNamespace {
  return {
    id: 2,
    own: false,
    ofInit: false,
    inode: undefined,
    netInode: undefined,
    cookie: undefined,
    makerUid: undefined,
    pids: [],
    processAgeSeconds: undefined,
    bornSeconds: undefined,
    names: [],
    entrances: [],
    ...part,
  }
}

/** Namespaces in which nothing was ever tracked. */
export const untracked: Pick<Namespaces, 'conntrack' | 'inside'> = {
  conntrack: () => undefined,
  inside: (_namespace, call) => call(),
}
