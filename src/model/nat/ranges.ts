// Which ports a NAT address may take: rules and options -> the range, and where it comes from.

import {
  type NatReading,
  type NatRule,
  type PortRange,
  type Protocol,
  SourceError,
} from '../../observation.ts'
import { isSameRange } from '../../port-ranges.ts'
import type { NatRangeOption } from '../../settings.ts'
import type { NatRangeOrigin } from '../../snapshot.ts'
import { lowerBound } from './range-tree.ts'

export interface NatRange extends PortRange {
  readonly origin: NatRangeOrigin
  /**
   * The ranges that connections from the address may have, this one first, where there are several: those of rules that
   * disagree, smallest first, and those of low ports. Which one it is, the ports of each destination have to show.
   */
  readonly rivals?: readonly PortRange[]
}

/**
 * Ranges of all addresses together, those of addresses with the same rules once. More would be made to take our memory.
 */
const MOST_RANGES = 262_144

/**
 * Where a rule names no ports the kernel stays in the class of the original port; of the classes this is the one of
 * ordinary clients (net/netfilter/nf_nat_core.c:nf_nat_l4proto_unique_tuple).
 */
export const DEFAULT_NAT_RANGE: PortRange = { first: 1024, last: 65535 }
/** What stands for rules that were not read. */
const UNREAD_RULE: NatRule = { protocol: undefined, addresses: undefined, ports: 'unknown' }
/** The other classes: of clients with a port below 512, and below 1024. */
export const LOW_NAT_RANGES: readonly PortRange[] = [
  { first: 1, last: 511 },
  { first: 600, last: 1023 },
]

/**
 * Creates a function that gives the range of each address. Of several rules that may apply the one with the fewest
 * ports counts, unless ports of a destination show that it meets another one: their union would promise ports that no
 * single connection can have. One that names the address and a masquerade may both translate to it. Addresses with the
 * same rules have the same range object. Throws SourceError where rules and addresses make too many ranges.
 */
export function createRangeChooser(
  protocol: Protocol,
  { rules = [], unreadRules }: Pick<NatReading, 'rules' | 'unreadRules'>,
  options: readonly NatRangeOption[],
): (address: number) => NatRange {
  const sorted = [...rules, ...(unreadRules ? [UNREAD_RULE] : [])]
    .filter((rule) => (rule.protocol ?? protocol) === protocol)
    .map((rule) => ({ rule, range: portsOf(rule) }))
    .toSorted(
      ({ range: left }, { range: right }) =>
        sizeOf(left) - sizeOf(right) || left.first - right.first,
    )
    .map(({ rule }) => rule)
  // Between two of these the same rules apply to all addresses.
  const bounds = Float64Array.from(
    new Set(
      sorted.flatMap(({ addresses }) =>
        addresses === undefined ? [] : [addresses.first, addresses.last + 1],
      ),
    ),
  ).sort()
  const known = new Map<number, NatRange>()
  let count = 0
  return (address) => {
    const option = options.find((one) => one.address === address)
    if (option) return { first: option.first, last: option.last, origin: 'option' }
    const part = lowerBound(bounds, address + 1, 0, bounds.length)
    const before = known.get(part)
    if (before !== undefined) return before
    const range = chooseAmong(sorted.filter((rule) => mayTranslateTo(rule, address)))
    count += range.rivals?.length ?? 0
    if (count > MOST_RANGES) {
      throw new SourceError(
        'unsupported',
        `Cannot tell the NAT pools apart: the rules have more than ${MOST_RANGES} ranges for the NAT addresses`,
      )
    }
    known.set(part, range)
    return range
  }
}

/** `fitting` are the rules that may apply, the smallest range first. */
function chooseAmong(fitting: readonly NatRule[]): NatRange {
  const named: PortRange[] = []
  for (const range of fitting.map(portsOf)) {
    const before = named.at(-1)
    if (before === undefined || !isSameRange(before, range)) named.push(range)
  }
  const known = fitting.every(({ ports }) => ports !== 'unknown')
  const low = fitting.every(({ ports }) => typeof ports === 'object') ? [] : LOW_NAT_RANGES
  const [smallest, other] = named
  if (smallest === undefined || (!known && other === undefined)) {
    const rivals = [DEFAULT_NAT_RANGE, ...LOW_NAT_RANGES]
    return { ...DEFAULT_NAT_RANGE, origin: 'default', rivals }
  }
  const rivals = [...named, ...low]
  return {
    ...smallest,
    origin: other === undefined ? 'rule' : 'smallest_rule',
    ...(rivals.length > 1 && { rivals }),
  }
}

/** Whether the rule may translate sources to that address. */
export function mayTranslateTo({ addresses }: NatRule, address: number): boolean {
  return addresses === undefined || (addresses.first <= address && address <= addresses.last)
}

/** The fewest ports that any rule leaves to a pool of ordinary clients. */
export function smallestNatRange(
  rules: readonly NatRule[] | undefined,
  options: readonly NatRangeOption[],
): number {
  return Math.min(smallestOf((rules ?? []).map(portsOf)), smallestOf(options))
}

/** How many ports the smallest of the ranges has; that of the default where there is none. */
export function smallestOf(ranges: Iterable<PortRange>): number {
  let smallest = sizeOf(DEFAULT_NAT_RANGE)
  for (const range of ranges) smallest = Math.min(smallest, sizeOf(range))
  return smallest
}

export function sizeOf({ first, last }: PortRange): number {
  return last - first + 1
}

function portsOf({ ports }: NatRule): PortRange {
  return typeof ports === 'object' ? ports : DEFAULT_NAT_RANGE
}
