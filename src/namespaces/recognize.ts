// Is this the namespace that was known? A namespace is known again by its file, by a process that is still the same, or
// by its cookie: the kernel gives a freed inode away again at once
// (docs/development/port-model.md#threads-identity-and-owners).

import { readStartSeconds } from '../kernel/proc-stat.ts'
import type { MakerUid } from '../kernel/user-namespaces.ts'
import type { InodeIndex } from './by-inode.ts'
import type { NamedFile } from './named.ts'
import type { InsideView } from './net-namespace.ts'
import { visibleInodeOf } from './processes.ts'

/** A namespace as the last look has left it. */
export interface Known {
  readonly id: number
  readonly own: boolean
  inode: number | undefined
  readonly netInode: number | undefined
  readonly cookie: bigint | undefined
  readonly makerUid: MakerUid | undefined
  /** Start of the process it was first known by: with the inode it means the same to another run. */
  bornSeconds: number | undefined
  pids: readonly number[]
  files: readonly NamedFile[]
  /** The process by which it is known again. */
  watched: WatchedProcess | undefined
}

interface WatchedProcess {
  readonly pid: number
  readonly startSeconds: number
  /**
   * Inode of /proc/<pid>: cheaper to look at than the start, and never the same for two processes, but it may change.
   */
  inode: number | undefined
}

/** A namespace that nothing is known of but what one look from outside and one from inside have told. */
export function createKnown(
  id: number,
  inode: number | undefined,
  view: Omit<InsideView, 'inode'> | undefined,
): Known {
  return {
    id,
    own: false,
    inode,
    netInode: view?.netInode,
    cookie: view?.cookie,
    makerUid: view?.makerUid,
    bornSeconds: undefined,
    pids: [],
    files: [],
    watched: undefined,
  }
}

/** Processes of which the oldest is watched. */
const MOST_COMPARED = 20

/** Whether the watched process is among `pids`, and still the same. */
export function isWatched({ watched }: Known, pids: readonly number[], procfs: string): boolean {
  if (watched === undefined || !pids.includes(watched.pid)) return false
  const inode = visibleInodeOf(`${procfs}/${watched.pid}`)
  if (inode !== undefined && inode === watched.inode) return true
  watched.inode = inode
  return readStartSeconds(procfs, watched.pid) === watched.startSeconds
}

/** Chooses the oldest of the first few processes, since pids start again from the lowest. */
export function watchOldest(pids: readonly number[], procfs: string): WatchedProcess | undefined {
  let oldest: WatchedProcess | undefined
  for (const pid of pids.slice(0, MOST_COMPARED)) {
    const startSeconds = readStartSeconds(procfs, pid)
    if (startSeconds === undefined || startSeconds >= (oldest?.startSeconds ?? Infinity)) continue
    oldest = { pid, startSeconds, inode: undefined }
  }
  if (oldest !== undefined) oldest.inode = visibleInodeOf(`${procfs}/${oldest.pid}`)
  return oldest
}

/** Whether that process was there at the last look, `uptimeSeconds` after boot: a later one has got a freed pid. */
export function wasThere(pid: number, procfs: string, uptimeSeconds: number): boolean {
  const startSeconds = readStartSeconds(procfs, pid)
  return startSeconds !== undefined && startSeconds < uptimeSeconds
}

/** Finds one of which all processes were hidden from us up to now, and whose process is still there. */
export function findHidden(
  known: InodeIndex<Known>,
  netInode: number | undefined,
  procfs: string,
): Known | undefined {
  const one = known.net.get(netInode ?? 0)
  if (one === undefined || one.own || one.inode !== undefined) return undefined
  const { watched } = one
  const isThere =
    watched !== undefined && readStartSeconds(procfs, watched.pid) === watched.startSeconds
  return isThere ? one : undefined
}

export function sharesFile({ files }: Known, others: readonly NamedFile[]): boolean {
  return files.some(({ key }) => others.some((other) => other.key === key))
}

export function isHidden({ inode, own }: Known): boolean {
  return inode === undefined && !own
}

export function isCookie({ cookie }: Known, view: InsideView | undefined): boolean {
  return cookie !== undefined && cookie === view?.cookie
}
