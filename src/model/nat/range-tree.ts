// Which of many port ranges have any of some ports: an interval tree in sorted arrays, and the union of the ranges.

import type { PortRange } from '../../observation.ts'

export interface RangeTree {
  /**
   * Calls `visit` once for each range that has any of the numbers `from` to below `to` of `ports`, which are sorted,
   * with its index among the ranges and with those of the first port in it and of the first one behind it. Returns how
   * many ranges were looked at: about as many as were found, and for each port twice the logarithm of how many there
   * are.
   */
  find(
    ports: ArrayLike<number>,
    from: number,
    to: number,
    visit: (range: number, begin: number, end: number) => void,
  ): number
}

/** Creates the tree: the middle of a part is its root, and each half a part of its own. */
export function createRangeTree(ranges: readonly PortRange[]): RangeTree {
  const order = ranges.map((range, index) => ({ ...range, index }))
  order.sort((left, right) => left.first - right.first || left.index - right.index)
  const firsts = Uint32Array.from(order, ({ first }) => first)
  const lasts = Uint32Array.from(order, ({ last }) => last)
  const indexes = Uint32Array.from(order, ({ index }) => index)
  /** The last port of all ranges of the part of which this is the root. */
  const reaches = new Uint32Array(order.length)

  function measure(low: number, high: number): number {
    if (low >= high) return 0
    const root = (low + high) >>> 1
    const reach = Math.max(lasts[root] ?? 0, measure(low, root), measure(root + 1, high))
    reaches[root] = reach
    return reach
  }
  measure(0, order.length)

  return {
    find(ports, from, to, visit) {
      let looks = 0
      function search(low: number, high: number, begin: number, end: number): void {
        if (low >= high) return
        looks++
        const root = (low + high) >>> 1
        const left = lowerBound(ports, firsts[low] ?? 0, begin, end)
        const right = lowerBound(ports, (reaches[root] ?? 0) + 1, left, end)
        if (left === right) return
        search(low, root, left, right)
        const first = lowerBound(ports, firsts[root] ?? 0, left, right)
        const behind = lowerBound(ports, (lasts[root] ?? 0) + 1, first, right)
        if (first < behind) visit(indexes[root] ?? 0, first, behind)
        search(root + 1, high, first, right)
      }
      search(0, order.length, from, to)
      return looks
    },
  }
}

/** Creates a function that says whether a port is in any of the ranges. */
export function createPortSet(ranges: readonly PortRange[]): (port: number) => boolean {
  const firsts: number[] = []
  const lasts: number[] = []
  for (const { first, last } of ranges.toSorted((left, right) => left.first - right.first)) {
    const end = lasts.length - 1
    if (first <= (lasts[end] ?? -1)) {
      lasts[end] = Math.max(lasts[end] ?? 0, last)
    } else {
      firsts.push(first)
      lasts.push(last)
    }
  }
  return (port) => (firsts[lowerBound(lasts, port, 0, lasts.length)] ?? Infinity) <= port
}

/** The index of the first of the sorted values from `from` to below `to` that is not below `value`; else `to`. */
export function lowerBound(
  values: ArrayLike<number>,
  value: number,
  from: number,
  to: number,
): number {
  let low = from
  let high = to
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((values[middle] ?? 0) < value) low = middle + 1
    else high = middle
  }
  return low
}
