// A token bucket: `burst` requests at once, and one more for each interval that passes.

export interface RateLimit {
  readonly intervalMs: number
  readonly burst: number
}

/** Each call asks for one request. */
export function createRateLimiter(
  { intervalMs, burst }: RateLimit,
  nowMs: () => number = () => performance.now(),
): () => boolean {
  let tokens = burst
  let filledAtMs = nowMs()
  return () => {
    const now = nowMs()
    tokens = Math.min(burst, tokens + (now - filledAtMs) / intervalMs)
    filledAtMs = now
    if (tokens < 1) return false
    tokens -= 1
    return true
  }
}
