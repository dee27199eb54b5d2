// One sample: a source and the reducer -> Sample. This is the one place where a refused or garbled read becomes data.

import type { ModelState, Step } from '../model/step.ts'
import {
  DecodeError,
  type FailureReason,
  type NamespaceReading,
  SourceError,
} from '../observation.ts'
import type { Namespace } from '../snapshot.ts'
import type { Source } from '../sources/source.ts'
import type { Sample } from './messages.ts'

export interface SampleClocks {
  readonly unixSeconds: () => number
  /** A clock that never steps. */
  readonly monotonicSeconds: () => number
  /** CPU time of the calling thread so far. */
  readonly cpuSeconds: () => number
}

/** Creates the sampling function; it keeps the model's state and the name of the namespace between calls. */
export function createTakeSample(
  source: Source,
  step: Step,
  clocks: SampleClocks,
): () => Promise<Sample> {
  let state: ModelState | undefined
  let netns: NamespaceReading['netns'] = 'self'

  async function readNamespace(watch: Stopwatch): Promise<Namespace> {
    try {
      const reading = await source.read()
      netns = reading.netns
      watch.discovered()
      const { state: next, namespace } = step(
        state,
        { ...reading, batches: watch.timeReads(reading.batches) },
        { atSeconds: clocks.monotonicSeconds(), unixSeconds: clocks.unixSeconds() },
      )
      state = next
      return { ...named(netns), state: namespace, failure: undefined }
    } catch (error) {
      const failure = judgeFailure(error)
      return { ...named(netns), state: undefined, failure }
    }
  }

  return async () => {
    const cpuBefore = clocks.cpuSeconds()
    const watch = createStopwatch(clocks.monotonicSeconds)
    const namespace = await readNamespace(watch)
    const durations = watch.stop()
    return {
      takenAtSeconds: clocks.unixSeconds(),
      durations,
      namespaces: [namespace],
      failures: namespace.failure ? [namespace.failure.reason] : [],
      collectors: [
        {
          collector: 'sockets',
          success: namespace.state !== undefined,
          durationSeconds: durations.discover + durations.read + durations.model,
        },
      ],
      cpuSeconds: clocks.cpuSeconds() - cpuBefore,
    }
  }
}

function named(netns: NamespaceReading['netns']): Omit<Namespace, 'state' | 'failure'> {
  return {
    netns,
    netnsKind: netns,
    inode: undefined,
    containerId: undefined,
    podUid: undefined,
    pod: undefined,
    detailed: true,
    allocationFailures: undefined,
    probes: [],
  }
}

/** The reason of a failed read; what is neither refusal nor garbage is a fault of ours and passes through. */
function judgeFailure(error: unknown): { reason: FailureReason; message: string } {
  if (error instanceof SourceError) return { reason: error.reason, message: error.message }
  if (error instanceof DecodeError) return { reason: 'malformed', message: error.message }
  throw error
}

interface Stopwatch {
  discovered(): void
  timeReads<T>(items: Iterable<T>): Iterable<T>
  stop(): Sample['durations']
}

/** Reading and modelling take turns, batch by batch, so the time of each is added up. */
function createStopwatch(now: () => number): Stopwatch {
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
