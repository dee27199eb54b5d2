// Contract OUT of the core: everything one sample learned, as one immutable value that survives structured cloning.
// /metrics, /api/v1/snapshot, the status page and the command line only render it. `undefined` means "not known".

import type { Exactness, FailureReason, Protocol, RangeOrigin, Reader } from './observation.ts'

export type PoolName = 'tcp_connect' | 'tcp_bind' | 'udp'

/** A local address and the remote it talks to, as text: `10.0.0.5` and `10.0.0.9:443`, IPv6 in brackets before a port. */
export interface Destination {
  /** With `%<interface index>` behind it where the sockets are bound to a device. */
  readonly source: string
  readonly destination: string
}

/** What holds a port: sockets by state, and sockets that close their port to every connect(). */
export const holders = [
  'established',
  'time_wait',
  'close_wait',
  'fin_wait',
  'syn_sent',
  /** A socket that is bound and not connected, or whose port the program chose. */
  'bound',
  'listener',
  /** A connection whose port was bound first, as tests or memory tell. */
  'hidden',
  'other',
] as const
export type Holder = (typeof holders)[number]

/** What fills a pool, in the words of the label `cause`. */
export type CauseName =
  /** Connections that are opened and closed faster than TIME_WAIT lets their ports go. */
  | 'churn'
  /** Connections that are opened and never closed. */
  | 'open_leak'
  /** The other end has closed, the program has not. */
  | 'close_wait'
  | 'bound_idle'
  | 'bind_before_connect'
  | 'listeners'
  /** Connections that are open at the same time, and not known to pile up. */
  | 'many_connections'
  | 'udp_sockets'
  | 'unknown'

/** An owner and how many ports of a cause it holds. */
export interface OwnerShare extends OwnerName {
  readonly ports: number
}

export interface Cause {
  readonly cause: CauseName
  /** Ports that it explains, of those that are not available. */
  readonly ports: number
  /** Who holds them, most first, at most three. Empty where nothing tells owners. */
  readonly owners: readonly OwnerShare[]
}

export interface Pool {
  readonly pool: PoolName
  /** Ports the pool can ever hand out. */
  readonly capacityPorts: number
  /** How many more allocations will succeed now; for tcp_connect at the worst destination. */
  readonly availablePorts: number
  /** Ports without any socket: the lower bound of what is available. Undefined where bound sockets cannot be seen. */
  readonly unusedPorts: number | undefined
  /** Ports counted as available of which it is not known whether bind() has closed them; tcp_connect only. */
  readonly uncertainPorts: number | undefined
  /** 1 - available / capacity; 1 for a pool without capacity. */
  readonly utilizationRatio: number
  /** The highest of the trailing peak window. */
  readonly utilizationPeakRatio: number
  /** TIME_WAIT ports that connect() may recycle now; tcp_connect only. */
  readonly reclaimablePorts: number | undefined
  /** connect() to the worst destination has to scan past a full parity half; tcp_connect only. */
  readonly slow: boolean | undefined
  /** Probability that an allocation fails within the horizon; undefined until enough was seen. */
  readonly riskRatio: number | undefined
  /** Expected seconds until available reaches 0; undefined when not heading there. */
  readonly etaSeconds: number | undefined
  /** The destination behind the numbers; tcp_connect only, undefined while there is none. */
  readonly worstDestination: Destination | undefined
  /** What holds the ports that are not available; the counts add up to capacity - available. */
  readonly heldPorts: Readonly<Record<Holder, number>>
  /** What holds most of them; undefined while nothing is held. */
  readonly cause: Cause | undefined
}

/** Whether its cause is told: a pool past 80 %, or at risk of 0.2. */
export function isCauseShown({ utilizationRatio, riskRatio = 0 }: Pool): boolean {
  return utilizationRatio >= 0.8 || riskRatio >= 0.2
}

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

export type OwnerKind =
  | 'unit'
  | 'container'
  | 'pod'
  | 'cgroup'
  | 'user'
  /** Ownerless, and never seen alive. */
  | 'none'
  /** The kernel names an owner that cannot be resolved. */
  | 'unknown'
  /** Those that did not make the top. */
  | 'other'

export interface OwnerName {
  readonly owner: string
  readonly ownerKind: OwnerKind
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
  /** All of ip_local_reserved_ports, ascending, inclusive; may reach beyond the range. */
  readonly reservedRanges: readonly { readonly first: number; readonly last: number }[]
  readonly usablePorts: number
  readonly tcpTwReuse: number | undefined
  readonly tcpTimestamps: number | undefined
  /** Undefined where the kernel has no such sysctl. */
  readonly tcpTwReuseDelaySeconds: number | undefined
  readonly tcpMaxTwBuckets: number | undefined
}

/** What one successful read of one namespace gave. */
export interface NamespaceState {
  readonly readAtSeconds: number
  readonly reader: Reader
  readonly exactness: Exactness
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

export interface Namespace extends NetnsName {
  /** Of the file /proc/<pid>/ns/net; undefined where that may not be looked at. */
  readonly inode: number | undefined
  /** Of a process in it, 64 hex digits; undefined where there is none. */
  readonly containerId: string | undefined
  readonly podUid: string | undefined
  /** Undefined until the pod's name is known. */
  readonly pod: { readonly namespace: string; readonly name: string } | undefined
  /** How a command gets into it: its file in /run/netns, and a process that is in it. */
  readonly entrance: { readonly name: string | undefined; readonly pid: number | undefined }
  /** The processes of the owners behind a pool that is nearly full, where /proc tells them. */
  readonly programs: readonly (OwnerName & Program)[]
  /** Whether all of its rows are exported: not where every pool is below --detail.min-utilization and nothing has failed. */
  readonly detailed: boolean
  /** Undefined when the last read failed; `failure` then says why. */
  readonly state: NamespaceState | undefined
  readonly failure: { readonly reason: FailureReason; readonly message: string } | undefined
  /** Undefined where failures cannot be observed. */
  readonly allocationFailures: AllocationFailures | undefined
  /** Empty where probing is off. */
  readonly probes: readonly Probe[]
}

export interface Snapshot {
  /** Unix time at the end of the sample. */
  readonly takenAtSeconds: number
  /** The sampling interval in force, stretched where the CPU budget asks for it. */
  readonly intervalSeconds: number
  readonly durations: { readonly discover: number; readonly read: number; readonly model: number }
  /** Samples since the program started. */
  readonly samples: number
  readonly workerRestarts: number
  readonly forecastHorizonSeconds: number
  readonly namespaces: readonly Namespace[]
  /** Failed allocations of which nothing tells the namespace. */
  readonly unattributedFailures?: AllocationFailures | undefined
  /** Failed reads since the program started, all reasons present. */
  readonly failures: Readonly<Record<FailureReason, number>>
  readonly collectors: readonly {
    readonly collector: string
    readonly success: boolean
    readonly durationSeconds: number
    /** Why it does not succeed, where that can be said in a sentence. */
    readonly problem?: string | undefined
  }[]
}

/** What is true of the program as long as it runs. */
export interface Build {
  readonly version: string
  readonly revision: string
  readonly nodeVersion: string
  readonly platform: string
  readonly arch: string
}
