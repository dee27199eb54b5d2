// performance.now() of a group of tests: a clock that moves only when a test moves it.

import { afterEach, beforeEach } from 'vitest'

export interface StillClock {
  /** Milliseconds, 0 at the beginning of each test. */
  nowMs: number
}

/** Puts the clock in place of performance.now() for the tests of the calling file or group. */
export function useStillClock(): StillClock {
  const { now } = performance
  const clock: StillClock = { nowMs: 0 }
  beforeEach(() => {
    clock.nowMs = 0
    performance.now = () => clock.nowMs
  })
  afterEach(() => {
    performance.now = now
  })
  return clock
}
