// Which of several ranges a destination meets: the ports that are taken, and what was found before -> its range.

import { type PortRange, SourceError } from '../../observation.ts'
import { isSameRange } from '../../port-ranges.ts'
import { copyKey, type FlowTable, HOLD } from '../flows.ts'
import { createRangeTree, type RangeTree } from './range-tree.ts'
import { LOW_NAT_RANGES, type NatRange, sizeOf } from './ranges.ts'

/** Ranges that need less than others to be met again, by the names of the keys of their destinations. */
export type FittedRanges = ReadonlyMap<string, PortRange>

/** Below this share of its range no search fails: every window would have to lie within the ports that are taken. */
export const SEARCHED_SHARE = 0.2
/**
 * A range of low ports is met from so many ports on, and then goes on to be met with less: a single program that asks
 * for one is no pool.
 */
const LOW_LEAST_PORTS = { begins: 8, holds: 4 } as const
/**
 * A range within another is met where it has a share of its ports, and so many standard deviations more of them than
 * chance would put there. It then goes on to be met with less.
 */
const STANDS_OUT = {
  begins: { share: SEARCHED_SHARE, deviations: 5 },
  holds: { share: SEARCHED_SHARE / 2, deviations: 2 },
} as const

/**
 * So many ranges are looked at for each entry, and so many more: one or two seconds for 262,144 entries. Among 4,096
 * ranges that do not overlap one port needs at most 50. Who makes many that do, to make us work, has no pools on the
 * page.
 */
const MOST_LOOKS = { each: 64, more: 2 ** 22 } as const

function nameKey(flows: FlowTable, index: number): string {
  return copyKey(flows, index).join()
}

/**
 * Finds the range of each destination whose ports show another one than that of its address. Throws SourceError where
 * that would take too long.
 */
export function fitRivals(
  flows: FlowTable,
  addressRangeOf: (index: number) => NatRange | undefined,
  before: FittedRanges,
): { readonly fitting: ReadonlyMap<number, PortRange>; readonly fitted: FittedRanges } {
  const fitting = new Map<number, PortRange>()
  const fitted = new Map<string, PortRange>()
  const open = findOpen(flows, addressRangeOf)
  if (open === undefined) return { fitting, fitted }
  const { ends, ports, reclaimable } = groupPorts(flows, open)
  const counters = new Map<readonly PortRange[], RivalCounter>()
  let looks = MOST_LOOKS.each * ports.length + MOST_LOOKS.more
  for (let index = 0; index < ends.length; index++) {
    const { rivals } = (open[index] === 1 && addressRangeOf(index)) || {}
    if (rivals === undefined) continue
    const counter = counters.get(rivals) ?? createCounter(rivals)
    counters.set(rivals, counter)
    const { tree, used, hard, found } = counter
    let count = 0
    looks -= tree.find(ports, ends[index - 1] ?? 0, ends[index] ?? 0, (at, begin, end) => {
      used[at] = end - begin
      hard[at] = end - begin - ((reclaimable[end] ?? 0) - (reclaimable[begin] ?? 0))
      found[count++] = at
    })
    if (looks < 0) {
      throw new SourceError(
        'unsupported',
        'Cannot tell the NAT pools apart: too many ranges of the rules overlap',
      )
    }
    const held = before.size > 0 ? before.get(nameKey(flows, index)) : undefined
    const { range, isCommon } = chooseFullest(rivals, counter, count, held)
    if (range !== rivals[0]) fitting.set(index, range)
    if (!isCommon) fitted.set(nameKey(flows, index), range)
  }
  return { fitting, fitted }
}

/**
 * 1 for each destination that may have another range than that of its address: some of its ports are outside of that,
 * or another range has ports of it. Undefined where there is none, as on most nodes.
 */
function findOpen(
  flows: FlowTable,
  addressRangeOf: (index: number) => NatRange | undefined,
): Uint8Array | undefined {
  const open = new Uint8Array(flows.destinationCount())
  const overlapping = new Map<NatRange, boolean>()
  const isOverlapping = (range: NatRange): boolean => {
    const known = overlapping.get(range)
    if (known !== undefined) return known
    const [, ...others] = range.rivals ?? []
    const found = others.some((other) => !areApart(range, other))
    overlapping.set(range, found)
    return found
  }
  let count = 0
  const { destination, port } = flows.columns()
  for (let flow = 0; flow < flows.flowCount(); flow++) {
    const index = destination[flow] ?? 0
    if (open[index] === 1) continue
    const range = addressRangeOf(index)
    if (range?.rivals === undefined) continue
    const local = port[flow] ?? 0
    if (range.first <= local && local <= range.last && !isOverlapping(range)) continue
    open[index] = 1
    count++
  }
  return count > 0 ? open : undefined
}

function areApart(left: PortRange, right: PortRange): boolean {
  return left.last < right.first || right.last < left.first
}

