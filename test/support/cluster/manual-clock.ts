// A clock that stands still until a test moves it, and the timers that hang on it.

export interface ManualClock {
  readonly now: () => number
  readonly schedule: (run: () => void, delayMs: number) => () => void
  /** Runs what falls due on the way, in order, each at its own time. */
  advance(ms: number): void
  /** Timers that wait. */
  waiting(): number
}

export function createManualClock(): ManualClock {
  let nowMs = 1_000_000
  const timers = new Set<{ readonly dueMs: number; readonly run: () => void }>()

  return {
    now: () => nowMs,
    schedule(run, delayMs) {
      const timer = { dueMs: nowMs + delayMs, run }
      timers.add(timer)
      return () => timers.delete(timer)
    },
    advance(ms) {
      const endMs = nowMs + ms
      for (;;) {
        const [next] = [...timers].sort((a, b) => a.dueMs - b.dueMs)
        if (next === undefined || next.dueMs > endMs) break
        timers.delete(next)
        nowMs = Math.max(nowMs, next.dueMs)
        next.run()
      }
      nowMs = endMs
    },
    waiting: () => timers.size,
  }
}
