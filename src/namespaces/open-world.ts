// Which namespaces can be looked at with that source: all of the node, or one.

import type { Libc } from '../kernel/libc.ts'
import { findNamespace } from '../sources/procfs.ts'
import type { Source, SynchronousSource } from '../sources/source.ts'
import { NETNS_DIRECTORY } from './named.ts'
import { createNodeWorld } from './node.ts'
import { createOneNamespaceWorld, type World } from './world.ts'

export interface WorldOptions {
  readonly procfs: string
  readonly everyNamespace: boolean
  readonly monotonicSeconds: () => number
  /** The libc that netlink uses. */
  readonly libc: Libc | undefined
}

export function openWorld(source: Source, options: WorldOptions): World {
  const { procfs, everyNamespace, monotonicSeconds, libc } = options
  if (!everyNamespace || !isSynchronous(source)) return createOneNamespaceWorld(source)
  const { kind } = findNamespace(procfs)
  if (kind === 'copy') return createOneNamespaceWorld(source)
  const isNetlink = source.reader === 'netlink' && libc !== undefined
  return createNodeWorld({
    procfs,
    netnsDirectory: NETNS_DIRECTORY,
    foreign: kind === 'init',
    monotonicSeconds,
    netlink: isNetlink ? { libc, read: () => source.read() } : undefined,
  })
}

/** systeminformation asks other programs, and knows one namespace only. */
function isSynchronous(source: Source): source is SynchronousSource {
  return source.reader !== 'systeminformation'
}
