// CPU time of the calling thread. Node 20 has no call for it.

import { readFileSync } from 'node:fs'

/**
 * Creates a clock of the calling thread's CPU seconds: on Linux the first number of /proc/thread-self/schedstat
 * (nanoseconds on a CPU, kernel/sched/stats.h), elsewhere wall time, which a thread's CPU time cannot exceed.
 */
export function createThreadCpuClock(): () => number {
  const readSchedstat = () =>
    Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ', 1)[0]) / 1e9
  try {
    if (readSchedstat() > 0) return readSchedstat
  } catch {
    // No such file: another system, or a kernel without CONFIG_SCHED_INFO.
  }
  return () => performance.now() / 1000
}
