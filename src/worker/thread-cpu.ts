// CPU time of the calling thread. Node 20 has no call for it.

import { openSync, readSync } from 'node:fs'

/**
 * Creates a clock of the calling thread's CPU seconds: on Linux the first number of /proc/thread-self/schedstat
 * (nanoseconds on a CPU, kernel/sched/stats.h), elsewhere wall time, which a thread's CPU time cannot exceed. It keeps
 * the file open, since it is read twice for each namespace that is looked at: opening, reading and closing it took 28
 * us, and reading alone takes 2.5. Node closes what a worker thread has opened when that ends.
 */
export function createThreadCpuClock(): () => number {
  const descriptor = openSchedstat()
  const bytes = Buffer.alloc(64)
  /** Undefined when it cannot be read: a cost is not worth an exception. */
  const read = (): number | undefined => {
    if (descriptor === undefined) return undefined
    try {
      // From its beginning, where the kernel makes the text anew (fs/seq_file.c:seq_read_iter).
      const length = readSync(descriptor, bytes, 0, bytes.length, 0)
      return Number.parseInt(bytes.toString('latin1', 0, length), 10) / 1e9 || undefined
    } catch {
      return undefined
    }
  }
  let last = read()
  // No such number: another system, or a kernel without CONFIG_SCHED_INFO.
  if (last === undefined) return () => performance.now() / 1000
  return () => {
    last = read() ?? last ?? 0
    return last
  }
}

function openSchedstat(): number | undefined {
  try {
    return openSync('/proc/thread-self/schedstat', 'r')
  } catch {
    return undefined
  }
}
