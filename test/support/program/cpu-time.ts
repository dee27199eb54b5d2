// How long pure code computes, not how long it waits while others have the processor.

/** Milliseconds of CPU time of this process. */
export function cpuMsOf(work: () => unknown): number {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}
