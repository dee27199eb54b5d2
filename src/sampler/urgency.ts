// When a namespace is read: at once, when it is its turn, or as one that was never read. A dump costs what the whole machine
// holds (PORT-MODEL 9), so a namespace that a look at sockstat proves to be far from exhaustion waits. Pure.

import type { NamespaceState } from '../snapshot.ts'

export type Urgency = 'now' | 'first' | 'turn'

export interface Standing {
  readonly own: boolean
  /** Of the last successful read. */
  readonly state: NamespaceState | undefined
  readonly failed: boolean
  /** No namespace holds more ports than this; undefined where that is not known. */
  readonly boundPorts: number | undefined
}

/** Share of the usable ports that a namespace must be able to hold to be read at every sample. */
const BUSY_RATIO = 0.2
/** What was last read above this is read until it is seen to be below. */
const CALM_RATIO = 0.15
/** One fifth of the default range: a namespace of unknown range that can hold as many cannot wait. */
const BUSY_PORTS = 5646

export function judgeUrgency({ own, state, failed, boundPorts }: Standing): Urgency {
  if (own || failed || boundPorts === undefined) return 'now'
  if (state === undefined) return boundPorts >= BUSY_PORTS ? 'now' : 'first'
  if (boundPorts >= BUSY_RATIO * state.settings.usablePorts) return 'now'
  return highestUtilization(state) >= CALM_RATIO ? 'now' : 'turn'
}

/** Of all pools; 0 where there is none. */
export function highestUtilization({ pools }: NamespaceState): number {
  return pools.reduce((highest, pool) => Math.max(highest, pool.utilizationRatio), 0)
}
