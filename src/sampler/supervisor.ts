// The worker from outside, one life after another: starts it, asks it for samples one at a time, and starts the next
// with backoff when it dies. The main thread never blocks here.

import { Worker } from 'node:worker_threads'
import { startCountdown } from '../countdown.ts'
import { closeNotedDescriptors, createDescriptorLedger } from '../kernel/descriptors.ts'
import type {
  ConntrackCounted,
  FromWorker,
  GivenName,
  Pod,
  ProbeOpens,
  Sample,
  ToWorker,
  WorkerData,
  WorkerOptions,
} from '../sample.ts'
import { keepHeapsSmall, workerLimits } from './heaps.ts'

export interface SupervisorEvents {
  /** The worker's source is open: samples may be asked for. */
  readonly opened: (message: Extract<FromWorker, { type: 'opened' }>) => void
  /** The first worker found no source that works, and has ended. */
  readonly refused: (reason: string) => void
  readonly sampled: (sample: Sample) => void
  /** It died or was ended for being late; another is started after `backoffMs`. */
  readonly died: (reason: string, backoffMs: number) => void
  /** It hangs inside a system call and cannot be ended: process.exit() would wait for it. */
  readonly stuck: (reason: string) => void
}

export interface Supervisor {
  /** Asks the running worker for a sample; without one that has opened its source it does nothing. */
  requestSample(budgetSeconds: number): void
  /** Tells the running worker and those to come; `answered`: whether the last list came. */
  tellPods(pods: readonly Pod[], answered: boolean): void
  /** Ends the worker, for good, and resolves when it has ended. */
  stop(): Promise<void>
}

const FIRST_BACKOFF_MS = 1000
const LONGEST_BACKOFF_MS = 30_000
/** Listing a million sockets takes 1.4 s. A worker that takes a minute never comes back. */
const SAMPLE_DEADLINE_SECONDS = 60
/** A worker ends as soon as its system call returns, and none may block for longer than a second. */
const TERMINATE_DEADLINE_SECONDS = 5

/** Starts the first worker at once; `entry` is the worker's program. */
export function startSupervisor(
  options: WorkerOptions,
  events: SupervisorEvents,
  entry = new URL('../worker/worker.js', import.meta.url),
): Supervisor {
  let worker: Worker | undefined
  let open = false
  let everOpen = false
  let stopped = false
  let deaths = 0
  /** Why the running worker will have ended, as far as is known. */
  let cause = ''
  let pods: Extract<ToWorker, { type: 'pods' }> | undefined
  let given: readonly GivenName[] = []
  let opens: ProbeOpens = []
  let counted: ConntrackCounted = []
  let deadline: NodeJS.Timeout | undefined
  let restart: NodeJS.Timeout | undefined

  function startWorker(): void {
    const workerData: WorkerData = {
      options,
      descriptors: createDescriptorLedger(),
      given,
      opens,
      counted,
    }
    const started = new Worker(entry, { workerData, resourceLimits: workerLimits })
    worker = started
    open = false
    cause = 'it ended'
    started.on('message', (message: FromWorker) => {
      clearInterval(deadline)
      if (message.type === 'refused') cause = message.message
      else receive(message)
    })
    started.on('error', (error: unknown) => {
      cause = error instanceof Error ? (error.stack ?? error.message) : String(error)
    })
    started.on('exit', () => {
      closeNotedDescriptors(workerData.descriptors)
      buryWorker()
    })
    watch('opening its source')
  }

  function receive(message: Exclude<FromWorker, { type: 'refused' }>): void {
    if (message.type === 'opened') {
      open = true
      everOpen = true
      if (pods !== undefined) post(pods)
      events.opened(message)
    } else {
      deaths = 0
      given = message.sample.named ?? given
      // A worker that could not list the namespaces yet knows of none.
      if (message.sample.opens.length > 0) opens = message.sample.opens
      if (message.sample.counted.length > 0) counted = message.sample.counted
      events.sampled(message.sample)
    }
  }

  function buryWorker(): void {
    clearInterval(deadline)
    worker = undefined
    open = false
    if (stopped) return
    if (!everOpen) {
      events.refused(cause)
      return
    }
    const backoffMs = Math.min(FIRST_BACKOFF_MS * 2 ** deaths, LONGEST_BACKOFF_MS)
    deaths++
    events.died(cause, backoffMs)
    restart = setTimeout(startWorker, backoffMs)
  }

  function post(message: ToWorker): void {
    worker?.postMessage(message)
  }

  /** Ends the worker if it has not answered by the deadline. */
  function watch(action: string): void {
    clearInterval(deadline)
    deadline = startCountdown(SAMPLE_DEADLINE_SECONDS, () => {
      cause = `it took more than ${SAMPLE_DEADLINE_SECONDS} s for ${action}`
      void endWorker(cause)
    })
  }

  async function endWorker(reason: string): Promise<void> {
    const stuck = startCountdown(TERMINATE_DEADLINE_SECONDS, () => events.stuck(reason))
    await worker?.terminate()
    clearInterval(stuck)
  }

  keepHeapsSmall()
  startWorker()
  return {
    requestSample(budgetSeconds) {
      if (worker === undefined || !open) return
      post({ type: 'sample', budgetSeconds })
      watch('a sample')
    },
    tellPods(told, answered) {
      pods = { type: 'pods', pods: told, answered }
      if (open) post(pods)
    },
    async stop() {
      stopped = true
      clearInterval(deadline)
      clearTimeout(restart)
      await endWorker('it was told to end')
    },
  }
}
