// One way to learn which sockets there are. An open source has proved that it works on this host.

import type { Libc } from '../kernel/libc.ts'
import type { NamespaceReading, Reader } from '../observation.ts'

export interface Source {
  readonly reader: Reader
  /** What the self-test found, for the log. */
  readonly traits: Readonly<Record<string, boolean | string>>
  /** Looks once. Throws SourceError or DecodeError, here or while the batches are consumed. */
  read(): NamespaceReading | Promise<NamespaceReading>
}

/** One that can be used inside a switched namespace. */
export interface SynchronousSource extends Source {
  read(): NamespaceReading
}

export interface SourceOptions {
  /** Where /proc is, without a slash at the end. */
  readonly procfs: string
  readonly platform: string
  /** Whether other namespaces than the one that `procfs` stands for are to be read too. */
  readonly everyNamespace?: boolean
  /** Loads what netlink needs. */
  readonly openLibc?: () => Promise<Libc>
  /** The port that the exporter itself listens on: a table of sockets that lacks it is wrong. */
  readonly ownPort: number | undefined
}
