// Stage "discover": /proc and the directory of named namespaces -> the network namespaces there are now, each with an id
// that is never given to another, although the kernel gives a freed inode away again at once (PORT-MODEL 14).

import { readStartSeconds, readUptimeSeconds } from '../kernel/proc-stat.ts'
import { listNamedFiles, type NamedFile } from './named.ts'
import { createProcessScan, type ProcessGroup, visibleInodeOf } from './processes.ts'

/** A network namespace, and how to get at it. */
export interface Place {
  /** Given once. */
  readonly id: number
  /** The one the calling thread is in. */
  readonly own: boolean
  /** That of PID 1 of a procfs that is not our own PID namespace's. */
  readonly ofInit: boolean
  /** Of its /proc/<pid>/ns/net; undefined where that may not be looked at. */
  readonly inode: number | undefined
  /** Of its /proc/<pid>/net/tcp, the same in every procfs. */
  readonly netInode: number | undefined
  readonly cookie: bigint | undefined
  /** Processes in it, the one that was there longest first. */
  readonly pids: readonly number[]
  /** Since the first of them started. */
  readonly processAgeSeconds: number | undefined
  /** What iproute2 or a runtime calls it, if anything. */
  readonly names: readonly string[]
  /** Files that setns() may be given, the one that takes the least rights first. */
  readonly entrances: readonly string[]
}

/** What only a thread inside can see. */
export interface InsideView {
  /** Of /proc/thread-self/ns/net. */
  readonly inode: number | undefined
  readonly cookie: bigint | undefined
  /** Of /proc/thread-self/net/tcp. */
  readonly netInode: number | undefined
}

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
  readonly inode: number | undefined
  readonly netInode: number | undefined
  readonly cookie: bigint | undefined
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

/** Creates the look-out; call what it returns once a sample. Throws SourceError or DecodeError when procfs fails. */
export function createDiscovery(options: DiscoveryOptions): () => readonly Place[] {
  const { procfs, inspect } = options
  const scan = createProcessScan(options)
  let views = new Map<string, InsideView | undefined>()
  let known: readonly Known[] = []
  let uptimeSeconds = 0
  let lastId = 0

  return () => {
    const files = listNamedFiles(options.netnsDirectory)
    views = new Map(
      files.map(({ key, path }) => [key, views.has(key) ? views.get(key) : inspect(path)]),
    )
    const watched = new Set(known.flatMap((one) => one.watched?.pid ?? []))
    const groups = scan(watched).toSorted((a, b) => rankMark(a) - rankMark(b))
    const found = findOwn(files)
    const round = { files, found }
    for (const group of groups) placeGroup(group, round)
    for (const file of files) placeFile(file, round)
    known = found
    uptimeSeconds = readUptimeSeconds(procfs)
    return known.map((one) => describe(one, { ...options, uptimeSeconds }))
  }

  interface Round {
    readonly files: readonly NamedFile[]
    /** Those that were found up to now. */
    readonly found: Known[]
  }

  function findOwn(files: readonly NamedFile[]): Known[] {
    const before = known.find(({ own }) => own)
    const own = before ?? {
      ...create(look('ns/net'), { cookie: undefined, netInode: look('net/tcp') }),
      own: true,
    }
    own.pids = []
    own.files = files.filter((file) => file.inode === own.inode)
    return [own]
  }

  function placeGroup({ mark, pids }: ProcessGroup, round: Round): void {
    const field = mark.by === 'ns' ? 'inode' : 'netInode'
    const here = round.found.find((one) => one[field] === mark.inode)
    if (here !== undefined) {
      here.pids = [...here.pids, ...pids]
      return
    }
    const files = round.files.filter((file) =>
      mark.by === 'ns' ? file.inode === mark.inode : views.get(file.key)?.netInode === mark.inode,
    )
    const before = known.find((one) => one[field] === mark.inode && !one.own)
    const stillWatched = before !== undefined && isWatched(before, pids)
    const same = stillWatched || (before !== undefined && isSame(before, pids, files))
    const one = same && before !== undefined ? before : meet({ mark, pids }, files)
    if (one === undefined) return
    if (!stillWatched) one.watched = watchFirst(pids)
    one.pids = pids
    one.files = files
    round.found.push(one)
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
    const byFile = known.find((one) =>
      one.files.some(({ key }) => files.some((other) => other.key === key)),
    )
    if (byFile !== undefined && !byFile.own) return byFile
    const view = file === undefined ? inspect(entranceOf(pid)) : views.get(file.key)
    if (view !== undefined && mark.by === 'ns' && view.inode !== mark.inode) return undefined
    const netInode = view?.netInode ?? visibleInodeOf(`${procfs}/${pid}/net/tcp`)
    const before = known.find((one) => isCookie(one, view))
    if (before !== undefined) return before
    return create(mark.by === 'ns' ? mark.inode : undefined, { cookie: view?.cookie, netInode })
  }

  /** A namespace without processes, kept by its file; or one more name of one that was found already. */
  function placeFile(file: NamedFile, { found }: Round): void {
    const view = views.get(file.key)
    const here = found.find(
      (one) =>
        one.inode === file.inode || (one.netInode !== undefined && one.netInode === view?.netInode),
    )
    if (here !== undefined) {
      if (!here.files.includes(file)) here.files = [...here.files, file]
      return
    }
    const before = known.find(
      (one) => isCookie(one, view) || one.files.some(({ key }) => key === file.key),
    )
    const one = before ?? create(file.inode, view)
    one.pids = []
    one.watched = undefined
    one.files = [file]
    found.push(one)
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
      pids: [],
      files: [],
      watched: undefined,
    }
  }

  function watchFirst([pid = 0]: readonly number[]): Known['watched'] {
    const startSeconds = readStartSeconds(procfs, pid)
    const inode = visibleInodeOf(`${procfs}/${pid}`)
    return startSeconds === undefined ? undefined : { pid, startSeconds, inode }
  }

  function entranceOf(pid: number): string {
    return `${procfs}/${pid}/ns/net`
  }
}

/** Those that may be looked at come first: they tell where the others belong. */
function rankMark({ mark }: ProcessGroup): number {
  return mark.by === 'ns' ? 0 : 1
}

function look(file: string): number | undefined {
  return visibleInodeOf(`/proc/thread-self/${file}`)
}

function isCookie({ cookie }: Known, view: InsideView | undefined): boolean {
  return cookie !== undefined && cookie === view?.cookie
}

function describe(
  one: Known,
  { procfs, foreign, uptimeSeconds }: DiscoveryOptions & { readonly uptimeSeconds: number },
): Place {
  const { id, own, inode, netInode, cookie, files, watched } = one
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
    processAgeSeconds: watched && uptimeSeconds - watched.startSeconds,
    names: files.map(({ name }) => name),
    entrances: [
      ...files.map(({ path }) => path),
      ...pids.slice(0, MOST_PIDS_TRIED).map((pid) => `${procfs}/${pid}/ns/net`),
    ],
  }
}
