// A larger port range for a namespace, what must be reserved in it, and what it buys. Pure.

import type { PortRange } from '../observation.ts'
import { joinRanges } from '../port-ranges.ts'
import type { Namespace, NamespaceState, Settings } from '../snapshot.ts'
import { listReserved } from './own-port.ts'
import { renderNumber } from './words.ts'

/** What Kubernetes hands out for services of type NodePort unless told otherwise. */
export const NODE_PORTS: PortRange = { first: 30_000, last: 32_767 }

/** What Linux has when nobody changed it. */
export const USUAL_RANGE: PortRange = { first: 32_768, last: 60_999 }

/** Ranges to choose from, the least change first. All are even, and above the ports of most services. */
const candidates: readonly PortRange[] = [USUAL_RANGE, { first: 16_384, last: 65_535 }]
/** A larger range that buys less is not worth a change. */
const LEAST_GAIN = 1.5

export interface RangePlan {
  readonly range: PortRange
  /** To be reserved first, besides what is reserved already. */
  readonly reserve: readonly PortRange[]
  readonly usablePorts: number
  /** Ports of the new range that are not in the old one: somebody may listen there. */
  readonly added: readonly PortRange[]
  /** What it buys, in words. */
  readonly buys: string
}

/**
 * Undefined where the range or what is reserved is not known as a whole, or where the range is about as large as it can
 * be.
 */
export function planRange({ netnsKind }: Namespace, state: NamespaceState): RangePlan | undefined {
  const { settings, rangeOrigin } = state
  if (rangeOrigin === 'default' || settings.reservedRangesLeftOut > 0) return undefined
  const { firstPort, lastPort, usablePorts } = settings
  for (const range of candidates) {
    const added = subtract(range, { first: firstPort, last: lastPort })
    const swallows = mayHaveNodePorts(netnsKind) && overlaps(range, NODE_PORTS)
    const reserve =
      swallows && added.some((ports) => overlaps(ports, NODE_PORTS)) ? [NODE_PORTS] : []
    const reserved = joinRanges([...settings.reservedRanges, ...reserve])
    const usable = countUsable(range, reserved)
    if (usable < usablePorts * LEAST_GAIN) continue
    return { range, reserve, usablePorts: usable, added, buys: renderGain(usablePorts, usable) }
  }
  return undefined
}

/** NodePorts belong to the node: a pod's namespace has none. */
export function mayHaveNodePorts(kind: Namespace['netnsKind']): boolean {
  return kind === 'host' || kind === 'self'
}

/** Whether the range hands out NodePorts. */
export function swallowsNodePorts(settings: Settings): boolean {
  const { firstPort, lastPort } = settings
  const range = {
    first: Math.max(firstPort, NODE_PORTS.first),
    last: Math.min(lastPort, NODE_PORTS.last),
  }
  return range.first <= range.last && countUsable(range, joinRanges(listReserved(settings))) > 0
}

function renderGain(before: number, after: number): string {
  const ratio = after / before
  const times = ratio >= 10 ? Math.floor(ratio) : Math.floor(ratio * 10) / 10
  const size = times === 2 ? 'doubles the pool' : `makes the pool ${times} times as large`
  return `${size}: ${renderNumber(after)} ports instead of ${renderNumber(before)}`
}

function countUsable({ first, last }: PortRange, reserved: readonly PortRange[]): number {
  const taken = reserved.map(
    (ports) => Math.min(ports.last, last) - Math.max(ports.first, first) + 1,
  )
  return last - first + 1 - taken.reduce((sum, count) => sum + Math.max(0, count), 0)
}

function subtract(range: PortRange, without: PortRange): readonly PortRange[] {
  return [
    { first: range.first, last: Math.min(range.last, without.first - 1) },
    { first: Math.max(range.first, without.last + 1), last: range.last },
  ].filter(({ first, last }) => first <= last)
}

export function overlaps(a: PortRange, b: PortRange): boolean {
  return a.first <= b.last && b.first <= a.last
}
