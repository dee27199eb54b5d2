// Contract ACROSS all: the user's settings that the sampling thread needs, each declared here alone. config/ fills
// them, and who needs some picks them.

import type { PortRange, Reader } from './observation.ts'

export interface SamplingSettings {
  readonly source: Reader | 'auto'
  /** Where procfs is mounted, without a slash at the end. */
  readonly procfs: string
  /** Where cgroup v2 is mounted, without a slash at the end; undefined: wherever the mount table says. */
  readonly cgroup: string | undefined
  /** Where tracefs is mounted; undefined: in one of the usual places. */
  readonly tracefs: string | undefined
  /** False: only the namespace that the source sees by itself. */
  readonly everyNamespace: boolean
  /** Namespaces that are read and shown at most. */
  readonly mostNamespaces: number
  /** Rows kept for each namespace and family. */
  readonly top: number
  /** Utilization of a pool, 0 to 1, from which its namespace has all its rows. Below it nobody needs the last port. */
  readonly detailMinUtilization: number
  readonly peakWindowSeconds: number
  readonly forecastHorizonSeconds: number
  /** Ports that NAT addresses may take, whatever the rules say. */
  readonly natRanges: readonly NatRangeOption[]
}

/** Collectors that a flag of their name switches. */
export interface CollectorSettings {
  readonly destinations: boolean
  readonly listeners: boolean
  /** Who holds the ports. */
  readonly owners: boolean
  /** Whether the names of pods will be told. */
  readonly kubernetes: boolean
  /** Whether allocations are tried. */
  readonly probe: boolean
  /** Whether bind buckets are read; undefined: where that is permitted. */
  readonly buckets: boolean | undefined
  /** Whether what namespaces translate is watched. */
  readonly nat: boolean
}

/** The ports of one NAT address as the user gives them. */
export interface NatRangeOption extends PortRange {
  /** IPv4 as a number. */
  readonly address: number
}
