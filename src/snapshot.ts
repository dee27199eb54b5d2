// Contract OUT of the core: everything one sample learned, as one immutable value that survives structured cloning.
// /metrics, /api/v1/snapshot, the status page and the command line only render it. `undefined` means "not known".

import type { Exactness, Protocol, RangeOrigin, ReadErrorReason, Reader } from './observation.ts'
import type { ConntrackState, NatState } from './snapshot-nat.ts'
import type { Destination, OwnerName, Pool, PoolName } from './snapshot-pools.ts'

export type * from './snapshot-nat.ts'
export type * from './snapshot-pools.ts'

export interface DestinationRow extends Destination {
  readonly usedPorts: number
  readonly timeWaitPorts: number
  readonly utilizationRatio: number
}

export interface Destinations {
  /** Distinct (source, destination) pairs in use. */
  readonly count: number
  /** The top N. */
  readonly rows: readonly DestinationRow[]
  /** What the rows leave out; undefined when they leave out nothing. */
  readonly other: { readonly usedPorts: number; readonly timeWaitPorts: number } | undefined
}

export interface ListenerRow {
  readonly protocol: Protocol
  readonly port: number
  readonly owner: string
}

/** How many ports somebody holds; each used port counts for one owner, so that the rows of a protocol add up. */
export interface OwnerRow extends OwnerName {
  readonly protocol: Protocol
  readonly usedPorts: number
}

/** Failed allocations the kernel recorded, counted since the exporter started. */
export interface AllocationFailures {
  readonly pools: readonly { readonly pool: PoolName; readonly total: number }[]
  readonly destinations: readonly {
    readonly destination: string
    readonly owner: string
    readonly total: number
  }[]
}

/** What an allocation made for the purpose, and given back at once, said. */
export interface Probe {
  readonly pool: PoolName
  readonly success: boolean
  readonly durationSeconds: number
}

export interface ProtocolUse {
  readonly protocol: Protocol
  /** Distinct usable ports held by any socket. */
  readonly usedPorts: number
  /** Sockets with a local port in the range by state, zeros included; a state the reader cannot see is missing. */
  readonly sockets: Readonly<Record<string, number>>
  /** Sockets with a local port in the range that a listener in the range accepted. */
  readonly inboundSockets: number
  /** Ports inside the range, not reserved, that are listened on. Undefined where listeners cannot be told. */
  readonly listeners: number | undefined
}

export interface Settings {
  readonly firstPort: number
  readonly lastPort: number
  /** Reserved ports inside the range. */
  readonly reservedPorts: number
  /** The first 100 ranges of ip_local_reserved_ports, ascending, inclusive; may reach beyond the range. */
  readonly reservedRanges: readonly { readonly first: number; readonly last: number }[]
  /** Ranges of ip_local_reserved_ports above those: a list may have 32,767. */
  readonly reservedRangesLeftOut: number
  readonly usablePorts: number
  readonly tcpTwReuse: number | undefined
  readonly tcpTimestamps: number | undefined
  /** Undefined where the kernel has no such sysctl. */
  readonly tcpTwReuseDelaySeconds: number | undefined
  readonly tcpMaxTwBuckets: number | undefined
  readonly autobindReuse?: number | undefined
  readonly portStepWidth?: number | undefined
}

/** What one successful read of one namespace gave. */
export interface NamespaceState {
  readonly readAtSeconds: number
  readonly reader: Reader
  readonly exactness: Exactness
  /** Whether the reader sees all sockets that this kernel lists: what it lacks then, no other reader shows. */
  readonly readerIsExact: boolean
  /** Whether it was read from inside: then the source enters namespaces, given the right. */
  readonly entered: boolean
  readonly rangeOrigin: RangeOrigin
  readonly settings: Settings
  readonly protocols: readonly ProtocolUse[]
  /** Ports closed to every connect(); `bound` is undefined where the reader cannot see bound sockets. */
  readonly blockedPorts: { readonly listener: number; readonly bound: number | undefined }
  readonly pools: readonly Pool[]
  /** Undefined where the collector is off. */
  readonly destinations: Destinations | undefined
  readonly listeners: readonly ListenerRow[]
  /** The top N of each protocol, the rest as `other`. Undefined where the collector is off or nothing tells owners. */
  readonly owners: readonly OwnerRow[] | undefined
  /** TIME_WAIT ports that come free within that many seconds, cumulative. */
  readonly timeWaitRelease: readonly { readonly withinSeconds: number; readonly ports: number }[]
  /** Tcp ActiveOpens. */
  readonly connectionsOpened: number | undefined
  /** TcpExt TWRecycled: connections that took the port of a TIME_WAIT. */
  readonly timeWaitRecycled?: number | undefined
  /** Rows that a cap hid, by metric family. */
  readonly truncated: Readonly<Record<string, number>>
}

