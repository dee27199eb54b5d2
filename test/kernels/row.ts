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

export interface Row {
  readonly release: string
  /** Why it came to nothing. */
  readonly problem?: string
  /** What the exporter that reads bind buckets has logged. */
  readonly log: string
  readonly outcomes: readonly Outcome[]
}

/** Begins the line of a row, since kernels write on the same serial line. */
export const MARK = 'ROW '
