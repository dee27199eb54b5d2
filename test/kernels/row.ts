// What a machine under test tells the one that started it.

/** What the page promised of the worst destination, and what the kernel then granted. */
export interface Outcome {
  readonly history: string
  /** Without bind buckets: by how much the page may be too high, and what it called itself. */
  readonly without: number
  readonly uncertainWithout: number | undefined
  readonly exactnessWithout: string
  readonly with: number
  readonly exactnessWith: string
  readonly granted: number
}

/** What the page with the probe said of idle bound sockets, and what the kernel then granted. */
export interface Leak {
  readonly bound: number
  readonly bindAvailable: number
  readonly connectAvailable: number
  /** Undefined where the page says nothing. */
  readonly risk: number | undefined
  readonly canary: number
  /** Of the status page: ok, note, warning or critical. */
  readonly severity: string
  readonly exactness: string
  readonly granted: number
}

/** What the page said of the ports of all VRFs together, and what the kernel granted without a VRF and in one. */
export interface Vrf {
  readonly buckets: boolean
  readonly available: number
  readonly exactness: string
  readonly granted: number
  readonly grantedInVrf: number
}

/** What was said of a namespace that has no port left, before the module tcp_diag was there and after. */
export interface Neighbour {
  readonly reader: string
  readonly range: string
  readonly capacity: number
  readonly available: number
}

export interface Row {
  readonly release: string
  /** Why it came to nothing. */
  readonly problem?: string
  /** What the exporters have logged. */
  readonly log: string
  readonly neighbours: readonly Neighbour[]
  readonly outcomes: readonly Outcome[]
  readonly leaks: readonly Leak[]
  readonly vrfs: readonly Vrf[]
}

/** Begins the line of a row, since kernels write on the same serial line. */
export const MARK = 'ROW '