export type NetnsKind = 'host' | 'self' | 'pod' | 'container' | 'named' | 'inode'

/** A process, and the program it runs as /proc names it. */
export interface Program {
  readonly pid: number
  readonly program: string
}

export interface NetnsName {
  /** Given once, and never to two namespaces. */
  readonly netns: string
  readonly netnsKind: NetnsKind
}

/** Why a namespace could not be read. A failure is an allocation that failed; only the JSON calls this `failure`. */
export interface ReadError {
  readonly reason: ReadErrorReason
  readonly message: string
}

export interface Namespace extends NetnsName {
  /** Inode of /proc/<pid>/ns/net, undefined where that may not be looked at. */
  readonly inode: number | undefined
  /** The id that a process in it has, 64 hex digits or a name; undefined where there is none. */
  readonly containerId: string | undefined
  readonly podUid: string | undefined
  /** Undefined until the pod's name is known. */
  readonly pod: { readonly namespace: string; readonly name: string } | undefined
  /** The process that has been longest in a namespace without a name, where /proc tells. */
  readonly oldest?: Program | undefined
  /** How a command gets into it: its file in /run/netns, and a process that is in it. */
  readonly entrance: {
    readonly name: string | undefined
    /**
     * When the namespace with that file was made, in whole Unix seconds: another may have its name and its inode by
     * now.
     */
    readonly madeSeconds?: number | undefined
    readonly pid: number | undefined
  }
  /** The processes of the owners behind a pool that is nearly full, where /proc tells them. */
  readonly programs: readonly (OwnerName & Program)[]
  /**
   * Whether all of its rows are exported: not where every pool is below --detail.min-utilization and nothing has
   * failed.
   */
  readonly detailed: boolean
  /** Undefined when the last read failed; `failure` then says why. */
  readonly state: NamespaceState | undefined
  readonly failure: ReadError | undefined
  /** Undefined where there is no conntrack, or where it has never tracked anything. */
  readonly conntrack: ConntrackState | undefined
  /** Undefined where nothing is translated, or where that may not be listed. Its pools are among those of `state`. */
  readonly nat: NatState | undefined
  /** Undefined where failures cannot be observed. */
  readonly allocationFailures: AllocationFailures | undefined
  /** Empty where probing is off. */
  readonly probes: readonly Probe[]
}

/** A namespace that could be read. */
export type ReadNamespace = Namespace & { readonly state: NamespaceState }

export function hasState(namespace: Namespace): namespace is ReadNamespace {
  return namespace.state !== undefined
}

export interface Snapshot {
  /** Unix time at the end of the sample. */
  readonly takenAtSeconds: number
  /** The sampling interval in force, stretched where the CPU budget asks for it. */
  readonly intervalSeconds: number
  /** Seconds that the stages of the sample took; together the whole sample. */
  readonly durations: {
    readonly discover: number
    readonly read: number
    readonly model: number
    /** Probes, names of owners and pods, counted failures and what else a sample does. */
    readonly other: number
  }
  /** Samples since the program started. */
  readonly samples: number
  readonly workerRestarts: number
  readonly forecastHorizonSeconds: number
  readonly namespaces: readonly Namespace[]
  readonly leftOut?:
    | {
        /** Namespaces beyond --netns.max: nothing is known of them. */
        readonly namespaces: number
        /** Namespaces whose read was due, but for which the sample had no time: what is known of them is older. */
        readonly postponed: number
      }
    | undefined
  /** Failed allocations of which nothing tells the namespace. */
  readonly unattributedFailures?: AllocationFailures | undefined
  /** Failed reads since the program started, all reasons present. */
  readonly failures: Readonly<Record<ReadErrorReason, number>>
  readonly collectors: readonly {
    readonly collector: string
    readonly success: boolean
    readonly durationSeconds: number
    /** Why it does not succeed, where that can be said in a sentence. */
    readonly problem?: string | undefined
  }[]
  /** Collectors that nobody switched on or off, and that are not permitted, or not possible, here. */
  readonly absences: readonly Absence[]
}

export interface Absence {
  readonly collector: string
  readonly reason: string
}

/** What is true of the program as long as it runs. */
export interface Build {
  readonly version: string
  readonly revision: string
  readonly nodeVersion: string
  readonly platform: string
  readonly arch: string
}
