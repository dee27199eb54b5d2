// A procfs of our own, of one namespace, whose list of TCP sockets is a pipe: whoever reads it hangs in the kernel, where
// nothing but a signal that kills can end it.

import { spawnSync } from 'node:child_process'
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { waitFor } from './program.ts'

export interface HangingProcfs {
  /** From now on whoever opens the list hangs. */
  hang(): void
  /** Resolves once somebody hangs. */
  untilHung(): Promise<void>
  /** Lets go of whoever hangs. */
  close(): void
}

const HEAD =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n'
const PROCESSES = ['1', 'self', 'thread-self']

/** Makes it in an empty directory. Until it hangs the list has no socket. */
export function makeHangingProcfs(directory: string): HangingProcfs {
  const pipe = join(directory, 'pipe')
  makePipe(pipe)
  const lists = PROCESSES.map((process) => join(directory, process, 'net', 'tcp'))
  for (const list of lists) {
    mkdirSync(join(list, '..'), { recursive: true })
    writeFileSync(list, HEAD)
  }
  symlinkSync('/proc/sys', join(directory, 'sys'))
  let fd: number | undefined
  return {
    hang() {
      for (const list of lists) {
        symlinkSync(pipe, `${list}.new`)
        renameSync(`${list}.new`, list)
      }
    },
    async untilHung() {
      // Only a pipe that somebody reads can be opened like that.
      fd = await waitFor(async () => openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK))
      await waitFor(async () => isRead(pipe) || undefined)
    },
    close() {
      if (fd !== undefined) closeSync(fd)
    },
  }
}

/** Makes a pipe with a name. */
export function makePipe(path: string): void {
  const made = spawnSync('mkfifo', [path])
  if (made.status !== 0) throw new Error(`Cannot make a pipe: ${made.error ?? made.stderr}`)
}

/** Whether somebody is in a system call on that file. */
export function isRead(path: string): boolean {
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return processes.some((pid) => isReading(pid, path))
}

function isReading(pid: string, path: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).some((thread) => {
      const [, fd] = readFileSync(`/proc/${pid}/task/${thread}/syscall`, 'latin1').split(' ')
      const link = `/proc/${pid}/fd/${Number(fd)}`
      return existsSync(link) && readlinkSync(link) === path
    })
  } catch {
    // It has ended, or may not be looked at.
    return false
  }
}
