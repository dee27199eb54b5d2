// Contract ACROSS the threads: what the sampling thread and the main thread tell each other. Plain values only.

import type { ReadErrorReason, Reader } from './observation.ts'
import type { CollectorSettings, SamplingSettings } from './settings.ts'
import type { Namespace, NetnsName, Snapshot } from './snapshot.ts'

/** What a worker is started with, as Node's workerData. */
export interface WorkerData {
  readonly options: WorkerOptions
  /** Where the worker notes the descriptors that it has open (kernel/descriptors.ts). */
  readonly descriptors: Int32Array<SharedArrayBuffer>
  /** Names that earlier workers gave. */
  readonly given: readonly GivenName[]
  /** Connections that the probes of earlier workers made. */
  readonly opens: ProbeOpens
  /** What conntrack had counted when earlier workers looked last. */
  readonly counted: ConntrackCounted
}

/** What the sampling thread is told: the user's settings, and what follows from the machine and the command. */
export interface WorkerOptions extends SamplingSettings, CollectorSettings {
  readonly platform: string
  readonly ownPort: number | undefined
  /** Whether the process stays, so that it leads into its own namespace. */
  readonly serving: boolean
  /** The name of the tracing instance; undefined where failures are not counted. */
  readonly failures: string | undefined
  /** Whether the user asked for them by name: then it is a problem that they cannot be counted. */
  readonly failuresAsked: boolean
}

/** What is kept of a pod of this node, from the list of the Kubernetes API. */
export interface Pod {
  /** The UID as the kubelet writes it in cgroup paths, with dashes. */
  readonly uid: string
  readonly namespace: string
  readonly name: string
  /** net.ipv4.ip_local_port_range of the pod's spec, as text; undefined where the spec sets none. */
  readonly portRange: string | undefined
  /** net.ipv4.ip_local_reserved_ports of the pod's spec, as text; undefined where the spec sets none. */
  readonly reservedPorts: string | undefined
  /** Names of the containers that have been started, by id (64 hexadecimal digits). */
  readonly containers: Readonly<Record<string, string>>
  /** Its own addresses, as text; empty where it has those of its node. */
  readonly addresses: readonly string[]
}

/** A namespace keeps its name when the worker is started again. */
export type GivenName = readonly [key: string, name: NetnsName]

/** The part of a Snapshot that the worker knows. */
export interface Sample {
  readonly takenAtSeconds: number
  readonly durations: Snapshot['durations']
  /**
   * Namespaces in the order of the page. A name alone stands for one of which nothing has changed since the last
   * sample.
   */
  readonly namespaces: readonly (Namespace | string)[]
  readonly leftOut: NonNullable<Snapshot['leftOut']>
  /** Why each read that failed in this sample did. */
  readonly readErrors: readonly ReadErrorReason[]
  readonly collectors: Snapshot['collectors']
  readonly absences: Snapshot['absences']
  /**
   * CPU time that the sample cost its thread, first reads of new namespaces apart as far as they fit into one budget.
   */
  readonly cpuSeconds: number
  /** Failed allocations, where they are recorded. */
  readonly recorded: Recorded | undefined
  /** All names, by lasting key; undefined where they are what they were. */
  readonly named: readonly GivenName[] | undefined
  readonly opens: ProbeOpens
  readonly counted: ConntrackCounted
  /** What the names of pods and of their containers are still wanted of. */
  readonly wanted: { readonly podUids: readonly string[]; readonly containerIds: readonly string[] }
}

export type ToWorker =
  | {
      readonly type: 'sample'
      /** CPU time that it should cost at most. */
      readonly budgetSeconds: number
    }
  | {
      readonly type: 'pods'
      /** All that are known. */
      readonly pods: readonly Pod[]
      /** Whether the last list came. */
      readonly answered: boolean
    }

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

/** A namespace that is not watched, as with --netns=self: its failures are nobody's here, and are not counted. */
export const ELSEWHERE = 'elsewhere'

/** Failed allocations that differ in nothing but the time, or of which little more than their number is known. */
export interface FailureEvent {
  /** CPU in whose ring the kernel put them. */
  readonly cpu: number
  /** Key of the namespace of the thread, or ELSEWHERE; undefined where the thread had gone. */
  readonly netns: string | undefined
  /** Name of the owner of the thread; undefined where it or the destination is not known. */
  readonly owner: string | undefined
  /** The local address that routing chose, `10.0.0.5`; undefined where the destination is. */
  readonly source: string | undefined
  /**
   * `10.0.0.9:443`, `[2001:db8::1]:443`; v4-mapped addresses as IPv4. Undefined where a namespace had more kinds of
   * failures than a reading tells apart.
   */
  readonly destination: string | undefined
  readonly count: number
}

/** One CPU's ring, by the kernel's own counters. */
export interface RingCount {
  readonly cpu: number
  /** Events that have left the ring since the instance exists: `overrun + read events`. */
  readonly gone: number
  /** Records of this reading that are not the event: others wrote them. */
  readonly strangers: number
}

/** The rings in which nothing happened are left out, but for the first reading of a recorder. */
export interface FailureReading {
  readonly rings: readonly RingCount[]
  readonly events: readonly FailureEvent[]
  /** What could not be decoded; it counts all the same, without a destination. */
  readonly problem: string | undefined
}

/** What the failures collector recorded in one sample. */
export interface Recorded {
  /** Path of the tracing instance. The thread that outlives the worker holds it and one day removes it. */
  readonly instancePath: string
  /** Undefined when it could not be read this time: nothing is lost. */
  readonly reading: FailureReading | undefined
  /** Keys of all namespaces that exist. A key means the same to the next worker. */
  readonly present: readonly string[]
  /** Keys of the namespaces that have a name, with that name. */
  readonly named: readonly (readonly [key: string, netns: string])[]
}

/**
 * How many connections of our own probes each namespace counts, by its lasting key. The next worker leaves them out of
 * connections_opened_total too.
 */
export type ProbeOpens = readonly (readonly [key: string, opens: number])[]

/** One counter of conntrack, as it was read last. */
export interface CpuCounter {
  /** Numbers of 32 bits. */
  readonly cpus: readonly number[]
  /** How far it has grown since the program first looked. */
  readonly total: number
}

export interface ConntrackCounters {
  readonly found: CpuCounter
  readonly insertFailed: CpuCounter
  readonly drop: CpuCounter
  readonly clashResolve: CpuCounter | undefined
}

/** The counters that have grown, by the lasting key of the namespace. The next worker goes on with them. */
export type ConntrackCounted = readonly (readonly [key: string, counters: ConntrackCounters])[]
