// Ranges of ports, inclusive on both ends. Pure.

import type { PortRange } from './observation.ts'

/** Whether both ends are the same. */
export function isSameRange(left: PortRange, right: PortRange): boolean {
  return left.first === right.first && left.last === right.last
}

/** Joins those that overlap or touch: the result is ascending and disjoint. */
export function joinRanges(ranges: readonly PortRange[]): readonly PortRange[] {
  const joined: PortRange[] = []
  for (const { first, last } of ranges.toSorted((a, b) => a.first - b.first)) {
    const before = joined.at(-1)
    if (before !== undefined && first <= before.last + 1) {
      joined[joined.length - 1] = { first: before.first, last: Math.max(before.last, last) }
    } else joined.push({ first, last })
  }
  return joined
}
