// Stage "discover": /proc and the directory of named namespaces -> the network namespaces there are now, each with an id
// that is never given to another, although the kernel gives a freed inode away again at once
// (docs/development/port-model.md#threads-identity-and-owners).

import { readlinkSync } from 'node:fs'
import { readUptimeSeconds } from '../kernel/proc-stat.ts'
import { groupByNumber, type InodeIndex, indexByInodes } from './by-inode.ts'
import { createNamedFiles, type NamedFile } from './named.ts'
import { isRuntimeName } from './names.ts'
import type { InsideView, NetNamespace } from './net-namespace.ts'
import { createProcessScan, type Mark, type ProcessGroup, visibleInodeOf } from './processes.ts'
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

export interface DiscoveryOptions {
  readonly procfs: string
  readonly netnsDirectory: string
  /** Whether `procfs` is of another PID namespace than ours. */
  readonly foreign: boolean
  readonly monotonicSeconds: () => number
  /** Looks from inside the namespace behind a file; undefined when it cannot be entered. */
  readonly inspect: (path: string) => InsideView | undefined
}

/** The one that is looked at may have left, or be another user's. */
const MOST_PIDS_TRIED = 3

/** Finds files by the inode of ns/net, and by that of net/tcp inside. */
type FilesBy = Readonly<Record<Mark['by'], ReadonlyMap<number, readonly NamedFile[]>>>

export interface Discovery {
  /** Call it once a sample. Throws SourceError or DecodeError when procfs fails. */
  list(): readonly NetNamespace[]
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
  const self = readSelf(procfs)
  const listNamedFiles = createNamedFiles(options.netnsDirectory)
  let files: readonly NamedFile[] = []
  let views: ReadonlyMap<string, InsideView | undefined> = new Map()
  let filesBy: FilesBy = { ns: new Map(), net: new Map() }
  let known: InodeIndex<Known> = indexByInodes([])
  /** Files of the namespaces that a process was seen in. */
  let held: ReadonlySet<NamedFile> = new Set()
  let uptimeSeconds = 0
  let lastId = 0

  function list(): readonly NetNamespace[] {
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
    return known.all.map((one) => describe(one, { ...options, uptimeSeconds, self }))
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
      ...create(look('ns/net'), {
        cookie: undefined,
        netInode: look('net/tcp'),
        makerUid: undefined,
      }),
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
    const stillWatched = before !== undefined && isWatched(before, pids, procfs)
    const same = stillWatched || (before !== undefined && isSame(before, pids, names))
    const one = same && before !== undefined ? before : meet({ mark, pids }, names)
    if (one === undefined) return
    if (!stillWatched) one.watched = watchOldest(pids, procfs)
    one.bornSeconds ??= one.watched?.startSeconds
    one.pids = pids
    one.files = names
    found.add(one)
  }

  function isSame(one: Known, pids: readonly number[], files: readonly NamedFile[]): boolean {
    if (sharesFile(one, files)) return true
    const stayed = one.pids.filter((pid) => pids.includes(pid))
    if (stayed.some((pid) => wasThere(pid, procfs, uptimeSeconds))) return true
    if (one.cookie === undefined) return false
    return inspect(entranceOf(pids[0] ?? 0))?.cookie === one.cookie
  }

  /**
   * One that was known by something else than its processes, or a new one; undefined when its process has moved on since
   * it was looked at, as a runtime's does that makes one namespace after another.
   */
  function meet({ mark, pids }: ProcessGroup, files: readonly NamedFile[]): Known | undefined {
    const [pid = 0] = pids
    const [file] = files
    const byFile = known.all.find((one) => sharesFile(one, files))
    if (byFile !== undefined && !byFile.own) return byFile
    const view = file === undefined ? inspect(entranceOf(pid)) : views.get(file.key)
    if (view !== undefined && mark.by === 'ns' && view.inode !== mark.inode) return undefined
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

  /** A namespace without processes, kept by its file; or one more name of one that was found already. */
  function placeFile(file: NamedFile, found: InodeIndex<Known>): void {
    const view = views.get(file.key)
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

  function create(inode: number | undefined, view: Omit<InsideView, 'inode'> | undefined): Known {
    lastId++
    return {
      id: lastId,
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

  function entranceOf(pid: number): string {
    return `${procfs}/${pid}/ns/net`
  }

  return { list, forget }
}

const inodeOf = ({ inode }: NamedFile) => inode

/** The number of this process in that procfs; undefined where it is not in it. */
function readSelf(procfs: string): number | undefined {
  try {
    return Number(readlinkSync(`${procfs}/self`))
  } catch {
    return undefined
  }
}

function look(file: string): number | undefined {
  return visibleInodeOf(`/proc/thread-self/${file}`)
}

function describe(
  one: Known,
  {
    procfs,
    foreign,
    uptimeSeconds,
    self,
  }: DiscoveryOptions & { readonly uptimeSeconds: number; readonly self: number | undefined },
): NetNamespace {
  const { id, own, inode, netInode, cookie, makerUid, bornSeconds, files, watched } = one
  // This process leads nowhere once it has ended, which a command that only looks does at once.
  const others = one.pids.filter((pid) => pid !== watched?.pid && pid !== self)
  const pids = watched === undefined ? others : [watched.pid, ...others]
  return {
    id,
    own,
    ofInit: foreign && one.pids.includes(1),
    inode,
    netInode,
    cookie,
    makerUid,
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
