// A namespace whose conntrack counters have grown from one sample to the next, and what is found of it.

import { expect } from 'vitest'
import { diagnose } from '../../src/diagnosis/diagnose.ts'
import type { ConntrackState, NatState } from '../../src/snapshot.ts'
import {
  buildNamespace,
  buildPool,
  buildSnapshot,
  buildState,
  linux,
} from '../support/render/cli-snapshot.ts'

export const COUNTS: ConntrackState = {
  entries: 20_000,
  limitEntries: 262_144,
  collisions: 5_000,
  insertFailed: 70,
  dropped: 80,
  clashesResolved: 3,
  dropSignature: undefined,
  translatesIpv6: false,
}
const TAKEN_AT = 1_767_323_045
const WORST = { source: '203.0.113.7', destination: '198.51.100.9:443' }

export const listing = (tcp: number, udp = 0): NatState => ({
  readAtSeconds: TAKEN_AT,
  evicts: true,
  pools: [],
  failureProbabilities: [
    { pool: 'nat_tcp', ratio: tcp },
    { pool: 'nat_udp', ratio: udp },
  ],
  destinations: [],
  clients: [],
  ranges: [
    { protocol: 'tcp', source: WORST.source, firstPort: 1024, lastPort: 65_535, origin: 'rule' },
  ],
  truncated: {},
})

/** The same, read so many seconds before. */
export const aged = (nat: NatState, seconds: number): NatState => ({
  ...nat,
  readAtSeconds: nat.readAtSeconds - seconds,
})

export interface Grown {
  readonly counts?: Partial<ConntrackState>
  readonly nat?: NatState | undefined
  /** As `nat`, five seconds older, where nothing is said. */
  readonly natBefore?: NatState | undefined
  /** Of both samples. */
  readonly facts?: Partial<ConntrackState>
  readonly inodeBefore?: number
}

/** What is found where the counters have grown by that much from one sample to the next. */
export function look({
  counts = {},
  nat,
  natBefore = nat && aged(nat, 5),
  facts = {},
  inodeBefore = 7,
}: Grown) {
  const before = { ...COUNTS, ...facts }
  const now = {
    ...before,
    collisions: before.collisions + (counts.collisions ?? 0),
    insertFailed: before.insertFailed + (counts.insertFailed ?? 0),
    dropped: before.dropped + (counts.dropped ?? counts.insertFailed ?? 0),
    clashesResolved: (before.clashesResolved ?? 0) + (counts.clashesResolved ?? 0),
  }
  const pools = ['nat_tcp', 'nat_udp'] as const
  const state = buildState({
    pools: pools.map((pool) => buildPool({ pool, worstDestination: WORST })),
  })
  const of = (conntrack: ConntrackState, one: NatState | undefined, inode: number) =>
    buildSnapshot({ namespaces: [buildNamespace({ state, conntrack, nat: one, inode })] })
  const diagnosis = diagnose(of(now, nat, 7), linux, of(before, natBefore, inodeBefore))
  return {
    severity: diagnosis.severity,
    headline: diagnosis.headline,
    dropping: diagnosis.dropping,
    doubted: diagnosis.doubted,
    found: diagnosis.findings
      .filter(({ what }) => /dropped|raced?|IPv6|searches/.test(what))
      .map(({ severity, what }) => `${severity}: ${what}`),
  }
}

export const dropped = (packets: number, why: string) => [
  expect.stringContaining(
    `${packets} packet${packets === 1 ? ' was' : 's were'} dropped since the sample before: ${why}`,
  ),
]
