// The process behind an owner: owners and the processes of a namespace -> the one of each owner that holds the most
// descriptors, by /proc. Read only for pools that are nearly full, and bounded: a process may have a million descriptors.

import { readdirSync, statSync } from 'node:fs'
import { readProcFile } from '../kernel/proc-file.ts'
import { SourceError } from '../observation.ts'
import type { OwnerName, OwnerShare, Program } from '../snapshot.ts'
import { parseProcCgroup } from './cgroup-path.ts'

export interface ProgramFinderOptions {
  readonly procfs: string
  readonly nameCgroup: (path: string) => OwnerName
  readonly nameUser: (uid: number) => OwnerName
}

export type FindPrograms = (
  pids: readonly number[],
  owners: readonly OwnerShare[],
) => readonly (OwnerName & Program)[]

/** Of a namespace. Each costs three look-ups, about 20 us. */
const MOST_PIDS = 256
/** Share of the ports an owner holds. A process with fewer descriptors does not hold most of them. */
const LEAST_DESCRIPTORS_RATIO = 0.5
/** Linux gives an answer of 16 characters (TASK_COMM_LEN). */
const COMM_BYTES = 64

/**
 * Creates the function. An owner is left out where no process of it can be seen, and where none can be told to hold its
 * ports: descriptors of other users cannot be counted without CAP_SYS_PTRACE.
 */
export function createProgramFinder(options: ProgramFinderOptions): FindPrograms {
  const { procfs } = options

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

  /** Undefined where it may not be looked at. From Linux 6.2 on the size of the directory says it. */
  function countDescriptors(pid: number): number | undefined {
    const directory = `${procfs}/${pid}/fd`
    return unlessGone(() => statSync(directory).size || readdirSync(directory).length)
  }

  function findOne(pids: readonly number[], share: OwnerShare): (OwnerName & Program) | undefined {
    const candidates = pids.filter((pid) => matches(pid, share))
    const counted = candidates
      .map((pid) => ({ pid, descriptors: countDescriptors(pid) }))
      .toSorted((a, b) => (b.descriptors ?? -1) - (a.descriptors ?? -1))
    const [first] = counted
    if (first === undefined) return undefined
    const holds = (first.descriptors ?? 0) >= share.ports * LEAST_DESCRIPTORS_RATIO
    // TIME_WAIT has no descriptor: the only process of an owner is the one all the same.
    if (!holds && candidates.length > 1) return undefined
    const program = readProgram(procfs, first.pid)
    if (program === undefined) return undefined
    const { owner, ownerKind } = share
    return { owner, ownerKind, ...program }
  }

  return (pids, owners) => {
    const asked = pids.slice(0, MOST_PIDS)
    return owners.flatMap((share) => findOne(asked, share) ?? [])
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
  const uid = /^Uid:\t(\d+)/m.exec(status ?? '')?.[1]
  return uid === undefined ? undefined : Number(uid)
}

/** Undefined when the process has ended or must not be looked at. */
function unlessGone<T>(look: () => T): T | undefined {
  try {
    return look()
  } catch (error) {
    if (error instanceof SourceError || (error instanceof Error && 'code' in error))
      return undefined
    throw error
  }
}
