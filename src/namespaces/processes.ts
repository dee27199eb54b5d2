// Which network namespace each process is in: /proc -> pids by namespace. Of a namespace that may not be looked at the
// inode of /proc/<pid>/net/tcp still tells it from others, and needs no right (PORT-MODEL 11).

import { readdirSync, statSync } from 'node:fs'
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

/** Those who change their namespace do it when they start: runtimes, ip netns exec, unshare. */
const YOUNG_SECONDS = 60
/** Looking at a process costs about 10 us of CPU, so this is 5 ms; on a node with 2,000 each has its turn at every fourth sample. */
const MOST_OLD = 500

interface Seen {
  readonly sinceSeconds: number
  /** Undefined for one that has no namespace any more (a zombie), or that nothing may be learned of. */
  mark: Mark | undefined
  /** Its ns/net may not be looked at. */
  denied: boolean
  scan: number
}

/** Creates the scan. Throws SourceError when there is no procfs. `watched` pids are looked at in every scan. */
export function createProcessScan({
  procfs,
  monotonicSeconds,
  mostOld = MOST_OLD,
}: ProcessScanOptions): (watched: ReadonlySet<number>) => readonly ProcessGroup[] {
  let seen = new Map<number, Seen>()
  let scan = 0

  function look(pid: number, one: Seen): void {
    one.scan = scan
    const ns = one.denied ? 'denied' : inodeOf(`${procfs}/${pid}/ns/net`)
    one.denied = ns === 'denied'
    if (ns !== 'denied') {
      one.mark = ns === undefined ? undefined : { by: 'ns', inode: ns }
      return
    }
    const net = inodeOf(`${procfs}/${pid}/net/tcp`)
    one.mark = typeof net === 'number' ? { by: 'net', inode: net } : undefined
  }

  return (watched) => {
    scan++
    const now = monotonicSeconds()
    const present = new Map<number, Seen>()
    const old: [number, Seen][] = []
    for (const pid of listPids(procfs)) {
      const one = seen.get(pid) ?? { sinceSeconds: now, mark: undefined, denied: false, scan }
      present.set(pid, one)
      const young = now - one.sinceSeconds < YOUNG_SECONDS
      if (young || watched.has(pid)) look(pid, one)
      else old.push([pid, one])
    }
    seen = present
    // Whoever was looked at longest ago comes first.
    if (old.length > mostOld) old.sort((left, right) => left[1].scan - right[1].scan)
    for (const [pid, one] of old.slice(0, mostOld)) look(pid, one)
    return groupByMark(present)
  }
}

function listPids(procfs: string): readonly number[] {
  try {
    return readdirSync(procfs)
      .filter((name) => name.charCodeAt(0) <= 57 && /^\d+$/.test(name))
      .map(Number)
      .sort((left, right) => left - right)
  } catch (error) {
    throw refusal(`list the processes of ${procfs}`, error)
  }
}

function groupByMark(processes: ReadonlyMap<number, Seen>): readonly ProcessGroup[] {
  const groups = new Map<string, { readonly mark: Mark; readonly pids: number[] }>()
  for (const [pid, { mark }] of processes) {
    if (mark === undefined) continue
    const key = nameMark(mark)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { mark, pids: [pid] })
    else group.pids.push(pid)
  }
  return [...groups.values()]
}

export function nameMark({ by, inode }: Mark): string {
  return `${by}:${inode}`
}

/** The same, but that what may not be looked at is not there either. */
export function visibleInodeOf(path: string): number | undefined {
  const inode = inodeOf(path)
  return inode === 'denied' ? undefined : inode
}

/** Undefined when there is no such file, as when the process has ended; `denied` when it may not be looked at. */
export function inodeOf(path: string): number | 'denied' | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })?.ino
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    // Anything else, ESRCH or EINVAL: the process is just ending.
    return code === 'EACCES' || code === 'EPERM' ? 'denied' : undefined
  }
}
