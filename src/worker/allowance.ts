// What reading of namespaces that can wait may cost in one sample. Pure but for its own account.

export interface Allowances {
  /** CPU seconds for namespaces that may be in trouble, in one sample, our own apart. */
  readonly busySeconds: number
  /** CPU seconds for trying again those that could not be read. */
  readonly failedSeconds: number
  /** CPU seconds for namespaces that were never read, in one sample. */
  readonly firstSeconds: number
  /** Seconds for reading quiet ones in turn. */
  readonly turnSeconds: number
}

/** New namespaces are to appear soon, and come once: like strained pools they may cost 2.5 x the budget for a while. */
const FIRST_SHARE = 2.5
/** So that 250 quiet namespaces do not show: one part in forty of the budget, 2.5 ms every 5 s by default, ... */
const TURN_SHARE = 0.025
/** ... and no more where a busy node has stretched the interval: one dump then costs as much as that of the host. */
const MOST_TURN_SECONDS = 0.0025

/**
 * Namespaces in trouble are read at every sample, and the interval is stretched by what that costs; but one sample must
 * end before anybody doubts that it ever will. So much they may cost at least, ...
 */
const LEAST_BUSY_SECONDS = 1
/** ... and so much those that cannot be read, which are many where something is wrong with all. */
const LEAST_FAILED_SECONDS = 0.25

export function allow(budgetSeconds: number): Allowances {
  const firstSeconds = budgetSeconds * FIRST_SHARE
  return {
    busySeconds: Math.max(firstSeconds, LEAST_BUSY_SECONDS),
    failedSeconds: Math.max(budgetSeconds, LEAST_FAILED_SECONDS),
    firstSeconds,
    turnSeconds: Math.min(budgetSeconds * TURN_SHARE, MOST_TURN_SECONDS),
  }
}

/**
 * Spends an allowance on one thing after another: each is begun while some of the allowance is left, and what it cost
 * too much is owed by the next samples. Nothing is begun when it is late. Returns what is left, which is at most the
 * allowance.
 */
export async function spend<T>(
  queue: readonly T[],
  credit: number,
  allowance: number,
  use: (one: T) => Promise<number>,
  isLate: () => boolean = () => false,
): Promise<number> {
  let left = Math.min(credit + allowance, allowance)
  for (const one of queue) {
    if (left <= 0 || isLate()) break
    left -= await use(one)
  }
  return left
}
