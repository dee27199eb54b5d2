// Which namespaces can be looked at with that source: all of the node, or one.

import type { Libc } from '../kernel/libc.ts'
import type { SamplingSettings } from '../settings.ts'
import { findNamespace } from '../sources/procfs.ts'
import type { Source } from '../sources/source.ts'
import { NETNS_DIRECTORY } from './named.ts'
import { createOneNamespace, type Namespaces } from './namespaces.ts'
import { createNodeNamespaces } from './node.ts'
import { visibleInodeOf } from './processes.ts'

export interface NamespacesOptions extends Pick<SamplingSettings, 'procfs' | 'everyNamespace'> {
  readonly monotonicSeconds: () => number
  /** What enters namespaces; undefined where the source does not need it. */
  readonly libc: Libc | undefined
}

export function openNamespaces(source: Source, options: NamespacesOptions): Namespaces {
  const { procfs, everyNamespace, monotonicSeconds, libc } = options
  if (!source.synchronous) return createOneNamespace(source)
  const { kind, directory, own } = findNamespace(procfs)
  if (!everyNamespace || kind === 'copy') {
    const isOwn = own || source.entersNamespaces
    const inode = isOwn ? visibleInodeOf('/proc/thread-self/ns/net') : undefined
    return createOneNamespace(source, { net: directory, sys: `${procfs}/sys`, inode })
  }
  return createNodeNamespaces({
    procfs,
    netnsDirectory: NETNS_DIRECTORY,
    foreign: kind === 'init',
    monotonicSeconds,
    entering: source.entersNamespaces && libc ? { libc, read: () => source.read() } : undefined,
  })
}
