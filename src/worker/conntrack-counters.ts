// Counters of conntrack, of 32 bits a CPU -> totals of the namespace that do not go back when one of them begins at 0 again.

import type { ConntrackCounts } from '../kernel/conntrack-stat.ts'

/** Of one counter, as it was read last. */
interface Counter {
  readonly cpus: readonly number[]
  readonly total: number
}

export interface ConntrackCounters {
  readonly found: Counter
  readonly insertFailed: Counter
  readonly drop: Counter
  readonly clashResolve: Counter | undefined
}

const WRAP = 2 ** 32

/** Advances all counters to what was read now. `before` is undefined when they are read for the first time. */
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
 * A CPU that is more than half of 32 bits behind has passed the end. One that is less far behind counts anew, and with it
 * all of them.
 */
function advanceCounter(before: Counter | undefined, cpus: readonly number[]): Counter {
  const grown = cpus.map((now, cpu) => {
    const growth = now - (before?.cpus[cpu] ?? 0)
    return growth < -WRAP / 2 ? growth + WRAP : growth
  })
  const isSame = before?.cpus.length === cpus.length && grown.every((growth) => growth >= 0)
  const total = isSame ? add(grown) + before.total : add(cpus)
  return { cpus, total }
}

function add(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0)
}
