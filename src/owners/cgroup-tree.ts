// The cgroup v2 tree: a socket's cgroup id -> path of the directory below the mount. A socket's id is the inode number
// of its cgroup's directory (kernel/cgroup/cgroup.c:cgroup_id, fs/kernfs/inode.c). Reads synchronously, in slices. A
// name may be any bytes: the walk has one character for each, and a path is told as /proc/<pid>/cgroup is read.

import { opendirSync, statSync } from 'node:fs'
import { codeOf } from '../error-code.ts'
import { refusal } from '../kernel/proc-file.ts'

/** What a refresh did: nothing, a part of a walk, the rest of it, or the rest of it up to the limit. */
export type CgroupWalk = 'idle' | 'partial' | 'complete' | 'limited'

export interface CgroupTree {
  /**
   * The path with a leading slash, relative to the root; undefined where it is not known. Never known are 0 and 1: the
   * root, which is also what a process reports that only cgroup v1 has put somewhere.
   */
  resolve(id: number): string | undefined
  /**
   * Looks for those of the `wanted` ids that no walk of the whole tree has looked for. Throws SourceError when there is
   * no tree to walk; what was known stays known.
   */
  refresh(wanted: Iterable<number>): CgroupWalk
  /** The ids that were not found because the last walk that looked for them came to the limit. It is tried again. */
  countUnreached(): number
  /** Forgets the directories that are gone and whose id nobody carries any more. */
  retain(inUse: ReadonlySet<number>): void
}

export interface CgroupTreeOptions {
  /** Where cgroup v2 is mounted. */
  readonly root: string
  /** Least time from the start of one walk to the start of the next. */
  readonly gapMs?: number
  /** Longest part of a walk in one refresh. */
  readonly sliceMs?: number
  readonly maxDirectories?: number
  readonly monotonicMs?: () => number
}

/** Five seconds, the default interval, less what its timer may be early. */
const GAP_MS = 4_500
const SLICE_MS = 200
export const MAX_DIRECTORIES = 100_000
/** A walk over 2,000 directories takes about 20 ms of CPU; over a tree of any size it may take 2 % of the time. */
const IDLE_PER_BUSY = 50

const ROOT_ID = 1
/** Entries of a directory that are read at once: a cgroup has some fifty files. */
const PIECE = 128

interface Directory {
  readonly id: number
  /** One character for each byte. */
  readonly path: string
}

interface Walk {
  readonly number: number
  readonly startedAtMs: number
  readonly next: () => Directory | undefined
  /** The ids that were unknown at the start: whichever of them a complete walk does not find is gone. */
  readonly asked: readonly number[]
  seen: number
  busyMs: number
}

export function createCgroupTree({
  root,
  gapMs = GAP_MS,
  sliceMs = SLICE_MS,
  maxDirectories = MAX_DIRECTORIES,
  monotonicMs = () => performance.now(),
}: CgroupTreeOptions): CgroupTree {
  /** Directories by id, with the number of the walk that saw each last. An id is never given to a second directory. */
  const known = new Map<number, { readonly path: string; seenBy: number }>()
  const gone = new Set<number>()
  const unreached = new Set<number>()
  let walk: Walk | undefined
  let walks = 0
  let lastFinished = 0
  let nextWalkAtMs = Number.NEGATIVE_INFINITY

  function startWalk(wanted: Iterable<number>): Walk | undefined {
    const startedAtMs = monotonicMs()
    if (startedAtMs < nextWalkAtMs) return undefined
    const asked = [...new Set(wanted)].filter(
      (id) => id > ROOT_ID && !known.has(id) && !gone.has(id),
    )
    if (asked.length === 0) return undefined
    nextWalkAtMs = startedAtMs + gapMs
    const next = walkFairly(root, maxDirectories)
    return { number: ++walks, startedAtMs, next, asked, seen: 0, busyMs: 0 }
  }

  function advance(current: Walk): CgroupWalk {
    const fromMs = monotonicMs()
    for (;;) {
      const directory = current.next()
      if (directory === undefined) return finish(current, fromMs, 'complete')
      if (current.seen >= maxDirectories) return finish(current, fromMs, 'limited')
      see(current, directory)
      const nowMs = monotonicMs()
      if (nowMs - fromMs < sliceMs) continue
      current.busyMs += nowMs - fromMs
      return 'partial'
    }
  }

  function see(current: Walk, { id, path }: Directory): void {
    current.seen++
    const before = known.get(id)
    if (before === undefined) known.set(id, { path: decodePath(path), seenBy: current.number })
    else before.seenBy = current.number
  }

  function finish(current: Walk, fromMs: number, outcome: 'complete' | 'limited'): CgroupWalk {
    const busyMs = current.busyMs + monotonicMs() - fromMs
    nextWalkAtMs = current.startedAtMs + Math.max(gapMs, busyMs * IDLE_PER_BUSY)
    const missing = [...current.asked, ...unreached].filter((id) => !known.has(id))
    unreached.clear()
    for (const id of missing) (outcome === 'limited' ? unreached : gone).add(id)
    lastFinished = current.number
    walk = undefined
    return outcome
  }

  return {
    resolve: (id) => (id > ROOT_ID ? known.get(id)?.path : undefined),
    refresh: (wanted) => {
      walk ??= startWalk(wanted)
      if (walk === undefined) return 'idle'
      try {
        return advance(walk)
      } catch (error) {
        walk = undefined
        throw error
      }
    },
    countUnreached: () => unreached.size,
    retain: (inUse) => {
      for (const [id, { seenBy }] of known) {
        if (seenBy < lastFinished && !inUse.has(id)) known.delete(id)
      }
      for (const ids of [gone, unreached]) {
        for (const id of ids) if (!inUse.has(id)) ids.delete(id)
      }
    },
  }
}

