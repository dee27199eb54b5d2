// The main thread's side of the failures collector: counters that survive the worker, and the end of the tracing
// instance.

import { holdInstance, removeInstance } from '../failures/instance.ts'
import { findTracefs } from '../kernel/tracefs.ts'
import {
  advanceLedger,
  emptyLedger,
  type FailureLedger,
  renderFailures,
  renderUnknownFailures,
} from '../ledger/ledger.ts'
import { createLocate } from '../ledger/locate.ts'
import { SourceError } from '../observation.ts'
import type { Recorded, WorkerOptions } from '../sample.ts'
import type { AllocationFailures, Namespace } from '../snapshot.ts'

export interface FailureBooks {
  /** Books what one sample recorded; undefined leaves everything unknown. */
  book(
    namespaces: readonly Namespace[],
    recorded: Recorded | undefined,
  ): {
    readonly namespaces: readonly Namespace[]
    readonly unattributed: AllocationFailures | undefined
  }
  /** Closes the books. Call it when the worker has ended. */
  close(): Promise<void>
}

/**
 * Prometheus scrapes every 15 to 60 s. Not longer: the alert asks a minute later whose failures they were. A user
 * who scrapes more often says so by a shorter peak window.
 */
const LONGEST_HOLD_SECONDS = 60
/** Somebody may be reading a file of the instance just now. */
const REMOVE_ATTEMPTS = 10
const REMOVE_PAUSE_MS = 50

/** The name of the instance is what the worker was told, which may end before it has said where that is. */
export type FailureBooksOptions = Pick<
  WorkerOptions,
  'everyNamespace' | 'peakWindowSeconds' | 'failures' | 'tracefs'
>

export function createFailureBooks(
  options: FailureBooksOptions,
  monotonicSeconds: () => number,
): FailureBooks {
  const holdSeconds = Math.min(options.peakWindowSeconds, LONGEST_HOLD_SECONDS)
  let ledger: FailureLedger = emptyLedger
  let held: { readonly path: string; readonly release: () => void } | undefined

  /** An instance that nobody holds is cleared away by whichever exporter starts next on the node. */
  function hold(path: string): void {
    if (held?.path === path) return
    held?.release()
    held = undefined
    try {
      held = { path, release: holdInstance(path) }
    } catch (error) {
      // The next sample tries again; the worker's own descriptors hold it meanwhile.
      if (!(error instanceof SourceError)) throw error
    }
  }

  return {
    book(namespaces, recorded) {
      if (recorded !== undefined) hold(recorded.instancePath)
      if (recorded?.reading === undefined) return { namespaces, unattributed: undefined }
      const { reading, present } = recorded
      const keys = new Map(recorded.named.map(([key, netns]) => [netns, key]))
      const known = namespaces.flatMap(({ netns, state }) => {
        const key = keys.get(netns)
        return key === undefined ? [] : [{ key, state }]
      })
      ledger = advanceLedger(ledger, {
        atSeconds: monotonicSeconds(),
        holdSeconds,
        reading,
        present,
        published: known.map(({ key }) => key),
        locate: createLocate(known),
      })
      return {
        namespaces: namespaces.map((namespace) =>
          addFailures(namespace, renderFailures(ledger, keys.get(namespace.netns) ?? '')),
        ),
        // Whether they were its own is not known of one namespace alone.
        unattributed: options.everyNamespace ? renderUnknownFailures(ledger) : undefined,
      }
    },
    async close() {
      const path = held?.path ?? findInstance(options)
      held?.release()
      held = undefined
      if (path === undefined) return
      for (let attempt = 0; attempt < REMOVE_ATTEMPTS; attempt++) {
        if (isRemoved(path)) return
        await new Promise((resolve) => setTimeout(resolve, REMOVE_PAUSE_MS))
      }
    },
  }
}

/**
 * Where allocations have failed is not quiet any more, however few ports are in use: a program may be confined to a few
 * of them. A counter of a destination must be on the page from its 0 on.
 */
function addFailures(
  namespace: Namespace,
  allocationFailures: AllocationFailures | undefined,
): Namespace {
  const failed = allocationFailures !== undefined && allocationFailures.destinations.length > 0
  return { ...namespace, allocationFailures, detailed: namespace.detailed || failed }
}

/** Where it would be if there is one. */
function findInstance({ failures, tracefs }: FailureBooksOptions): string | undefined {
  if (failures === undefined) return undefined
  try {
    return `${findTracefs(tracefs === undefined ? undefined : [tracefs])}/instances/${failures}`
  } catch (error) {
    if (error instanceof SourceError) return undefined
    throw error
  }
}

/** What cannot be removed is left to the next start. */
function isRemoved(path: string): boolean {
  try {
    return removeInstance(path)
  } catch (error) {
    if (error instanceof SourceError) return true
    throw error
  }
}
