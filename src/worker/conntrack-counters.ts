// Counters of conntrack, of 32 bits a CPU -> totals of the namespace that do not go back when one of them begins at 0 again.

import type { ConntrackCounts } from '../kernel/conntrack-stat.ts'

type CounterName = Exclude<keyof ConntrackCounts, 'entries'>

/** Of one counter, as it was read last. */
interface Counter {
  readonly cpus: readonly number[]
  readonly total: number
}

export type ConntrackCounters = { readonly [name in CounterName]: Counter | undefined }

const WRAP = 2 ** 32

/** Advances all counters to what was read now. `before` is undefined when they are read for the first time. */
export function advanceCounters(
  before: ConntrackCounters | undefined,
  counts: ConntrackCounts,
): ConntrackCounters {
  const advance = (name: CounterName) => {
    const cpus = counts[name]
    return cpus && advanceCounter(before?.[name], cpus)
  }
  return {
    found: advance('found'),
    insertFailed: advance('insertFailed'),
    drop: advance('drop'),
    clashResolve: advance('clashResolve'),
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
