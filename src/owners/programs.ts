// The process behind an owner: owners and the processes of a namespace -> the one of each owner that holds the most
// descriptors, by /proc. Read only for pools that are nearly full, and bounded: a process may have a million
// descriptors.

import { opendirSync, statSync } from 'node:fs'
import { codeOf } from '../error-code.ts'
import { readProcFile } from '../kernel/proc-file.ts'
import { SourceError } from '../observation.ts'
import type { OwnerName, OwnerShare, Program } from '../snapshot.ts'
import { parseProcCgroup } from './cgroup-path.ts'

export interface ProgramFinderOptions {
  readonly procfs: string
  readonly nameCgroup: (path: string) => OwnerName
  readonly nameUser: (uid: number) => OwnerName
}

export interface ProgramFinder {
  /** Looks among the processes of a namespace. An owner that is named twice is looked for once. */
  find(pids: readonly number[], owners: readonly OwnerShare[]): readonly (OwnerName & Program)[]
  /** Call it once a sample: what may be listed in it is counted from here. */
  renew(): void
}

/** Processes of a namespace that are looked at. Each costs three look-ups, about 20 us. */
const MOST_PIDS = 256
/** Share of the ports an owner holds. A process with fewer descriptors does not hold most of them. */
const LEAST_DESCRIPTORS_RATIO = 0.5
/**
 * Descriptors listed in a sample, at 2 us each: before Linux 6.2 nothing else tells how many there are. An owner may
 * have half of what is left, so that no owner takes it all.
 */
const MOST_LISTED = 131_072
/** Entries of a directory that are read at once. */
const PIECE = 512
/** Linux gives an answer of 16 characters (TASK_COMM_LEN). */
const COMM_BYTES = 64

/**
 * An owner is left out where no process of it can be seen, and where none can be told to hold its ports: descriptors of
 * other users cannot be counted without CAP_SYS_PTRACE, and too many are not counted.
 */
export function createProgramFinder(options: ProgramFinderOptions): ProgramFinder {
  const { procfs } = options
  let left = MOST_LISTED

  function matches(pid: number, { owner, ownerKind }: OwnerName): boolean {
    const name = ownerKind === 'user' ? nameByUser(pid) : nameByCgroup(pid)
    return name?.owner === owner && name.ownerKind === ownerKind
  }

  function nameByUser(pid: number): OwnerName | undefined {
    const uid = unlessGone(() => statSync(`${procfs}/${pid}`).uid)
    return uid === undefined ? undefined : options.nameUser(uid)
  }

  function nameByCgroup(pid: number): OwnerName | undefined {
    const path = parseProcCgroup(unlessGone(() => readProcFile(`${procfs}/${pid}/cgroup`)) ?? '')
    return path === undefined ? undefined : options.nameCgroup(path)
  }

  /**
   * Numbers of descriptors by process, those that may be looked at; undefined where they are too many to be counted.
   */
  function countDescriptors(pids: readonly number[]): ReadonlyMap<number, number> | undefined {
    const counts = new Map<number, number>()
    let allowed = Math.floor(left / 2)
    for (const pid of pids) {
      const directory = `${procfs}/${pid}/fd`
      // From Linux 6.2 on the size of the directory says it.
      const size = unlessGone(() => statSync(directory).size) ?? 0
      const listed = size > 0 ? 0 : unlessGone(() => countEntries(directory, allowed + 1))
      if (listed === undefined) continue
      allowed -= listed
      left -= listed
      if (allowed < 0) return undefined
      counts.set(pid, size + listed)
    }
    return counts
  }

  function findPid(pids: readonly number[], share: OwnerShare): number | undefined {
    const candidates = pids.slice(0, MOST_PIDS).filter((pid) => matches(pid, share))
    const [only, another] = candidates
    // TIME_WAIT has no descriptor: the only process of an owner is the one all the same.
    if (another === undefined && pids.length <= MOST_PIDS) return only
    const counts = countDescriptors(candidates)
    if (counts === undefined) return undefined
    const [first] = [...counts].toSorted(([, a], [, b]) => b - a)
    if (first === undefined) return undefined
    const [pid, descriptors] = first
    return descriptors >= share.ports * LEAST_DESCRIPTORS_RATIO ? pid : undefined
  }

  function findOne(pids: readonly number[], share: OwnerShare): (OwnerName & Program)[] {
    const pid = findPid(pids, share)
    const program = pid === undefined ? undefined : readProgram(procfs, pid)
    if (program === undefined) return []
    const { owner, ownerKind } = share
    return [{ owner, ownerKind, ...program }]
  }

  return {
    find: (pids, owners) => mergeShares(owners).flatMap((share) => findOne(pids, share)),
    renew: () => {
      left = MOST_LISTED
    },
  }
}

/** One share of each owner, the largest. */
function mergeShares(owners: readonly OwnerShare[]): readonly OwnerShare[] {
  const largest = new Map<string, OwnerShare>()
  for (const share of owners) {
    const key = `${share.ownerKind} ${share.owner}`
    if (share.ports > (largest.get(key)?.ports ?? 0)) largest.set(key, share)
  }
  return [...largest.values()]
}

/** Counts the entries of a directory, up to `most`. */
function countEntries(path: string, most: number): number {
  const directory = opendirSync(path, { bufferSize: PIECE })
  try {
    let count = 0
    while (count < most && directory.readSync() !== null) count++
    return count
  } finally {
    directory.closeSync()
  }
}

/** The program that a process runs; undefined when the process has ended or must not be looked at. */
export function readProgram(procfs: string, pid: number): Program | undefined {
  const comm = unlessGone(() => readProcFile(`${procfs}/${pid}/comm`, COMM_BYTES))
  return comm === undefined ? undefined : { pid, program: comm.replace(/\n$/, '') }
}

/** The real user of a process: the owner of its directory is root's where it does not want to be looked at. */
export function readRealUid(procfs: string, pid: number): number | undefined {
  const status = unlessGone(() => readProcFile(`${procfs}/${pid}/status`))
  // The kernel escapes no end of a line in the name of the program but this one (fs/proc/array.c:proc_task_name).
  const uid = /\nUid:\t(\d+)/.exec(status ?? '')?.[1]
  return uid === undefined ? undefined : Number(uid)
}

/** Undefined when the process has ended or must not be looked at. */
function unlessGone<T>(look: () => T): T | undefined {
  try {
    return look()
  } catch (error) {
    if (error instanceof SourceError || codeOf(error) !== undefined) return undefined
    throw error
  }
}
