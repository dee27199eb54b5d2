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
  /**
   * The ranges that connections from the address may have, this one first, where there are several: those of rules that
   * disagree, smallest first, and those of low ports. Which one it is, the ports of each destination have to show.
   */
  readonly rivals?: readonly PortRange[]
}

/** Of more rules that disagree only the smallest ranges count. */
const MOST_RIVALS = 64

/**
 * Where a rule names no ports the kernel stays in the class of the original port; of the classes this is the one of ordinary
 * clients (net/netfilter/nf_nat_core.c:nf_nat_l4proto_unique_tuple).
 */
export const DEFAULT_NAT_RANGE: PortRange = { first: 1024, last: 65535 }
/** The other classes: of clients with a port below 512, and below 1024. */
export const LOW_NAT_RANGES: readonly PortRange[] = [
  { first: 1, last: 511 },
  { first: 600, last: 1023 },
]

/**
 * Of several rules that may apply the one with the fewest ports counts, unless ports of a destination show that it meets
 * another one: their union would promise ports that no single connection can have. One that names the address and a
 * masquerade may both translate to it. `rules` is undefined where they could not be read.
 */
export function chooseNatRange(
  { address, protocol }: { readonly address: number; readonly protocol: Protocol },
  rules: readonly NatRule[] | undefined,
  options: readonly NatRangeOption[],
): NatRange {
  const option = options.find((one) => one.address === address)
  if (option) return { first: option.first, last: option.last, origin: 'option' }
  const fitting = (rules ?? []).filter(
    (rule) => (rule.protocol ?? protocol) === protocol && mayTranslateTo(rule, address),
  )
  const named = fitting
    .map(portsOf)
    .filter((range, at, ranges) => ranges.findIndex((one) => isSameRange(one, range)) === at)
    .toSorted((left, right) => sizeOf(left) - sizeOf(right) || left.first - right.first)
    .slice(0, MOST_RIVALS)
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

export function isSameRange(left: PortRange, right: PortRange): boolean {
  return left.first === right.first && left.last === right.last
}

export function sizeOf({ first, last }: PortRange): number {
  return last - first + 1
}

function portsOf({ ports }: NatRule): PortRange {
  return typeof ports === 'object' ? ports : DEFAULT_NAT_RANGE
}
