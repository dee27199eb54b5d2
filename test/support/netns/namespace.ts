// A Namespace of a Snapshot, named after the host and without a reading, but for what the test says.

import type { Namespace } from '../../../src/snapshot.ts'
import { type Holder, holders } from '../../../src/snapshot-pools.ts'

/** What holds the ports of a pool that nobody uses. */
export const noneHeld = Object.fromEntries(holders.map((holder) => [holder, 0])) as Record<
  Holder,
  number
>

export function buildNamespace(part: Partial<Namespace> = {}): Namespace {
  return {
    netns: 'host',
    netnsKind: 'host',
    inode: 4_026_531_840,
    containerId: undefined,
    podUid: undefined,
    pod: undefined,
    entrance: { name: undefined, pid: 4711 },
    programs: [],
    detailed: true,
    state: undefined,
    failure: undefined,
    conntrack: undefined,
    nat: undefined,
    allocationFailures: undefined,
    probes: [],
    ...part,
  }
}
