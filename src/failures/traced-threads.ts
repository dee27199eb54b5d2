// What the initial PID namespace knows about the threads that trace events name: pid -> network namespace, cgroup path.
// Synchronous file system calls only.

import { statSync } from 'node:fs'
import { readProcFile } from '../kernel/proc-file.ts'
import { SourceError } from '../observation.ts'
import { parseProcCgroup } from '../owners/cgroup-path.ts'

/**
 * Whether `procfs` counts as trace events do. The kernel's own threads exist in the initial PID namespace only, and the
 * second process there is always kthreadd (init/main.c:rest_init). In another, a pid means somebody else. A procfs that
 * hides the processes of others (hidepid) does not tell.
 */
export function countsAsKernel(procfs: string): boolean {
  try {
    return readProcFile(`${procfs}/2/comm`) === 'kthreadd\n' && isKernelThread(procfs, 2)
  } catch (error) {
    if (error instanceof SourceError) return false
    throw error
  }
}

/** PF_KTHREAD in the flags, field 9 of stat (fs/proc/array.c:do_task_stat). */
function isKernelThread(procfs: string, pid: number): boolean {
  const text = readProcFile(`${procfs}/${pid}/stat`) ?? ''
  const flags = text.slice(text.lastIndexOf(')') + 2).split(' ', 7)[6]
  return (Number(flags) & 0x0020_0000) !== 0
}

/** Inode of the network namespace that a thread is in; undefined when it has gone or may not be looked at. */
export function readNetnsInode(procfs: string, pid: number): number | undefined {
  try {
    return statSync(`${procfs}/${pid}/ns/net`).ino
  } catch {
    return undefined
  }
}

/** The cgroup path that says most about a thread; undefined when it has gone. */
export function readCgroupPath(procfs: string, pid: number): string | undefined {
  try {
    return parseProcCgroup(readProcFile(`${procfs}/${pid}/cgroup`) ?? '')
  } catch {
    return undefined
  }
}
