// A Namespace of a Snapshot, named after the host and without a reading, but for what the test says.

import type { Namespace } from '../../../src/snapshot.ts'

export function buildNamespace(part: Partial<Namespace> = {}): Namespace {
  return {
    netns: 'host',
    netnsKind: 'host',
    inode: undefined,
    containerId: undefined,
    podUid: undefined,
    pod: undefined,
    detailed: true,
    state: undefined,
    failure: undefined,
    allocationFailures: undefined,
    probes: [],
    ...part,
  }
}
