// The namespaces that a sample looks at: all of the node, or the one alone that the source sees by itself.

import type { NamespaceReading, NetSettings, PortRange } from '../observation.ts'
import type { Source } from '../sources/source.ts'
import type { NetNamespace } from './net-namespace.ts'

/** The port settings of a namespace as its pod's spec has them, for want of the kernel's word. */
export type SpecSettings = Partial<Pick<NetSettings, 'range' | 'reserved'>>

export interface Namespaces {
  /** Those there are now. Throws SourceError or DecodeError when that cannot be found out. */
  list(): readonly NetNamespace[]
  /**
   * No namespace holds more ports than this; undefined where that cannot be learned without listing its sockets.
   */
  boundPorts(namespace: NetNamespace): number | undefined
  /** The range alone, without listing sockets; undefined where only a reading tells it. Throws SourceError or DecodeError. */
  readRange(namespace: NetNamespace): PortRange | undefined
  /**
   * Calls `use` with a reading, which is valid until it returns. Throws SourceError or DecodeError when the namespace
   * cannot be read; what `use` throws passes through.
   */
  read<T>(
    namespace: NetNamespace,
    use: (reading: NamespaceReading) => T,
    spec?: SpecSettings,
  ): T | Promise<T>
}

const ONLY: NetNamespace = {
  id: 1,
  own: true,
  ofInit: false,
  inode: undefined,
  netInode: undefined,
  cookie: undefined,
  pids: [],
  processAgeSeconds: undefined,
  bornSeconds: undefined,
  names: [],
  entrances: [],
}

/** The one namespace that the source reads by itself, wherever that is. */
export function createOneNamespace(source: Source): Namespaces {
  return {
    list: () => [ONLY],
    boundPorts: () => undefined,
    readRange: () => undefined,
    read: (_place, use) => {
      const reading = source.read()
      return reading instanceof Promise ? reading.then(use) : use(reading)
    },
  }
}
