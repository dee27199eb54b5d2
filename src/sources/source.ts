// One way to learn which sockets there are. An open source has proved that it works on this host.

import type { Libc } from '../kernel/libc.ts'
import type { NamespaceReading, Reader } from '../observation.ts'
import type { SamplingSettings } from '../settings.ts'

interface OpenSource {
  readonly reader: Reader
  /** Whether read() looks at the namespace that the calling thread is in, so that others are read by entering them. */
  readonly entersNamespaces: boolean
  /** What the self-test found, for the log. */
  readonly traits: Readonly<Record<string, boolean | string>>
}

/** A source that answers before it returns. Beside it, other namespaces can be read through /proc/<pid>/net. */
export interface SynchronousSource extends OpenSource {
  readonly synchronous: true
  /** Looks once. Throws SourceError or DecodeError, here or while the batches are consumed. */
  read(): NamespaceReading
}

/** A source that waits for other programs, and knows one namespace. */
export interface AsynchronousSource extends OpenSource {
  readonly synchronous: false
  readonly entersNamespaces: false
  /** Looks once. Rejects with SourceError or DecodeError. */
  read(): Promise<NamespaceReading>
}

export type Source = SynchronousSource | AsynchronousSource

export interface SourceOptions extends Pick<SamplingSettings, 'procfs' | 'everyNamespace'> {
  readonly platform: string
  /** Loads what netlink needs. */
  readonly openLibc?: () => Promise<Libc>
  /** The port that the exporter itself listens on: a table of sockets that lacks it is wrong. */
  readonly ownPort: number | undefined
}
