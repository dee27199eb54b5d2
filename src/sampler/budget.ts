// CPU budget: what samples cost -> how long to wait between them. Pure.

import type { Snapshot } from '../snapshot.ts'

export interface Budget {
  readonly configuredIntervalMs: number
  /** Share of one core that sampling may take. */
  readonly cpuRatio: number
}

/** While a pool is past half or at risk a closer look is worth more than the CPU it takes. */
const STRAINED_FACTOR = 2.5
const STRAINED_UTILIZATION = 0.5
const STRAINED_RISK = 0.5

/** The forecast needs a sample a minute; a host that cannot afford even that is told so by the metric. */
const LONGEST_INTERVAL_MS = 60_000

/** A sample's cost is noisy, above all the first ones': the weight of the newest. */
const NEWEST_WEIGHT = 0.3

/** Running mean of the CPU seconds that samples cost. */
export function advanceCost(cost: number | undefined, cpuSeconds: number): number {
  return cost === undefined ? cpuSeconds : cost + NEWEST_WEIGHT * (cpuSeconds - cost)
}

/** The interval that keeps samples of that cost within the budget: the configured one, or a longer one. */
export function stretchInterval(budget: Budget, costSeconds: number, strained: boolean): number {
  const ratio = Math.min(1, budget.cpuRatio * (strained ? STRAINED_FACTOR : 1))
  const affordableMs = (costSeconds / ratio) * 1000
  const longest = Math.max(LONGEST_INTERVAL_MS, budget.configuredIntervalMs)
  return Math.min(Math.max(budget.configuredIntervalMs, affordableMs), longest)
}

/** Whether some pool is past half or likely to run out. */
export function isStrained(namespaces: Snapshot['namespaces']): boolean {
  return namespaces.some(({ state }) =>
    state?.pools.some(
      ({ utilizationRatio, riskRatio }) =>
        utilizationRatio > STRAINED_UTILIZATION || (riskRatio ?? 0) >= STRAINED_RISK,
    ),
  )
}
