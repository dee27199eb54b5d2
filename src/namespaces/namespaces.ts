// The namespaces that a sample looks at: all of the node, or the one alone that the source sees by itself.

import {
  type ConntrackCounts,
  readConntrackCounts,
  readConntrackLimit,
} from '../kernel/conntrack-stat.ts'
import { type NamespaceReading, type NetSettings, SourceError } from '../observation.ts'
import type { Source } from '../sources/source.ts'
import type { NetNamespace } from './net-namespace.ts'

/** Which ports the kernel may choose, the reserved ones not parsed. */
export type PortSettings = Pick<NetSettings, 'range' | 'reservedText'>

/** The port settings of a namespace as its pod's spec has them, for want of the kernel's word. */
export type SpecSettings = Partial<Pick<NetSettings, 'range' | 'reserved' | 'reservedText'>>

export interface Namespaces {
  /** Lists the namespaces there are now. Throws SourceError or DecodeError when that cannot be found out. */
  list(): readonly NetNamespace[]
  /**
   * No namespace holds more ports than this; undefined where that cannot be learned without listing its sockets.
   */
  boundPorts(namespace: NetNamespace): number | undefined
  /**
   * The port settings alone, without listing sockets; undefined where only a reading tells them. Throws SourceError or
   * DecodeError.
   */
  readPortSettings(namespace: NetNamespace): PortSettings | undefined
  /**
   * Calls `use` with a reading, which is valid until it returns. `readSpec` tells what its pod's spec says where the
   * settings cannot be read. Throws SourceError or DecodeError when the namespace cannot be read; what `use` throws
   * passes through.
   */
  read<T>(
    namespace: NetNamespace,
    use: (reading: NamespaceReading) => T,
    readSpec?: () => SpecSettings | undefined,
  ): T | Promise<T>
  /**
   * What conntrack counts there, without any right; undefined where there is none, or where it cannot be looked at.
   * Throws SourceError or DecodeError.
   */
  conntrack(namespace: NetNamespace): Conntrack | undefined
  /**
   * Calls `call` with the calling thread inside the namespace. Throws SourceError where it cannot be entered; what
   * `call` throws passes through.
   */
  inside<T>(namespace: NetNamespace, call: () => T): T
}

export interface Conntrack extends ConntrackCounts {
  /** How many entries a namespace may have, the same for all. */
  readonly limit: number | undefined
}

const only: NetNamespace = {
  id: 1,
  own: true,
  ofInit: false,
  inode: undefined,
  netInode: undefined,
  cookie: undefined,
  makerUid: undefined,
  pids: [],
  processAgeSeconds: undefined,
  bornSeconds: undefined,
  names: [],
  entrances: [],
}

/**
 * The one namespace that the source reads by itself, wherever that is. `roots`: its /proc/<who>/net, and the /proc/sys
 * of the machine; undefined where there is none.
 */
export function createOneNamespace(
  source: Source,
  roots?: {
    readonly net: string
    readonly sys: string
    /** Inode of ns/net; undefined where it is not the namespace of this process. */
    readonly inode: number | undefined
  },
): Namespaces {
  const listed = [{ ...only, inode: roots?.inode }]
  return {
    list: () => listed,
    boundPorts: () => undefined,
    readPortSettings: () => undefined,
    read: (_namespace, use) => {
      const reading = source.read()
      return reading instanceof Promise ? reading.then(use) : use(reading)
    },
    conntrack: () => roots && readConntrack(roots.net, readConntrackLimit(roots.sys)),
    inside: (_namespace, call) => {
      if (source.entersNamespaces) return call()
      throw new SourceError(
        'permission',
        'Cannot list conntrack: the source at work enters no namespace',
      )
    },
  }
}

/** Reads the counts of the namespace behind `net`, a /proc/<who>/net. */
export function readConntrack(net: string, limit: number | undefined): Conntrack | undefined {
  const counts = readConntrackCounts(`${net}/stat/nf_conntrack`)
  return counts && { ...counts, limit }
}
