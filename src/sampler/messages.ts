// What crosses between the main thread and the sampling worker: plain values only.

import type { FailureReason, Reader } from '../observation.ts'
import type { Namespace, Snapshot } from '../snapshot.ts'

/** What the worker is started with. */
export interface WorkerOptions {
  readonly source: Reader | 'auto'
  readonly procfs: string
  readonly platform: string
  readonly ownPort: number | undefined
  readonly top: number
  readonly peakWindowSeconds: number
  readonly forecastHorizonSeconds: number
  readonly destinations: boolean
  readonly listeners: boolean
}

/** The part of a Snapshot that the worker knows. */
export interface Sample {
  readonly takenAtSeconds: number
  readonly durations: Snapshot['durations']
  readonly namespaces: readonly Namespace[]
  /** Reasons of the reads that failed in this sample. */
  readonly failures: readonly FailureReason[]
  readonly collectors: Snapshot['collectors']
  /** CPU time that the sample cost its thread. */
  readonly cpuSeconds: number
}

export type ToWorker = { readonly type: 'sample' }

export type FromWorker =
  | {
      readonly type: 'opened'
      readonly reader: Reader
      readonly traits: Readonly<Record<string, boolean | string>>
      /** Why the sources that would be better do not work here. */
      readonly refusals: readonly string[]
    }
  | { readonly type: 'refused'; readonly message: string }
  | { readonly type: 'sampled'; readonly sample: Sample }
