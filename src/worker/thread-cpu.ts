// CPU time of the calling thread. Node 20 has no call for it.

import { readFileSync } from 'node:fs'

/**
 * Creates a clock of the calling thread's CPU seconds: on Linux the first number of /proc/thread-self/schedstat
 * (nanoseconds on a CPU, kernel/sched/stats.h), elsewhere wall time, which a thread's CPU time cannot exceed.
 */
export function createThreadCpuClock(): () => number {
  let last = readSchedstat()
  // No such file: another system, or a kernel without CONFIG_SCHED_INFO.
  if (last === undefined) return () => performance.now() / 1000
  return () => {
    last = readSchedstat() ?? last ?? 0
    return last
  }
}

/** Undefined when it cannot be read, be it for want of a descriptor: a cost is not worth an exception. */
function readSchedstat(): number | undefined {
  try {
    const [nanoseconds] = readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ', 1)
    return Number(nanoseconds) / 1e9 || undefined
  } catch {
    return undefined
  }
}
