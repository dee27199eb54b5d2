// Who is pod <uid>? Remembers the pods of this node and lists them again, in the background, when it is asked for one
// that it does not know. A sampler only takes what is known and never waits.

import type { Pod } from '../sample.ts'
import { PodListError, type PodListFailure } from './answer.ts'
import { listPods, type PodListSource } from './list.ts'
import { createPodMemory } from './memory.ts'
import { type Backoff, createWantedIds, takeBackoffMs, takeRetryAfterMs } from './wanted.ts'

export interface PodDirectory {
  /** All that are known. */
  pods(): Pod[]
  /**
   * Asks for what pods() did not have, and ignores what it has. Call it at every sample. The ids are those of
   * containers whose pod is known: a pod is listed before its containers have been started.
   */
  request(podUids: Iterable<string>, containerIds?: Iterable<string>): void
  /** Another value after each list; undefined until the first one ends. */
  lastList(): ListOutcome | undefined
  /** Stops for good, the request under way included. */
  stop(): void
}

export interface ListOutcome {
  readonly success: boolean
  readonly durationSeconds: number
}

export interface PodDirectoryOptions
  extends Omit<PodListSource, 'deadlineMs' | 'maxBytes'>,
    Partial<Pick<PodListSource, 'deadlineMs' | 'maxBytes'>> {
  /** Milliseconds of a clock that is never set, from any origin. */
  readonly now: () => number
  readonly log?: PodDirectoryLog
  /** A list came in, whether it changed anything or not, or has failed. */
  readonly onListed?: (success: boolean) => void
  /** Least time between two lists. */
  readonly minIntervalMs?: number
  /** Least time between two lists for the sake of container names alone. */
  readonly minContainerIntervalMs?: number
  readonly longestBackoffMs?: number
  /** How long a pod that is no longer listed is remembered: its sockets outlive it. */
  readonly graceMs?: number
  /** Calls `run` later, and returns what prevents it. */
  readonly schedule?: (run: () => void, delayMs: number) => () => void
  /** Gives numbers from 0 up to 1. */
  readonly random?: () => number
}

type WriteLog = (message: string, fields?: Readonly<Record<string, unknown>>) => void

export interface PodDirectoryLog {
  readonly info: WriteLog
  readonly warn: WriteLog
}

const silent: PodDirectoryLog = { info: () => {}, warn: () => {} }

export function createPodDirectory(options: PodDirectoryOptions): PodDirectory {
  const {
    now,
    log = silent,
    minIntervalMs = 5000,
    minContainerIntervalMs = 30_000,
    longestBackoffMs = 300_000,
    schedule = scheduleUnref,
  } = options
  const source = { deadlineMs: 10_000, maxBytes: 32 * 2 ** 20, ...options }
  const backoff: Backoff = {
    firstMs: minIntervalMs,
    longestMs: longestBackoffMs,
    random: options.random ?? Math.random,
  }
  const memory = createPodMemory(options.graceMs ?? 300_000)
  const wanted = createWantedIds(backoff)
  let last: ListOutcome | undefined
  let lastReason: PodListFailure | undefined
  let failuresInARow = 0
  let notBeforeMs = Number.NEGATIVE_INFINITY
  let startedMs = Number.NEGATIVE_INFINITY
  let underWay: AbortController | undefined
  let stopped = false
  let cancelWait = () => {}

  function plan(): void {
    cancelWait()
    if (stopped || underWay !== undefined) return
    const dueMs = Math.max(wanted.dueMs(now()), notBeforeMs)
    if (dueMs <= now()) void list()
    else if (dueMs < Number.POSITIVE_INFINITY) {
      cancelWait = schedule(plan, Math.ceil(dueMs - now()))
    }
  }

  async function list(): Promise<void> {
    const abort = new AbortController()
    underWay = abort
    startedMs = now()
    let pods: readonly Pod[] = []
    let error: PodListError | undefined
    try {
      pods = refuseEmpty(await listPods(source, abort), source.nodeName)
    } catch (thrown) {
      error = asPodListError(thrown)
    }
    underWay = undefined
    if (stopped) return
    if (error === undefined) take(pods)
    else suffer(error)
    report(error)
    last = { success: error === undefined, durationSeconds: (now() - startedMs) / 1000 }
    lastReason = error?.reason
    plan()
    options.onListed?.(error === undefined)
  }

  function take(pods: readonly Pod[]): void {
    failuresInARow = 0
    notBeforeMs = startedMs + minIntervalMs
    memory.take(pods, now())
    wanted.settle((id) => memory.knows(id, now()), startedMs, now())
  }

  function suffer({ retryAfterMs = 0 }: PodListError): void {
    failuresInARow++
    const waitMs = Math.max(
      takeBackoffMs(failuresInARow, backoff),
      takeRetryAfterMs(retryAfterMs, backoff),
    )
    notBeforeMs = Math.max(now() + waitMs, startedMs + minIntervalMs)
  }

  function report(error: PodListError | undefined): void {
    if (last !== undefined && lastReason === error?.reason) return
    if (error === undefined) log.info('Kubernetes names the pods of this node')
    else log.warn('Cannot list the pods of this node', { reason: error.reason, error })
  }

  return {
    pods: () => memory.pods(now()),
    request(podUids, containerIds = []) {
      const unknown = (id: string) => !memory.knows(id, now())
      wanted.add([...podUids].filter(unknown), now(), now())
      const soonMs = Math.max(now(), startedMs + minContainerIntervalMs)
      wanted.add([...containerIds].filter(unknown), now(), soonMs)
      plan()
    },
    lastList: () => last,
    stop() {
      stopped = true
      cancelWait()
      underWay?.abort(new PodListError('unreachable', 'The pod directory was stopped'))
    },
  }
}

// This program itself is a pod of the node.
function refuseEmpty(pods: readonly Pod[], nodeName: string): readonly Pod[] {
  if (pods.length > 0) return pods
  const name = JSON.stringify(nodeName)
  throw new PodListError('empty', `Kubernetes knows no pod on a node ${name}, not even this one`)
}

function asPodListError(thrown: unknown): PodListError {
  if (thrown instanceof PodListError) return thrown
  return new PodListError('malformed', `Cannot list pods: ${String(thrown)}`, { cause: thrown })
}

// Names are no reason to keep the process alive.
function scheduleUnref(run: () => void, delayMs: number): () => void {
  const timer = setTimeout(run, delayMs).unref()
  return () => clearTimeout(timer)
}
