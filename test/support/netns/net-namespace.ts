// A network namespace that was found, with nothing special about it.

import type { NetNamespace } from '../../../src/namespaces/net-namespace.ts'

export function buildNetNamespace(part: Partial<NetNamespace> = {}): NetNamespace {
  return {
    id: 2,
    own: false,
    ofInit: false,
    inode: undefined,
    netInode: undefined,
    cookie: undefined,
    pids: [],
    processAgeSeconds: undefined,
    bornSeconds: undefined,
    names: [],
    entrances: [],
    ...part,
  }
}
