// Stage "discover": /proc and the directory of named namespaces -> the network namespaces there are now, each with an id
// that is never given to another, although the kernel gives a freed inode away again at once (PORT-MODEL 14).

import { readStartSeconds, readUptimeSeconds } from '../kernel/proc-stat.ts'
import { groupByNumber, type InodeIndex, indexByInodes } from './by-inode.ts'
import { createNamedFiles, type NamedFile } from './named.ts'
import { isRuntimeName } from './names.ts'
import type { InsideView, Place } from './place.ts'
import { createProcessScan, type Mark, type ProcessGroup, visibleInodeOf } from './processes.ts'

export interface DiscoveryOptions {
  readonly procfs: string
  readonly netnsDirectory: string
  /** Whether `procfs` is of another PID namespace than ours. */
  readonly foreign: boolean
  readonly monotonicSeconds: () => number
  /** Looks from inside the namespace behind a file; undefined when it cannot be entered. */
  readonly inspect: (path: string) => InsideView | undefined
}

interface Known {
  readonly id: number
  readonly own: boolean
  inode: number | undefined
  readonly netInode: number | undefined
  readonly cookie: bigint | undefined
  /** Start of the process it was first known by: with the inode it means the same to another run. */
  bornSeconds: number | undefined
  pids: readonly number[]
  files: readonly NamedFile[]
  /** A process of it by which it is known again. */
  watched: WatchedProcess | undefined
}

interface WatchedProcess {
  readonly pid: number
  readonly startSeconds: number
  /** Of /proc/<pid>: cheaper to look at than the start, and never the same for two processes, though it may change. */
  inode: number | undefined
}

/** The one that is looked at may have left, or be another user's. */
const MOST_PIDS_TRIED = 3
const MOST_COMPARED = 20

/** By the inode of ns/net, and by that of net/tcp inside. */
type FilesBy = Readonly<Record<Mark['by'], ReadonlyMap<number, readonly NamedFile[]>>>

export interface Discovery {
  /** Call it once a sample. Throws SourceError or DecodeError when procfs fails. */
  list(): readonly Place[]
  /**
   * What was found under that id turned out to be another namespace from inside: a process may move on twice between two
   * looks, into one that got the freed inode. The next list has it under an id of its own.
   */
  forget(id: number): void
}

