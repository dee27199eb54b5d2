// The loop in the main thread: asks for a sample at even distances, keeps the newest as an immutable Snapshot, and says
// whether it is fresh.

import { countNoReadErrors, type Reader } from '../observation.ts'
import type { Pod, Sample, WorkerOptions } from '../sample.ts'
import type { Namespace, NetnsName, Snapshot } from '../snapshot.ts'
import { advanceCost, type Budget, isStrained, stretchInterval } from './budget.ts'
import { createFailureBooks } from './failure-books.ts'
import { type Supervisor, type SupervisorEvents, startSupervisor } from './supervisor.ts'

export interface SamplerOptions extends Budget {
  readonly worker: WorkerOptions
  /** Who knows the names of pods; undefined where nobody does. */
  readonly pods?: PodSource | undefined
}

/** Asked at every sample, and never waited for. */
export interface PodSource {
  /** What is wanted and not yet known. */
  request(podUids: readonly string[], containerIds: readonly string[]): void
  /** How its last answer went; undefined until there was one. */
  collector(): Snapshot['collectors'][number] | undefined
}

/** What the loop tells the outside as it happens. */
export interface SamplerEvents {
  readonly opened: (opened: {
    readonly reader: Reader
    readonly traits: Readonly<Record<string, boolean | string>>
    readonly refusals: readonly string[]
  }) => void
  readonly snapshot: (snapshot: Snapshot) => void
  readonly died: (reason: string, backoffMs: number) => void
  /** The worker hangs in the kernel: only ending the process helps. */
  readonly stuck: (reason: string) => void
}

export interface Sampler {
  /** Resolves when the first source has opened, and rejects, with the reason in plain words, when none works. */
  readonly opened: Promise<void>
  currentSnapshot(): Snapshot | undefined
  readiness(): { readonly ready: boolean; readonly reason: string }
  /** All pods of this node that are known now; `answered`: whether the last list came. */
  tellPods(pods: readonly Pod[], answered: boolean): void
  stop(): Promise<void>
}

/** A sample older than that many intervals, and this much, is stale. */
const STALE_INTERVALS = 3
const STALE_GRACE_SECONDS = 2

type StartWorker = (options: WorkerOptions, events: SupervisorEvents) => Supervisor

/** Starts sampling, as soon as a source has opened. */
export function startSampler(
  options: SamplerOptions,
  events: SamplerEvents,
  startWorker: StartWorker = startSupervisor,
): Sampler {
  const failures = countNoReadErrors()
  const books = createFailureBooks(options.worker, () => performance.now() / 1000)
  let snapshot: Snapshot | undefined
  /** What the running worker said last, by name. */
  let said = new Map<string, Namespace>()
  let samples = 0
  let workerRestarts = 0
  let costSeconds: number | undefined
  let requestedAtMs = 0
  let receivedAtMs = 0
  let timer: NodeJS.Timeout | undefined
  let workerAlive = false
  let stopped = false
  let tellOpened: { readonly resolve: () => void; readonly reject: (reason: Error) => void }
  const opened = new Promise<void>((resolve, reject) => {
    tellOpened = { resolve, reject }
  })

  const supervisor = startWorker(options.worker, {
    opened: (message) => {
      workerAlive = true
      said = new Map()
      events.opened(message)
      requestSample()
      tellOpened.resolve()
    },
    refused: (message) => tellOpened.reject(new Error(message)),
    sampled: (sample) => {
      publish(sample)
      if (stopped) return
      const elapsedMs = performance.now() - requestedAtMs
      const waitMs = Math.max(0, (snapshot?.intervalSeconds ?? 0) * 1000 - elapsedMs)
      timer = setTimeout(requestSample, waitMs)
    },
    died: (reason, backoffMs) => {
      workerAlive = false
      workerRestarts++
      clearTimeout(timer)
      if (snapshot !== undefined) snapshot = { ...snapshot, workerRestarts }
      events.died(reason, backoffMs)
    },
    stuck: events.stuck,
  })

  function requestSample(): void {
    requestedAtMs = performance.now()
    const intervalSeconds = snapshot?.intervalSeconds ?? options.configuredIntervalMs / 1000
    supervisor.requestSample(intervalSeconds * options.cpuRatio)
  }

  return {
    opened,
    currentSnapshot: () => {
      if (snapshot !== undefined && isStale(snapshot, receivedAtMs)) {
        snapshot = dropReadings(snapshot)
      }
      return snapshot
    },
    tellPods: supervisor.tellPods,
    readiness: () => judgeReadiness(snapshot, receivedAtMs, workerAlive),
    stop: async () => {
      stopped = true
      clearTimeout(timer)
      await supervisor.stop()
      await books.close()
    },
  }

  function publish({ cpuSeconds, readErrors, wanted, recorded, ...sample }: Sample): void {
    samples++
    receivedAtMs = performance.now()
    for (const reason of readErrors) failures[reason]++
    // The first sample pays for loading and compiling, which says nothing about the next.
    if (samples > 1) costSeconds = advanceCost(costSeconds, cpuSeconds)
    const namespaces = sample.namespaces.flatMap((one) =>
      typeof one === 'string' ? (said.get(one) ?? []) : one,
    )
    said = new Map(namespaces.map((one) => [one.netns, one]))
    options.pods?.request(wanted.podUids, wanted.containerIds)
    const pods = options.pods?.collector()
    const booked = books.book(namespaces, recorded)
    snapshot = {
      ...sample,
      namespaces: booked.namespaces,
      unattributedFailures: booked.unattributed,
      collectors: pods === undefined ? sample.collectors : [...sample.collectors, pods],
      intervalSeconds: stretchInterval(options, costSeconds ?? 0, isStrained(namespaces)) / 1000,
      samples,
      workerRestarts,
      forecastHorizonSeconds: options.worker.forecastHorizonSeconds,
      failures: { ...failures },
    }
    events.snapshot(snapshot)
  }
}

