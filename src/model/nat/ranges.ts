// Which ports a NAT address may take: rules and options -> the range, and where it comes from.

import type { NatRule, PortRange, Protocol } from '../../observation.ts'
import type { NatRangeOrigin } from '../../snapshot.ts'

/** The ports of one NAT address as the user gives them, whatever the rules say. */
export interface NatRangeOption extends PortRange {
  /** IPv4 as a number. */
  readonly address: number
}

export interface NatRange extends PortRange {
  readonly origin: NatRangeOrigin
  /** Where several rules disagree: their ranges, smallest first, of which each destination has its own. */
  readonly rivals?: readonly PortRange[]
}

/** Of more rules that disagree only the smallest ranges count. */
const MOST_RIVALS = 8

/**
 * Where a rule names no ports the kernel stays in the class of the original port; of the classes this is the one of ordinary
 * clients (net/netfilter/nf_nat_core.c:nf_nat_l4proto_unique_tuple).
 */
export const DEFAULT_NAT_RANGE: PortRange = { first: 1024, last: 65535 }

/**
 * Of several rules that may apply the one with the fewest ports counts, unless ports of a destination show that it meets
 * another one: their union would promise ports that no single connection can have. `rules` is undefined where they could
 * not be read.
 */
export function chooseNatRange(
  { address, protocol }: { readonly address: number; readonly protocol: Protocol },
  rules: readonly NatRule[] | undefined,
  options: readonly NatRangeOption[],
): NatRange {
  const option = options.find((one) => one.address === address)
  if (option) return { first: option.first, last: option.last, origin: 'option' }
  const fitting = (rules ?? []).filter(
    (rule) =>
      (rule.protocol ?? protocol) === protocol &&
      (rule.addresses === undefined ||
        (rule.addresses.first <= address && address <= rule.addresses.last)),
  )
  const named = fitting.filter((rule) => rule.addresses !== undefined)
  const judged = named.length > 0 ? named : fitting
  const ranges = judged.map(({ ports }) =>
    ports === 'unknown' || !ports ? DEFAULT_NAT_RANGE : ports,
  )
  const isSame = (left: PortRange, right: PortRange) =>
    left.first === right.first && left.last === right.last
  const rivals = ranges
    .filter((range, at) => ranges.findIndex((one) => isSame(one, range)) === at)
    .toSorted((left, right) => sizeOf(left) - sizeOf(right) || left.first - right.first)
    .slice(0, MOST_RIVALS)
  const [smallest, other] = rivals
  const known = judged.every(({ ports }) => ports !== 'unknown')
  if (smallest === undefined || (!known && other === undefined)) {
    return { ...DEFAULT_NAT_RANGE, origin: 'default' }
  }
  if (other === undefined) return { ...smallest, origin: 'rule' }
  return { ...smallest, origin: 'smallest_rule', rivals }
}

/** The fewest ports that any rule leaves to a pool: no pool of the namespace is smaller. */
export function smallestNatRange(
  rules: readonly NatRule[] | undefined,
  options: readonly NatRangeOption[],
): number {
  return Math.min(
    smallestOf(
      (rules ?? []).map(({ ports }) => (ports === 'unknown' || !ports ? DEFAULT_NAT_RANGE : ports)),
    ),
    smallestOf(options),
  )
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