/** Creates the look-out. */
export function createDiscovery(options: DiscoveryOptions): Discovery {
  const { procfs, inspect } = options
  const scan = createProcessScan(options)
  const listNamedFiles = createNamedFiles(options.netnsDirectory)
  let files: readonly NamedFile[] = []
  let views: ReadonlyMap<string, InsideView | undefined> = new Map()
  let filesBy: FilesBy = { ns: new Map(), net: new Map() }
  let known: InodeIndex<Known> = indexByInodes([])
  /** Of the namespaces that a process was seen in. */
  let held: ReadonlySet<NamedFile> = new Set()
  let uptimeSeconds = 0
  let lastId = 0

  function list(): readonly Place[] {
    takeFiles(listNamedFiles((file) => held.has(file)))
    const groups = scan(new Set(known.all.flatMap((one) => one.watched?.pid ?? [])))
    const found = indexByInodes([findOwn()])
    for (const by of ['ns', 'net'] as const) {
      for (const group of groups) if (group.mark.by === by) placeGroup(group, found)
    }
    if (files.length > 0) {
      held = new Set(found.all.flatMap((one) => (one.watched || one.own ? one.files : [])))
      for (const file of files) if (!held.has(file)) placeFile(file, found)
    }
    known = found
    uptimeSeconds = readUptimeSeconds(procfs)
    return known.all.map((one) => describe(one, { ...options, uptimeSeconds }))
  }

  function forget(id: number): void {
    const wrong = known.all.find((one) => one.id === id && !one.own)
    if (wrong === undefined) return
    known = indexByInodes(known.all.filter((one) => one !== wrong))
    // Its file may be another namespace's by now.
    const unseen = new Set(wrong.files.map(({ key }) => key))
    views = new Map([...views].filter(([key]) => !unseen.has(key)))
    files = []
  }

  function takeFiles(listed: readonly NamedFile[]): void {
    if (listed === files) return
    files = listed
    views = new Map(files.map(({ key, path }) => [key, views.get(key) ?? inspect(path)]))
    filesBy = { ns: groupByNumber(files, inodeOf), net: groupByNumber(files, netInodeOf) }
  }

  function netInodeOf({ key }: NamedFile): number | undefined {
    return views.get(key)?.netInode
  }

  function findOwn(): Known {
    const before = known.all.find(({ own }) => own)
    const own = before ?? {
      ...create(look('ns/net'), { cookie: undefined, netInode: look('net/tcp') }),
      own: true,
    }
    own.pids = []
    own.files = filesBy.ns.get(own.inode ?? 0) ?? []
    return own
  }

  function placeGroup({ mark, pids }: ProcessGroup, found: InodeIndex<Known>): void {
    const here = found[mark.by].get(mark.inode)
    if (here !== undefined) {
      here.pids = [...here.pids, ...pids]
      return
    }
    const names = filesBy[mark.by].get(mark.inode) ?? []
    const last = known[mark.by].get(mark.inode)
    const before = last?.own ? undefined : last
    const stillWatched = before !== undefined && isWatched(before, pids)
    const same = stillWatched || (before !== undefined && isSame(before, pids, names))
    const one = same && before !== undefined ? before : meet({ mark, pids }, names)
    if (one === undefined) return
    if (!stillWatched) one.watched = watchOldest(pids)
    one.bornSeconds ??= one.watched?.startSeconds
    one.pids = pids
    one.files = names
    found.add(one)
  }

  /** The one process that is always looked at is still there, and still the same. */
  function isWatched({ watched }: Known, pids: readonly number[]): boolean {
    if (watched === undefined || !pids.includes(watched.pid)) return false
    const inode = visibleInodeOf(`${procfs}/${watched.pid}`)
    if (inode !== undefined && inode === watched.inode) return true
    watched.inode = inode
    return readStartSeconds(procfs, watched.pid) === watched.startSeconds
  }

  function isSame(one: Known, pids: readonly number[], files: readonly NamedFile[]): boolean {
    if (files.some(({ key }) => one.files.some((file) => file.key === key))) return true
    if (one.pids.some((pid) => pids.includes(pid) && wasThere(pid))) return true
    if (one.cookie === undefined) return false
    return inspect(entranceOf(pids[0] ?? 0))?.cookie === one.cookie
  }

  /** Whether that pid was the same process at the last look. */
  function wasThere(pid: number): boolean {
    const startSeconds = readStartSeconds(procfs, pid)
    return startSeconds !== undefined && startSeconds < uptimeSeconds
  }

  /**
   * One that was known by something else than its processes, or a new one; undefined when its process has moved on since
   * it was looked at, as a runtime's does that makes one namespace after another.
   */
  function meet({ mark, pids }: ProcessGroup, files: readonly NamedFile[]): Known | undefined {
    const [pid = 0] = pids
    const [file] = files
    const byFile = known.all.find((one) =>
      one.files.some(({ key }) => files.some((other) => other.key === key)),
    )
    if (byFile !== undefined && !byFile.own) return byFile
    const view = file === undefined ? inspect(entranceOf(pid)) : views.get(file.key)
    if (view !== undefined && mark.by === 'ns' && view.inode !== mark.inode) return undefined
    const netInode = view?.netInode ?? visibleInodeOf(`${procfs}/${pid}/net/tcp`)
    const before = known.all.find((one) => isCookie(one, view))
    if (before !== undefined) return before
    const hidden = mark.by === 'ns' ? findHidden(netInode) : undefined
    if (hidden !== undefined) {
      hidden.inode = mark.inode
      return hidden
    }
    return create(mark.by === 'ns' ? mark.inode : undefined, { cookie: view?.cookie, netInode })
  }

  /** One all of whose processes were hidden from us up to now, and whose process is still there. */
  function findHidden(netInode: number | undefined): Known | undefined {
    const one = known.net.get(netInode ?? 0)
    if (one === undefined || one.own || one.inode !== undefined) return undefined
    const { watched } = one
    const isThere =
      watched !== undefined && readStartSeconds(procfs, watched.pid) === watched.startSeconds
    return isThere ? one : undefined
  }

  /** A namespace without processes, kept by its file; or one more name of one that was found already. */
  function placeFile(file: NamedFile, found: InodeIndex<Known>): void {
    const view = views.get(file.key)
    const here = found.ns.get(file.inode) ?? found.net.get(view?.netInode ?? 0)
    if (here !== undefined) {
      if (!here.files.includes(file)) here.files = [...here.files, file]
      return
    }
    // Most likely that of processes that are hidden from us, which nothing links to it.
    if (view === undefined && isRuntimeName(file.name) && found.all.some(isHidden)) return
    const before = known.all.find(
      (one) => isCookie(one, view) || one.files.some(({ key }) => key === file.key),
    )
    const one = before ?? create(file.inode, view)
    one.pids = []
    one.watched = undefined
    one.files = [file]
    found.add(one)
  }

  function create(
    inode: number | undefined,
    view: Pick<InsideView, 'cookie' | 'netInode'> | undefined,
  ): Known {
    lastId++
    return {
      id: lastId,
      own: false,
      inode,
      netInode: view?.netInode,
      cookie: view?.cookie,
      bornSeconds: undefined,
      pids: [],
      files: [],
      watched: undefined,
    }
  }

  /** The oldest of the first few, since pids start again from the lowest. */
  function watchOldest(pids: readonly number[]): Known['watched'] {
    let oldest: WatchedProcess | undefined
    for (const pid of pids.slice(0, MOST_COMPARED)) {
      const startSeconds = readStartSeconds(procfs, pid)
      if (startSeconds === undefined || startSeconds >= (oldest?.startSeconds ?? Infinity)) continue
      oldest = { pid, startSeconds, inode: undefined }
    }
    if (oldest !== undefined) oldest.inode = visibleInodeOf(`${procfs}/${oldest.pid}`)
    return oldest
  }

  function entranceOf(pid: number): string {
    return `${procfs}/${pid}/ns/net`
  }

  return { list, forget }
}

const inodeOf = ({ inode }: NamedFile) => inode

function look(file: string): number | undefined {
  return visibleInodeOf(`/proc/thread-self/${file}`)
}

function isHidden({ inode, own }: Known): boolean {
  return inode === undefined && !own
}

function isCookie({ cookie }: Known, view: InsideView | undefined): boolean {
  return cookie !== undefined && cookie === view?.cookie
}

function describe(
  one: Known,
  { procfs, foreign, uptimeSeconds }: DiscoveryOptions & { readonly uptimeSeconds: number },
): Place {
  const { id, own, inode, netInode, cookie, bornSeconds, files, watched } = one
  const others = one.pids.filter((pid) => pid !== watched?.pid)
  const pids = watched === undefined ? others : [watched.pid, ...others]
  return {
    id,
    own,
    ofInit: foreign && one.pids.includes(1),
    inode,
    netInode,
    cookie,
    pids,
    bornSeconds,
    processAgeSeconds: watched && uptimeSeconds - watched.startSeconds,
    names: files.map(({ name }) => name),
    entrances: [
      ...files.map(({ path }) => path),
      ...pids.slice(0, MOST_PIDS_TRIED).map((pid) => `${procfs}/${pid}/ns/net`),
    ],
  }
}
