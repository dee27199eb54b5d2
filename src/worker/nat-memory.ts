// What is remembered of conntrack and source NAT of one namespace, from sample to sample.

import type { SignatureState } from '../model/nat/signature.ts'
import type { NatModelState } from '../model/nat/step.ts'
import type { ConntrackCounters } from '../sample.ts'
import type { ConntrackState, NatState } from '../snapshot.ts'
import type { ConntrackMemory } from '../sources/conntrack.ts'

export interface NatMemory {
  conntrack: ConntrackState | undefined
  /** Counters as they were read last, undefined before the first time. */
  counters: ConntrackCounters | undefined
  /** What the counters tell, undefined before the first time. */
  signature: SignatureState | undefined
  model: NatModelState | undefined
  state: NatState | undefined
  readonly source: ConntrackMemory
  /** Seconds of a clock that never steps, undefined before the first listing. */
  listedAtSeconds: number | undefined
  /** Ports that searches had met in vain, and searches that had failed, when it was listed last. */
  searchesAtListing: number
  /** Whether the right to list was missing: it is not asked for again. */
  refused: boolean
}

export function startNatMemory(): NatMemory {
  return {
    conntrack: undefined,
    counters: undefined,
    signature: undefined,
    model: undefined,
    state: undefined,
    source: {
      generation: undefined,
      rules: undefined,
      translatesIpv6: undefined,
      rulesRestUntilMs: 0,
      translated: undefined,
      addresses: new Set(),
    },
    listedAtSeconds: undefined,
    searchesAtListing: 0,
    refused: false,
  }
}