/**
 * The ports of each destination, one destination after another: those of i begin where those of i - 1 end. Those of the
 * open ones are sorted.
 */
function groupPorts(
  flows: FlowTable,
  open: Uint8Array,
): {
  readonly ends: Uint32Array
  readonly ports: Uint16Array
  /** How many of the ports before this one the kernel gives away. */
  readonly reclaimable: Uint32Array
} {
  const { destination, port, hold } = flows.columns()
  const count = flows.flowCount()
  const counts = new Uint32Array(flows.destinationCount())
  for (let flow = 0; flow < count; flow++) {
    const index = destination[flow] ?? 0
    counts[index] = (counts[index] ?? 0) + 1
  }
  let total = 0
  const ends = counts.map((found) => {
    total += found
    return total - found
  })
  // Beside each port, as its last bit, whether it is given away.
  const marked = new Uint32Array(count)
  for (let flow = 0; flow < count; flow++) {
    const index = destination[flow] ?? 0
    const at = ends[index] ?? 0
    marked[at] = 2 * (port[flow] ?? 0) + (hold[flow] === HOLD.reclaimable ? 1 : 0)
    ends[index] = at + 1
  }
  for (const [index, isOpen] of open.entries()) {
    if (isOpen === 1) marked.subarray(ends[index - 1] ?? 0, ends[index]).sort()
  }
  const reclaimable = new Uint32Array(count + 1)
  for (let at = 0; at < count; at++) {
    reclaimable[at + 1] = (reclaimable[at] ?? 0) + ((marked[at] ?? 0) & 1)
  }
  return { ends, ports: Uint16Array.from(marked, (one) => one >>> 1), reclaimable }
}

/**
 * Chooses, among the ranges of one destination, the one with the largest share of ports taken for good, or taken at all
 * where that is the same, or the smallest. Ports that are in two ranges may be of either rule: beside a range that more
 * ports are in, one that overlaps it must stand out. `held` is the one that was kept of the last listing. A common one
 * need not be kept.
 */
function chooseFullest(
  rivals: readonly PortRange[],
  { used, hard, found }: RivalCounter,
  count: number,
  held: PortRange | undefined,
): { readonly range: PortRange; readonly isCommon: boolean } {
  const judge = (at: number, ports: number): Rival => {
    const range = rivals[at] ?? { first: 1, last: 1 }
    const size = sizeOf(range)
    const phase = held !== undefined && isSameRange(range, held) ? 'holds' : 'begins'
    return { range, ports, size, share: ports / size, hardShare: (hard[at] ?? 0) / size, phase }
  }
  const isMet = ({ range, ports, phase }: Rival) =>
    !LOW_NAT_RANGES.includes(range) || ports >= LOW_LEAST_PORTS[phase]
  // The smallest first, as the ranges are.
  const order = found.subarray(0, count).sort()
  let most = { ...judge(0, 0), hardShare: 0 }
  for (const at of order) {
    const ports = used[at] ?? 0
    if (ports <= most.ports) continue
    const one = judge(at, ports)
    if (isMet(one)) most = one
  }
  let fullest = most
  // The largest first, so that one within another is compared with that.
  for (const at of order.reverse()) {
    const one = judge(at, used[at] ?? 0)
    if (one.hardShare < fullest.hardShare) continue
    if (one.hardShare === fullest.hardShare && one.share < fullest.share) continue
    if (isMet(one) && standsOut(one, most) && standsOut(one, fullest)) fullest = one
  }
  const { range } = fullest
  return { range, isCommon: range === most.range && !LOW_NAT_RANGES.includes(range) }
}

/** Memory to count the ports of one destination after another, by the index of the range. */
interface RivalCounter {
  readonly tree: RangeTree
  /** Valid of the ranges that were found. */
  readonly used: Uint32Array
  /** Ports that are taken for good, valid of the same ranges. */
  readonly hard: Uint32Array
  readonly found: Uint32Array
}

function createCounter(rivals: readonly PortRange[]): RivalCounter {
  const create = () => new Uint32Array(rivals.length)
  return { tree: createRangeTree(rivals), used: create(), hard: create(), found: create() }
}

interface Rival {
  readonly range: PortRange
  readonly ports: number
  readonly size: number
  readonly share: number
  readonly hardShare: number
  readonly phase: keyof typeof STANDS_OUT
}

/** Whether the ports of `one` cannot be in it by chance, as they may be where another range overlaps it. */
function standsOut(one: Rival, other: Rival): boolean {
  if (one.range === other.range || areApart(one.range, other.range)) return true
  if (one.ports === one.size) return true
  const { share, deviations } = STANDS_OUT[one.phase]
  const outside = Math.max(0, other.ports - one.ports) / Math.max(1, other.size - one.size)
  const chance = Math.min(1, outside)
  const expected = chance * one.size
  const least = expected + deviations * Math.sqrt(expected * (1 - chance))
  return one.share >= share && one.ports >= least
}
