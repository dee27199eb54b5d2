// The clock by which a server closes, put forward by hand: what a busy machine does meanwhile takes no time of it.

import { vi } from 'vitest'

/** From here on, until vi.useRealTimers(). Returns how to put it forward. */
export function holdClosingClock(): (ms: number) => Promise<unknown> {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] })
  return (ms) => vi.advanceTimersByTimeAsync(ms)
}
