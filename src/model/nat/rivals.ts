// Which of several ranges a destination meets: the ports that are taken, and what was found before -> its range.

import type { PortRange } from '../../observation.ts'
import { copyKey, type FlowTable, HOLD } from '../flows.ts'
import { isSameRange, LOW_NAT_RANGES, type NatRange, sizeOf } from './ranges.ts'

/** Ranges that need less than others to be met again, by the names of the keys of their destinations. */
export type FittedRanges = ReadonlyMap<string, PortRange>

/** Below this share of its range no search fails: every window would have to lie within the ports that are taken. */
export const SEARCHED_SHARE = 0.2
/**
 * A range of low ports is met from so many ports on, and then goes on to be met with less: a single program that asks for
 * one is no pool.
 */
const LOW_LEAST_PORTS = { begins: 8, holds: 4 } as const
/**
 * A range within another is met where it has a share of its ports, and so many standard deviations more of them than chance
 * would put there. It then goes on to be met with less.
 */
const STANDS_OUT = {
  begins: { share: SEARCHED_SHARE, deviations: 5 },
  holds: { share: SEARCHED_SHARE / 2, deviations: 2 },
} as const

function nameKey(flows: FlowTable, index: number): string {
  return copyKey(flows, index).join()
}

/** Finds the range of each destination whose ports show another one than that of its address. */
export function fitRivals(
  flows: FlowTable,
  addressRangeOf: (index: number) => NatRange | undefined,
  before: FittedRanges,
): { readonly fitting: ReadonlyMap<number, PortRange>; readonly fitted: FittedRanges } {
  const fitting = new Map<number, PortRange>()
  const fitted = new Map<string, PortRange>()
  const open = findOpen(flows, addressRangeOf)
  if (open === undefined) return { fitting, fitted }
  const { ends, order } = groupFlows(flows)
  const { port, hold } = flows.columns()
  for (let index = 0; index < ends.length; index++) {
    if (open[index] === 0) continue
    const { rivals = [] } = addressRangeOf(index) ?? {}
    const used = new Uint32Array(rivals.length)
    const hard = new Uint32Array(rivals.length)
    for (let at = ends[index - 1] ?? 0; at < (ends[index] ?? 0); at++) {
      const flow = order[at] ?? 0
      const local = port[flow] ?? 0
      for (let rival = 0; rival < rivals.length; rival++) {
        const { first = 0, last = 0 } = rivals[rival] ?? {}
        if (local < first || last < local) continue
        used[rival] = (used[rival] ?? 0) + 1
        if (hold[flow] !== HOLD.reclaimable) hard[rival] = (hard[rival] ?? 0) + 1
      }
    }
    const held = before.size > 0 ? before.get(nameKey(flows, index)) : undefined
    const { range, isCommon } = chooseFullest(rivals, used, hard, held)
    if (range !== rivals[0]) fitting.set(index, range)
    if (!isCommon) fitted.set(nameKey(flows, index), range)
  }
  return { fitting, fitted }
}

/**
 * 1 for each destination that may have another range than that of its address: some of its ports are outside of that, or
 * another range has ports of it. Undefined where there is none, as on most nodes.
 */
function findOpen(
  flows: FlowTable,
  addressRangeOf: (index: number) => NatRange | undefined,
): Uint8Array | undefined {
  const open = new Uint8Array(flows.destinationCount())
  const overlapping = new Map<NatRange, boolean>()
  const isOverlapping = (range: NatRange): boolean => {
    const [, ...others] = range.rivals ?? []
    const known = overlapping.get(range) ?? others.some((other) => !areApart(range, other))
    overlapping.set(range, known)
    return known
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

/** The flows of each destination, one destination after another: those of i begin where those of i - 1 end. */
function groupFlows(flows: FlowTable): {
  readonly ends: Uint32Array
  readonly order: Uint32Array
} {
  const { destination } = flows.columns()
  const count = flows.flowCount()
  const counts = new Uint32Array(flows.destinationCount())
  for (let flow = 0; flow < count; flow++) {
    const index = destination[flow] ?? 0
    counts[index] = (counts[index] ?? 0) + 1
  }
  let total = 0
  const ends = counts.map((ports) => {
    total += ports
    return total - ports
  })
  const order = new Uint32Array(count)
  for (let flow = 0; flow < count; flow++) {
    const index = destination[flow] ?? 0
    const at = ends[index] ?? 0
    order[at] = flow
    ends[index] = at + 1
  }
  return { ends, order }
}

/**
 * Of the ranges of one destination the one with the largest share of ports taken for good, or taken at all where that is the
 * same, or the smallest. Ports that are in two ranges may be of either rule: beside a range that more ports are in, one that
 * overlaps it must stand out. `held` is the one that was kept of the last listing. A common one need not be kept.
 */
function chooseFullest(
  rivals: readonly PortRange[],
  used: Uint32Array,
  hard: Uint32Array,
  held: PortRange | undefined,
): { readonly range: PortRange; readonly isCommon: boolean } {
  const candidate = (at: number): Rival => {
    const range = rivals[at] ?? { first: 1, last: 1 }
    const [ports, size] = [used[at] ?? 0, sizeOf(range)]
    const phase = held !== undefined && isSameRange(range, held) ? 'holds' : 'begins'
    return { range, ports, size, share: ports / size, hardShare: (hard[at] ?? 0) / size, phase }
  }
  const isMet = ({ range, ports, phase }: Rival) =>
    !LOW_NAT_RANGES.includes(range) || ports >= LOW_LEAST_PORTS[phase]
  const met = used.map((ports, at) => (ports > 0 && isMet(candidate(at)) ? ports : 0))
  const most = candidate(met.indexOf(Math.max(...met)))
  let fullest = most
  // The largest first, so that one within another is compared with that.
  for (let at = rivals.length - 1; at >= 0; at--) {
    if (used[at] === 0) continue
    const one = candidate(at)
    if (one.hardShare < fullest.hardShare) continue
    if (one.hardShare === fullest.hardShare && one.share < fullest.share) continue
    if (isMet(one) && standsOut(one, most) && standsOut(one, fullest)) fullest = one
  }
  const { range } = fullest
  return { range, isCommon: range === most.range && !LOW_NAT_RANGES.includes(range) }
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
