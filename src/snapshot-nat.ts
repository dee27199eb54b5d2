// Contract OUT, the part of source NAT: what a namespace translates, and what conntrack counts in it.

import type { Protocol } from './observation.ts'
import type { Destination, NatPoolName, OwnerName, Pool } from './snapshot-pools.ts'

/** How the kernel searches a free port (docs/development/nat-model.md#the-search). */
export const NAT_SEARCH = {
  /** NF_NAT_MAX_ATTEMPTS: ports in the first window. A range that is not larger is searched once, as a whole. */
  largestWindow: 128,
  /** NF_NAT_HARDER_THRESH: so many tries for a TCP port, at the end of a window, evict and count no collision. */
  evictingTries: 32,
} as const

/** Where the range of a NAT address comes from: `smallest_rule` of several rules that disagree. */
export type NatRangeOrigin = 'option' | 'rule' | 'smallest_rule' | 'default'

export interface NatDestinationRow extends Destination {
  readonly protocol: Protocol
  readonly usedPorts: number
}

/** Ports that connections of one original source address take. */
export interface NatClientRow extends OwnerName {
  readonly protocol: Protocol
  readonly client: string
  readonly usedPorts: number
}

export interface NatRangeRow {
  readonly protocol: Protocol
  /** The NAT address. */
  readonly source: string
  readonly firstPort: number
  readonly lastPort: number
  readonly origin: NatRangeOrigin
}

/** What one listing of the conntrack entries of a namespace that translates sources gave. */
export interface NatState {
  readonly readAtSeconds: number
  /** Whether ports of closing TCP entries count as available. */
  readonly evicts: boolean
  /** nat_tcp and nat_udp. */
  readonly pools: readonly Pool[]
  /** Probability that the next connection to the worst destination of a pool finds no port. */
  readonly failureProbabilities: readonly { readonly pool: NatPoolName; readonly ratio: number }[]
  /** The top N of each protocol, the rest as `other`. */
  readonly destinations: readonly NatDestinationRow[]
  /** The top N clients of each protocol, the rest as `other`. */
  readonly clients: readonly NatClientRow[]
  readonly ranges: readonly NatRangeRow[]
  /** Rows that a cap hid, by metric family. */
  readonly truncated: Readonly<Record<string, number>>
}

/**
 * Why packets were dropped in the last minutes, by the counters alone. `range_full`: each drop came with the same
 * number of taken ports. `races_or_small_range`: now and then drops came, with fewer taken ports than drops. `unclear`:
 * neither.
 */
export type DropSignature = 'range_full' | 'races_or_small_range' | 'unclear'

/** What conntrack counts in a namespace, since it exists. */
export interface ConntrackState {
  readonly entries: number
  readonly limitEntries: number | undefined
  /** Taken ports that searches for a free one met. */
  readonly collisions: number
  readonly insertFailed: number
  readonly dropped: number
  readonly clashesResolved: number | undefined
  /** Undefined where nothing was dropped lately. */
  readonly dropSignature: DropSignature | undefined
  /**
   * Whether some rule may translate IPv6 sources, whose entries are not listed; undefined where rules may not be read.
   */
  readonly translatesIpv6: boolean | undefined
}
