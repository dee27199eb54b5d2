// How long the stages of a sample take. Pure but for its clock.

import type { Snapshot } from '../snapshot.ts'

export interface Stopwatch {
  discovered(): void
  timeReads<T>(items: Iterable<T>): Iterable<T>
  stop(): Snapshot['durations']
}

/** Reading and modelling take turns, batch by batch, so the time of each is added up. */
export function createStopwatch(now: () => number): Stopwatch {
  const start = now()
  let discoveredAt: number | undefined
  let read = 0
  return {
    discovered: () => {
      discoveredAt = now()
    },
    timeReads: function* (items) {
      const iterator = items[Symbol.iterator]()
      try {
        for (;;) {
          const before = now()
          const { done, value } = iterator.next()
          read += now() - before
          if (done) return
          yield value
        }
      } finally {
        iterator.return?.()
      }
    },
    stop: () => {
      const end = now()
      const discover = (discoveredAt ?? end) - start
      return { discover, read, model: Math.max(0, end - start - discover - read) }
    },
  }
}
