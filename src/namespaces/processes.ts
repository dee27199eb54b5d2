// Which network namespace each process is in: /proc -> pids by namespace. Of a namespace that may not be looked at the
// inode of /proc/<pid>/net/tcp still tells it from others, and needs no right
// (docs/development/port-model.md#network-namespaces).

import { readdirSync, readlinkSync, statSync } from 'node:fs'
import { codeOf } from '../error-code.ts'
import { refusal } from '../kernel/proc-file.ts'

/** How a namespace is told from others that exist at the same time. */
export interface Mark {
  /** `ns`: inode of /proc/<pid>/ns/net; `net`: inode of /proc/<pid>/net/tcp. */
  readonly by: 'ns' | 'net'
  readonly inode: number
}

export interface ProcessGroup {
  readonly mark: Mark
  /** Ascending. */
  readonly pids: readonly number[]
}

export interface ProcessScanOptions {
  readonly procfs: string
  readonly monotonicSeconds: () => number
  /** Processes older than a minute looked at in one scan; the others are taken to be where they were. */
  readonly mostOld?: number
}

/** Processes that change their namespace do it when they start: runtimes, ip netns exec, unshare. */
const YOUNG_SECONDS = 60
/** Looking at a process costs about 6 us of CPU; on a node with 2,000 each has its turn within 100 s. */
const MOST_OLD = 100

interface Seen {
  readonly pid: number
  readonly sinceSeconds: number
  /** Undefined for one that has no namespace any more (a zombie), or that nothing may be learned of. */
  mark: Mark | undefined
  /** Its ns/net may not be looked at. */
  denied: boolean
  /** The last scan that found it. */
  scan: number
}

/** Creates the scan. Throws SourceError when there is no procfs. `watched` pids are looked at in every scan. */
export function createProcessScan({
  procfs,
  monotonicSeconds,
  mostOld = MOST_OLD,
}: ProcessScanOptions): (watched: ReadonlySet<number>) => readonly ProcessGroup[] {
  /** Processes by the name of their directory. */
  const seen = new Map<string, Seen>()
  let scan = 0
  /** Whose turn it is among the old. */
  let turn = 0

  function look(one: Seen): void {
    const { pid } = one
    const ns = one.denied ? 'denied' : linkedInodeOf(`${procfs}/${pid}/ns/net`)
    one.denied = ns === 'denied'
    if (ns !== 'denied') {
      if (ns === undefined || ns !== one.mark?.inode || one.mark.by !== 'ns') {
        one.mark = ns === undefined ? undefined : { by: 'ns', inode: ns }
      }
      return
    }
    const net = inodeOf(`${procfs}/${pid}/net/tcp`)
    one.mark = typeof net === 'number' ? { by: 'net', inode: net } : undefined
  }

  /** Notes who is there now; returns the namespaces of watched processes that have ended. */
  function meetAll(watched: ReadonlySet<number>): ReadonlySet<number> {
    const now = monotonicSeconds()
    for (const name of listNames(procfs)) {
      const one = seen.get(name)
      if (one !== undefined) one.scan = scan
      else {
        const pid = Number(name)
        seen.set(name, { pid, sinceSeconds: now, mark: undefined, denied: false, scan })
      }
    }
    const bereaved = new Set<number>()
    for (const [name, one] of seen) {
      if (one.scan === scan) continue
      if (one.mark !== undefined && watched.has(one.pid)) bereaved.add(keyOf(one.mark))
      seen.delete(name)
    }
    return bereaved
  }

  return (watched) => {
    scan++
    const bereaved = meetAll(watched)
    const youngSinceSeconds = monotonicSeconds() - YOUNG_SECONDS
    const old: Seen[] = []
    for (const one of seen.values()) {
      const { mark } = one
      // A process that was in one namespace with a watched process that has ended must be seen there.
      const doubtful = bereaved.size > 0 && mark !== undefined && bereaved.has(keyOf(mark))
      if (one.sinceSeconds > youngSinceSeconds || doubtful || watched.has(one.pid)) look(one)
      else old.push(one)
    }
    for (let count = Math.min(mostOld, old.length); count > 0; count--) {
      turn = turn + 1 < old.length ? turn + 1 : 0
      const one = old[turn]
      if (one !== undefined) look(one)
    }
    return groupByMark(seen.values())
  }
}

function listNames(procfs: string): readonly string[] {
  try {
    // The names of processes begin with a digit, and nothing else in /proc does.
    return readdirSync(procfs).filter((name) => name.charCodeAt(0) <= NINE)
  } catch (error) {
    throw refusal(`list the processes of ${procfs}`, error)
  }
}

const NINE = '9'.charCodeAt(0)

function groupByMark(processes: Iterable<Seen>): readonly ProcessGroup[] {
  const groups = new Map<number, { readonly mark: Mark; readonly pids: number[] }>()
  for (const { mark, pid } of processes) {
    if (mark === undefined) continue
    const key = keyOf(mark)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { mark, pids: [pid] })
    else group.pids.push(pid)
  }
  const all = [...groups.values()]
  for (const { pids } of all) if (pids.length > 1) pids.sort((left, right) => left - right)
  return all
}

/** Distinct for all marks: inodes are positive. */
function keyOf({ by, inode }: Mark): number {
  return by === 'ns' ? inode : -inode
}

/** Reads an inode as inodeOf() does, but a file that may not be looked at counts as missing. */
export function visibleInodeOf(path: string): number | undefined {
  const inode = inodeOf(path)
  return inode === 'denied' ? undefined : inode
}

/** Undefined when there is no such file, as when the process has ended; `denied` when it may not be looked at. */
function inodeOf(path: string): number | 'denied' | undefined {
  return unlessDenied(() => statSync(path, { throwIfNoEntry: false })?.ino)
}

/** Takes the inode out of a link such as `net:[4026531840]`, at half the price of following it (namespaces(7)). */
export function linkedInodeOf(path: string): number | 'denied' | undefined {
  return unlessDenied(() => {
    const digits = /\[(\d+)\]$/.exec(readlinkSync(path))?.[1]
    return digits === undefined ? undefined : Number(digits)
  })
}

function unlessDenied(look: () => number | undefined): number | 'denied' | undefined {
  try {
    return look()
  } catch (error) {
    const code = codeOf(error)
    // Anything else, ENOENT, ESRCH or EINVAL: the process is just ending.
    return code === 'EACCES' || code === 'EPERM' ? 'denied' : undefined
  }
}
