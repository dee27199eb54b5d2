// Which namespaces can be looked at with that source: all of the node, or one.

import type { Libc } from '../kernel/libc.ts'
import { findNamespace } from '../sources/procfs.ts'
import type { Source } from '../sources/source.ts'
import { NETNS_DIRECTORY } from './named.ts'
import { createNodeWorld } from './node.ts'
import { createOneNamespaceWorld, type World } from './world.ts'

export interface WorldOptions {
  readonly procfs: string
  readonly everyNamespace: boolean
  readonly monotonicSeconds: () => number
  /** What enters namespaces; undefined where the source does not need it. */
  readonly libc: Libc | undefined
}

export function openWorld(source: Source, options: WorldOptions): World {
  const { procfs, everyNamespace, monotonicSeconds, libc } = options
  if (!everyNamespace || !source.synchronous) return createOneNamespaceWorld(source)
  const { kind } = findNamespace(procfs)
  if (kind === 'copy') return createOneNamespaceWorld(source)
  return createNodeWorld({
    procfs,
    netnsDirectory: NETNS_DIRECTORY,
    foreign: kind === 'init',
    monotonicSeconds,
    entering: source.entersNamespaces && libc ? { libc, read: () => source.read() } : undefined,
  })
}
