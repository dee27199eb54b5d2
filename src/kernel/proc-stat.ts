// /proc/<pid>/stat and /proc/uptime: text -> when a process started. Mirrors fs/proc/array.c:do_task_stat.

import { DecodeError } from '../observation.ts'
import { readProcFile } from './proc-file.ts'

/** USER_HZ, in which the kernel reports clock ticks to programs on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100

/** Seconds after boot at which the process started; undefined when there is no such process. */
export function readStartSeconds(procfs: string, pid: number): number | undefined {
  const text = readProcFile(`${procfs}/${pid}/stat`)
  return text === undefined ? undefined : parseStartSeconds(text)
}

/** Field 22 of the line. The name of the program, field 2, may hold spaces and brackets. */
export function parseStartSeconds(text: string): number {
  const ticks = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ', 20)
    .at(19)
  if (ticks === undefined || !/^\d+$/.test(ticks)) {
    throw new DecodeError(`Cannot parse /proc/<pid>/stat ${JSON.stringify(text.slice(0, 40))}`, 0)
  }
  return Number(ticks) / TICKS_PER_SECOND
}

/** Seconds since boot, of the same clock. Throws SourceError or DecodeError. */
export function readUptimeSeconds(procfs: string): number {
  const text = readProcFile(`${procfs}/uptime`) ?? ''
  const seconds = Number.parseFloat(text)
  if (Number.isNaN(seconds)) {
    throw new DecodeError(`Cannot parse ${procfs}/uptime ${JSON.stringify(text.slice(0, 40))}`, 0)
  }
  return seconds
}
