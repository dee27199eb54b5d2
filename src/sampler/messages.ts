// What crosses between the main thread and the sampling worker: plain values only.

import type { NetnsName } from '../namespaces/names.ts'
import type { FailureReason, Reader } from '../observation.ts'
import type { Namespace, Snapshot } from '../snapshot.ts'
import type { Recorded } from './failure-watch.ts'
import type { ProbeOpens } from './watched.ts'

/** What the worker is started with. */
export interface WorkerOptions {
  readonly source: Reader | 'auto'
  readonly procfs: string
  /** Where cgroup v2 is mounted; undefined: wherever the mount table says. */
  readonly cgroup: string | undefined
  readonly platform: string
  readonly ownPort: number | undefined
  /** False: only the namespace that the source sees by itself. */
  readonly everyNamespace: boolean
  readonly top: number
  readonly detailMinUtilization: number
  readonly peakWindowSeconds: number
  readonly forecastHorizonSeconds: number
  readonly destinations: boolean
  readonly listeners: boolean
  readonly owners: boolean
  /** Whether the names of pods will be told. */
  readonly kubernetes: boolean
  /** The name of the tracing instance; undefined where failures are not counted. */
  readonly failures: string | undefined
  /** Where tracefs is mounted; undefined: in one of the usual places. */
  readonly tracefs: string | undefined
  /** Whether allocations are tried. */
  readonly probe: boolean
}

/** What the main thread knows of a pod of this node. */
export interface PodFacts {
  readonly uid: string
  readonly namespace: string
  readonly name: string
  /** Text of net.ipv4.ip_local_port_range and ip_local_reserved_ports in the pod's spec. */
  readonly portRange: string | undefined
  readonly reservedPorts: string | undefined
  /** Names of its containers by id. */
  readonly containers: Readonly<Record<string, string>>
}

/** A namespace keeps its name when the worker is started again. */
export type GivenName = readonly [key: string, name: NetnsName]

/** The part of a Snapshot that the worker knows. */
export interface Sample {
  readonly takenAtSeconds: number
  readonly durations: Snapshot['durations']
  /** In the order of the page; a name alone stands for a namespace of which nothing has changed since the last sample. */
  readonly namespaces: readonly (Namespace | string)[]
  /** Reasons of the reads that failed in this sample. */
  readonly failures: readonly FailureReason[]
  readonly collectors: Snapshot['collectors']
  /** CPU time that the sample cost its thread, the first look at new namespaces apart. */
  readonly cpuSeconds: number
  /** Failed allocations, where they are recorded. */
  readonly recorded: Recorded | undefined
  /** Names that were given in this sample, by lasting key. */
  readonly named: readonly GivenName[]
  readonly opens: ProbeOpens
  /** What the names of pods and of their containers are still wanted of. */
  readonly wanted: { readonly podUids: readonly string[]; readonly containerIds: readonly string[] }
}

export type ToWorker =
  | {
      readonly type: 'sample'
      /** CPU time that it should cost at most. */
      readonly budgetSeconds: number
    }
  | { readonly type: 'pods'; readonly pods: readonly PodFacts[] }

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
