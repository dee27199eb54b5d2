// How long to wait before asking the Kubernetes API again.

export interface Backoff {
  /** Before the first repetition; it doubles with each. */
  readonly firstMs: number
  readonly longestMs: number
  /** From 0 up to 1. */
  readonly random: () => number
}

/** After that many attempts in a row that gave nothing, 1 or more: between half and all of the doubled wait. */
export function takeBackoffMs(attempts: number, { firstMs, longestMs, random }: Backoff): number {
  const wholeMs = Math.min(firstMs * 2 ** (attempts - 1), longestMs)
  return wholeMs * (1 - random() / 2)
}

/** What the server asked for, and up to a quarter more: all nodes were told the same second. */
export function takeRetryAfterMs(retryAfterMs: number, { random }: Backoff): number {
  return retryAfterMs * (1 + random() / 4)
}