function encodePath(root: string, path: string): Buffer {
  return Buffer.concat([Buffer.from(root), Buffer.from(path, 'latin1')])
}

function decodePath(path: string): string {
  return Buffer.from(path, 'latin1').toString('utf8')
}

/** A directory that has others in it. */
interface Branch {
  readonly path: string
  /** Directories in it that nobody has looked at yet; undefined before they are listed. */
  names: string[] | undefined
  /** Directories in it that have others in them, and are not all seen. */
  readonly branches: Branch[]
  turn: number
}

/**
 * Creates the function that returns the next directory, at last undefined. It takes one from each subdirectory in turn,
 * which does the same. A user who makes many waits for the others, and they do not wait for that user. Directories may
 * come and go meanwhile. One that stays all the time is always among them, unless there are too many.
 */
function walkFairly(root: string, most: number): () => Directory | undefined {
  const device = readDevice(root)
  const trunk = createBranch('')
  let isStarted = false

  function look(path: string, parent: Branch | undefined): Directory | undefined {
    const found = unlessRefused(path, () => statSync(encodePath(root, path)))
    if (found === undefined || found.dev !== device) return undefined
    // kernfs counts subdirectories as links (fs/kernfs/inode.c:kernfs_refresh_inode): not listing the files of the
    // leaves makes the walk three times as fast. Filesystems that do not count say 1.
    if (found.nlink !== 2) parent?.branches.push(createBranch(path))
    // 64 bits in the kernel, exact in a number up to 2^53: more than any machine has ever made.
    return { id: found.ino, path: path === '' ? '/' : path }
  }

  function take(branch: Branch): Directory | undefined {
    const { path, branches } = branch
    const names =
      unlessRefused(path, () => (branch.names ??= listNames(encodePath(root, path), most))) ?? []
    for (let name = names.pop(); name !== undefined; name = names.pop()) {
      const directory = look(`${path}/${name}`, branch)
      if (directory !== undefined) return directory
    }
    for (;;) {
      const at = branch.turn < branches.length ? branch.turn : 0
      const next = branches[at]
      if (next === undefined) return undefined
      const directory = take(next)
      branch.turn = directory === undefined ? at : at + 1
      if (directory !== undefined) return directory
      branches.splice(at, 1)
    }
  }

  return () => {
    if (isStarted) return take(trunk)
    isStarted = true
    return look('', undefined)
  }
}

function createBranch(path: string): Branch {
  return { path, names: undefined, branches: [], turn: 0 }
}

/** Names of the first subdirectories: a walk does not see more. */
function listNames(path: Buffer, most: number): string[] {
  const names: string[] = []
  const directory = opendirSync(path, { bufferSize: PIECE, encoding: 'latin1' })
  try {
    while (names.length < most) {
      const entry = directory.readSync()
      if (entry === null) break
      if (entry.isDirectory()) names.push(entry.name)
    }
  } finally {
    directory.closeSync()
  }
  return names
}

/** Checks the root: anything else has inode numbers too, a v1 hierarchy even ones that look like the ids of sockets. */
function readDevice(root: string): number {
  try {
    return statSync(`${root}/cgroup.controllers`).dev
  } catch (error) {
    throw refusal(`read the cgroup v2 tree at ${JSON.stringify(root)}`, error)
  }
}

/** One directory that vanished, may not be read, or lies too deep, costs itself only; an exhausted machine the walk. */
function unlessRefused<T>(path: string, call: () => T): T | undefined {
  try {
    return call()
  } catch (error) {
    const exhausted = ['EMFILE', 'ENFILE', 'ENOMEM'].includes(codeOf(error) ?? '')
    if (exhausted) throw refusal(`read the cgroup ${JSON.stringify(path)}`, error)
    return undefined
  }
}
