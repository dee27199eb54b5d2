// Counters of conntrack, of 32 bits a CPU -> totals of the namespace, counted from its first look on, that do not go
// back when one of them begins at 0 again.

import type { ConntrackCounts } from '../kernel/conntrack-stat.ts'
import type { ConntrackCounters, CpuCounter } from '../sample.ts'

const WRAP = 2 ** 32

/**
 * Advances all counters to what was read now. `before` is undefined when they are read for the first time: they begin
 * at 0, because nobody knows how often one has passed the end before.
 */
export function advanceCounters(
  before: ConntrackCounters | undefined,
  counts: ConntrackCounts,
): ConntrackCounters {
  const { found, insertFailed, drop, clashResolve } = counts
  return {
    found: advanceCounter(before?.found, found),
    insertFailed: advanceCounter(before?.insertFailed, insertFailed),
    drop: advanceCounter(before?.drop, drop),
    clashResolve: clashResolve && advanceCounter(before?.clashResolve, clashResolve),
  }
}

/**
 * A CPU that is more than half of 32 bits behind has passed the end. One that is less far behind counts anew, and with
 * it all of them.
 */
function advanceCounter(before: CpuCounter | undefined, cpus: readonly number[]): CpuCounter {
  if (before === undefined) return { cpus, total: 0 }
  const grown = cpus.map((now, cpu) => {
    const growth = now - (before.cpus[cpu] ?? 0)
    return growth < -WRAP / 2 ? growth + WRAP : growth
  })
  const isSame = before.cpus.length === cpus.length && grown.every((growth) => growth >= 0)
  return { cpus, total: before.total + add(isSame ? grown : cpus) }
}

function add(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0)
}