function judgeReadiness(
  snapshot: Snapshot | undefined,
  receivedAtMs: number,
  workerAlive: boolean,
): { ready: boolean; reason: string } {
  if (!workerAlive) return { ready: false, reason: 'The sampling worker is being restarted' }
  if (snapshot === undefined) return { ready: false, reason: 'No sample has been taken yet' }
  if (isStale(snapshot, receivedAtMs)) {
    const ageSeconds = Math.round((performance.now() - receivedAtMs) / 1000)
    return { ready: false, reason: `The last sample is ${ageSeconds} s old` }
  }
  const failed = snapshot.namespaces.find(({ failure }) => failure !== undefined)
  if (failed !== undefined && snapshot.namespaces.every(({ state }) => state === undefined)) {
    return { ready: false, reason: failed.failure?.message ?? 'No namespace could be read' }
  }
  return { ready: true, reason: 'Ready' }
}

function isStale({ intervalSeconds }: Snapshot, receivedAtMs: number): boolean {
  const ageSeconds = (performance.now() - receivedAtMs) / 1000
  return ageSeconds > STALE_INTERVALS * intervalSeconds + STALE_GRACE_SECONDS
}

/**
 * What stays true of a namespace without a new sample, or is counted elsewhere. A field that is not named here is a
 * reading.
 */
type Lasting =
  | keyof NetnsName
  | 'inode'
  | 'containerId'
  | 'podUid'
  | 'pod'
  | 'oldest'
  | 'entrance'
  | 'programs'
  | 'detailed'
  | 'failure'
  | 'allocationFailures'

const nothingRead: Omit<Namespace, Lasting> = {
  state: undefined,
  nat: undefined,
  conntrack: undefined,
  probes: [],
}

/** What was true once is no longer known: no sample answers any more. */
function dropReadings(snapshot: Snapshot): Snapshot {
  if (snapshot.namespaces.every(({ state }) => state === undefined)) return snapshot
  const failure = { reason: 'timeout', message: 'No sample answers any more' } as const
  return {
    ...snapshot,
    namespaces: snapshot.namespaces.map((namespace) => ({
      ...namespace,
      ...nothingRead,
      failure,
    })),
    collectors: snapshot.collectors.map((row) => ({ ...row, success: false })),
  }
}
