// Where a group of processes, or a named file, belongs in one look: to a namespace that is found already, to one that
// the last look knew, or to a new one.

import type { InodeIndex } from './by-inode.ts'
import type { NamedFile } from './named.ts'
import type { NamedViews } from './named-views.ts'
import { isRuntimeName } from './names.ts'
import type { InsideView } from './net-namespace.ts'
import { linkedInodeOf, type Mark, type ProcessGroup, visibleInodeOf } from './processes.ts'
import {
  findHidden,
  isCookie,
  isHidden,
  isWatched,
  type Known,
  sharesFile,
  wasThere,
  watchOldest,
} from './recognize.ts'

/** One look at all namespaces. */
export interface Look {
  readonly procfs: string
  readonly named: NamedViews
  /** Looks from inside the namespace behind a file; undefined when it cannot be entered. */
  readonly inspect: (path: string) => InsideView | undefined
  /** What the last look knew. */
  readonly known: InodeIndex<Known>
  /** When that was, in seconds after boot. */
  readonly knownAtUptimeSeconds: number
  /** What this look has found so far. */
  readonly found: InodeIndex<Known>
  /** Makes one that was never known. */
  readonly create: (inode: number | undefined, view: Omit<InsideView, 'inode'> | undefined) => Known
}

/** The file by which a process leads into its namespace. */
export function entranceOf(procfs: string, pid: number): string {
  return `${procfs}/${pid}/ns/net`
}

/** Adds the namespace of these processes to what is found, or them to it. */
export function placeGroup(look: Look, { mark, pids }: ProcessGroup): void {
  const { procfs, found } = look
  const here = found[mark.by].get(mark.inode)
  if (here !== undefined) {
    here.pids = [...here.pids, ...pids]
    return
  }
  const files = look.named.filesOf(mark)
  const last = look.known[mark.by].get(mark.inode)
  const before = last?.own ? undefined : last
  const stillWatched = before !== undefined && isWatched(before, pids, procfs)
  const same = stillWatched || (before !== undefined && isSame(look, before, { pids, files }))
  const one = same && before !== undefined ? before : meet(look, { mark, pids }, files)
  if (one === undefined) return
  if (!stillWatched) one.watched = watchOldest(pids, procfs)
  one.bornSeconds ??= one.watched?.startSeconds
  one.pids = pids
  one.files = files
  found.add(one)
}

/** Adds a namespace without processes, kept by its file; or one more name to one that is found already. */
export function placeFile({ known, named, found, create }: Look, file: NamedFile): void {
  const view = named.viewOf(file)
  const here = found.ns.get(file.inode) ?? found.net.get(view?.netInode ?? 0)
  if (here !== undefined) {
    if (!here.files.includes(file)) here.files = [...here.files, file]
    return
  }
  // It is most likely that of processes that are hidden from us, and nothing links it to them.
  if (view === undefined && isRuntimeName(file.name) && found.all.some(isHidden)) return
  const before = known.all.find((one) => isCookie(one, view) || sharesFile(one, [file]))
  const one = before ?? create(file.inode, view)
  one.pids = []
  one.watched = undefined
  one.files = [file]
  found.add(one)
}

/** Whether the namespace with that inode is still the one that was known. */
function isSame(
  { procfs, knownAtUptimeSeconds, inspect }: Look,
  one: Known,
  { pids, files }: Pick<Known, 'pids' | 'files'>,
): boolean {
  if (sharesFile(one, files)) return true
  const stayed = one.pids.filter((pid) => pids.includes(pid))
  if (stayed.some((pid) => wasThere(pid, procfs, knownAtUptimeSeconds))) return true
  if (one.cookie === undefined) return false
  return inspect(entranceOf(procfs, pids[0] ?? 0))?.cookie === one.cookie
}

/**
 * Finds one that was known by something else than its processes, or makes a new one. Undefined when its process has
 * ended or moved on since it was looked at, as a runtime's does that makes one namespace after another. What it is from
 * inside is looked at once, so that it waits for the next look, which finds the processes that are left.
 */
function meet(
  { procfs, named, inspect, known, create }: Look,
  { mark, pids: [pid = 0] }: ProcessGroup,
  files: readonly NamedFile[],
): Known | undefined {
  const [file] = files
  const byFile = known.all.find((one) => sharesFile(one, files))
  if (byFile !== undefined && !byFile.own) return byFile
  const view = file === undefined ? inspect(entranceOf(procfs, pid)) : named.viewOf(file)
  if (view !== undefined && mark.by === 'ns' && view.inode !== mark.inode) return undefined
  if (view === undefined && hasLeft(procfs, pid, mark)) return undefined
  const netInode = view?.netInode ?? visibleInodeOf(`${procfs}/${pid}/net/tcp`)
  const before = known.all.find((one) => isCookie(one, view))
  if (before !== undefined) return before
  const hidden = mark.by === 'ns' ? findHidden(known, netInode, procfs) : undefined
  if (hidden !== undefined) {
    hidden.inode = mark.inode
    return hidden
  }
  return create(mark.by === 'ns' ? mark.inode : undefined, {
    cookie: view?.cookie,
    netInode,
    makerUid: view?.makerUid,
  })
}

/** Whether the process is not there any more where it was seen. */
function hasLeft(procfs: string, pid: number, { by, inode }: Mark): boolean {
  const now =
    by === 'ns'
      ? linkedInodeOf(entranceOf(procfs, pid))
      : visibleInodeOf(`${procfs}/${pid}/net/tcp`)
  return now !== inode
}
