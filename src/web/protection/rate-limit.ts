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

const unitsMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}

/** Milliseconds of a duration as Go writes it, 1.5s or 1m30s; undefined for anything else. */
export function parseGoDurationMs(text: string): number | undefined {
  if (text === '0') return 0
  if (!/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(text)) return undefined
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)]
  return parts.reduce((sum, [, n, unit = '']) => sum + Number(n) * (unitsMs[unit] ?? 0), 0)
}
