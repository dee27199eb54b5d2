// How much memory V8 may keep, in the main thread and in the worker.

import { getHeapStatistics, setFlagsFromString } from 'node:v8'

/**
 * A sample leaves little garbage, its columns are outside the heap: V8's default of 48 MB would only be held. The flag
 * --max-semi-space-size, with which the image starts, takes precedence in the worker too.
 */
const WORKER_YOUNG_MB = 2
/**
 * Many times what a million sockets take. A worker that needs more has lost its way, and must not take the node's
 * memory.
 */
const WORKER_OLD_MB = 512

/**
 * In a container with little memory V8's own limit is lower, and better: the worker ends, where else the program would.
 */
export const workerLimits = {
  maxYoungGenerationSizeMb: WORKER_YOUNG_MB,
  maxOldGenerationSizeMb: Math.min(WORKER_OLD_MB, getHeapStatistics().heap_size_limit / 2 ** 20),
}

/**
 * Has all threads collect garbage before their heaps have grown much. V8 looks at this flag at each collection, so that
 * it is never too late (Heap::ShouldOptimizeForMemoryUsage). V8 then also keeps its cache of numbers as text small. The
 * cost and the gain: docs/cost.md.
 */
export function keepHeapsSmall(): void {
  setFlagsFromString('--optimize-for-size')
}
