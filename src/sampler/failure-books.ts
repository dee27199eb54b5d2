// The main thread's side of the failures collector: counters that survive the worker, and the end of the tracing instance.

import { holdInstance, removeInstance } from '../failures/instance.ts'
import {
  advanceLedger,
  emptyLedger,
  type FailureLedger,
  renderFailures,
  renderUnknownFailures,
} from '../failures/ledger.ts'
import { locateFailure } from '../failures/locate.ts'
import { SourceError } from '../observation.ts'
import type { AllocationFailures, Namespace } from '../snapshot.ts'
import type { Recorded } from './failure-watch.ts'

export interface FailureBooks {
  /** Books what one sample recorded; undefined leaves everything unknown. */
  book(
    namespaces: readonly Namespace[],
    recorded: Recorded | undefined,
  ): {
    readonly namespaces: readonly Namespace[]
    readonly unattributed: AllocationFailures | undefined
  }
  /** To be called when the worker has ended. */
  close(): Promise<void>
}

/** Somebody may be reading a file of the instance just now. */
const REMOVE_ATTEMPTS = 10
const REMOVE_PAUSE_MS = 50

export function createFailureBooks(everyNamespace: boolean): FailureBooks {
  let ledger: FailureLedger = emptyLedger
  let held: { readonly path: string; readonly release: () => void } | undefined

  /** An instance that nobody holds is cleared away by whichever exporter starts next on the node. */
  function hold(path: string): void {
    if (held?.path === path) return
    held?.release()
    held = { path, release: holdInstance(path) }
  }

  return {
    book(namespaces, recorded) {
      if (recorded?.reading === undefined) return { namespaces, unattributed: undefined }
      hold(recorded.instancePath)
      const { reading, present } = recorded
      const keys = new Map(recorded.named.map(([key, netns]) => [netns, key]))
      const known = namespaces.flatMap(({ netns, state }) => {
        const key = keys.get(netns)
        return key === undefined ? [] : [{ key, state }]
      })
      ledger = advanceLedger(ledger, {
        reading,
        present,
        published: known.map(({ key }) => key),
        locate: (failure) => locateFailure(known, failure),
      })
      return {
        namespaces: namespaces.map((namespace) => ({
          ...namespace,
          allocationFailures: renderFailures(ledger, keys.get(namespace.netns) ?? ''),
        })),
        // Of one namespace alone it is not known whether they were its own.
        unattributed: everyNamespace ? renderUnknownFailures(ledger) : undefined,
      }
    },
    async close() {
      if (held === undefined) return
      held.release()
      for (let attempt = 0; attempt < REMOVE_ATTEMPTS; attempt++) {
        if (isRemoved(held.path)) return
        await new Promise((resolve) => setTimeout(resolve, REMOVE_PAUSE_MS))
      }
    },
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
