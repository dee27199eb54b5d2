// per_cpu/cpu<n>/stats of a tracing instance: text -> how many events have left the ring. Pure. Mirrors
// kernel/trace/trace.c:tracing_stats_read. `entries + overrun + read events` is all there ever were, overwritten ones
// included (measured on 6.18); `entries` are in the ring still, and count when they leave it.

import { DecodeError } from '../observation.ts'

/** Events that were overwritten before anybody read them, or that somebody read. */
export function parseGoneEvents(text: string): number {
  return findCount(text, 'overrun') + findCount(text, 'read events')
}

function findCount(text: string, name: string): number {
  const digits = new RegExp(`^${name}: (\\d{1,15})$`, 'm').exec(text)?.[1]
  if (digits === undefined) {
    throw new DecodeError(`Cannot parse the stats of a trace ring: no count of "${name}"`, 0)
  }
  return Number(digits)
}
