// What reading of namespaces that can wait may cost in one sample. Pure but for its own account.

export interface Allowances {
  /** CPU seconds for namespaces that were never read, in one sample. */
  readonly firstSeconds: number
  /** Those for reading quiet ones in turn. */
  readonly turnSeconds: number
}

/** New namespaces are to appear soon, and come once: like strained pools they may cost 2.5 x the budget for a while. */
const FIRST_SHARE = 2.5
/** So that 250 quiet namespaces do not show: one part in forty of the budget, 2.5 ms every 5 s by default, ... */
const TURN_SHARE = 0.025
/** ... and no more where a busy node has stretched the interval: one dump then costs as much as that of the host. */
const MOST_TURN_SECONDS = 0.0025

export function allow(budgetSeconds: number): Allowances {
  return {
    firstSeconds: budgetSeconds * FIRST_SHARE,
    turnSeconds: Math.min(budgetSeconds * TURN_SHARE, MOST_TURN_SECONDS),
  }
}

/**
 * Spends an allowance on one thing after another: each is begun while some of the allowance is left, and what it cost too
 * much is owed by the next samples. Returns what is left, which is at most the allowance.
 */
export async function spend<T>(
  queue: readonly T[],
  credit: number,
  allowance: number,
  use: (one: T) => Promise<number>,
): Promise<number> {
  let left = Math.min(credit + allowance, allowance)
  for (const one of queue) {
    if (left <= 0) break
    left -= await use(one)
  }
  return left
}
