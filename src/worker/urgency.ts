// When a namespace is read: at once, when it is its turn, or as one that was never read. A dump costs what the whole
// machine holds (docs/development/port-model.md#what-can-be-seen), so a namespace that a look at sockstat proves to be
// far from exhaustion waits. Pure.

import type { NamespaceState } from '../snapshot.ts'

export type Urgency = 'now' | 'first' | 'turn'

export interface Standing {
  readonly own: boolean
  /** State of the last successful read. */
  readonly state: NamespaceState | undefined
  readonly failed: boolean
  /** No namespace holds more ports than this; undefined where that is not known. */
  readonly boundPorts: number | undefined
  /** Usable ports of its range; undefined where the range is not known either. */
  readonly usablePorts: number | undefined
  /** Allocations were seen to fail in it lately, of whatever few ports a program confines itself to. */
  readonly failing: boolean
}

/** Share of the usable ports that a namespace must be able to hold to be read at every sample. */
export const BUSY_RATIO = 0.2
/** What was last read above this is read until it is seen to be below. */
const CALM_RATIO = 0.15
/**
 * What was last forecast above this, or sooner, is read until that is over: nobody is to be warned by an old forecast.
 */
const CALM_RISK = 0.1
const CALM_ETA_SECONDS = 3600
/** Usable ports of the default range. */
export const DEFAULT_PORTS = 28_232

export function judgeUrgency(standing: Standing): Urgency {
  const { own, state, failed, failing, boundPorts, usablePorts = DEFAULT_PORTS } = standing
  if (own || failed || failing || boundPorts === undefined) return 'now'
  if (boundPorts >= BUSY_RATIO * usablePorts) return 'now'
  if (state === undefined) return 'first'
  return isCalm(state) ? 'turn' : 'now'
}

function isCalm(state: NamespaceState): boolean {
  if (highestUtilization(state) >= CALM_RATIO || highestRisk(state) >= CALM_RISK) return false
  return state.pools.every(({ etaSeconds = Infinity }) => etaSeconds >= CALM_ETA_SECONDS)
}

/** Finds the highest risk of all pools, 0 where none is known. */
export function highestRisk({ pools }: NamespaceState): number {
  return pools.reduce((highest, { riskRatio = 0 }) => Math.max(highest, riskRatio), 0)
}

/** Finds the highest utilization of all pools, 0 where there is none. */
export function highestUtilization({ pools }: NamespaceState): number {
  return pools.reduce((highest, pool) => Math.max(highest, pool.utilizationRatio), 0)
}
