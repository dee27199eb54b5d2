// How long the stages of a sample take. Pure but for its clock.

import type { Snapshot } from '../snapshot.ts'

export interface Stopwatch {
  discovered(): void
  timeReads<T>(items: Iterable<T>): Iterable<T>
  /** Times the model, without the reads and what else it asks for. */
  timeModel<T>(compute: () => T): T
  /** What the model asks for, which is neither a read nor the model. */
  timeAside<T>(ask: () => T): T
  stop(): Snapshot['durations']
}

/** Creates a watch that runs. Reading and modelling take turns, batch by batch, so the time of each is added up. */
export function createStopwatch(now: () => number): Stopwatch {
  const start = now()
  let discoveredAt: number | undefined
  let read = 0
  let model = 0
  let aside = 0
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
    timeModel: (compute) => {
      const before = now() - read - aside
      try {
        return compute()
      } finally {
        model += now() - read - aside - before
      }
    },
    timeAside: (ask) => {
      const before = now()
      try {
        return ask()
      } finally {
        aside += now() - before
      }
    },
    stop: () => {
      const end = now()
      const discover = (discoveredAt ?? end) - start
      return { discover, read, model, other: Math.max(0, end - start - discover - read - model) }
    },
  }
}
