// Namespaces and their files by inode: of hundreds each is looked for several times a sample. Pure.

import type { Mark } from './processes.ts'

/** Finds by the inode of ns/net, and by that of net/tcp. */
export interface InodeIndex<T> extends Readonly<Record<Mark['by'], ReadonlyMap<number, T>>> {
  /** All of them in the order in which they came. */
  readonly all: readonly T[]
  add(one: T): void
}

interface Inodes {
  readonly inode: number | undefined
  readonly netInode: number | undefined
}

export function indexByInodes<T extends Inodes>(some: readonly T[]): InodeIndex<T> {
  const all: T[] = []
  const ns = new Map<number, T>()
  const net = new Map<number, T>()
  function add(one: T): void {
    all.push(one)
    if (one.inode !== undefined) ns.set(one.inode, one)
    if (one.netInode !== undefined) net.set(one.netInode, one)
  }
  for (const one of some) add(one)
  return { all, ns, net, add }
}

/** What has no number is left out. */
export function groupByNumber<T>(
  items: readonly T[],
  numberOf: (item: T) => number | undefined,
): ReadonlyMap<number, readonly T[]> {
  const groups = new Map<number, T[]>()
  for (const item of items) {
    const number = numberOf(item)
    if (number === undefined) continue
    const group = groups.get(number)
    if (group === undefined) groups.set(number, [item])
    else group.push(item)
  }
  return groups
}
