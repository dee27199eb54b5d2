// Expressions of one nf_tables rule -> the source NAT that its decoder finds in them.

import { decodeRules } from '../../../src/kernel/nft-answer.ts'
import type { NatRule } from '../../../src/observation.ts'
import { buildRule } from './conntrack-builder.ts'

export const SEQUENCE = 5

/** Decodes a message with that rule: none or one. */
export function decodeExpressions(...expressions: readonly number[][]): readonly NatRule[] {
  const rules: NatRule[] = []
  decodeRules(Uint8Array.from(buildRule(SEQUENCE, ...expressions)), SEQUENCE, (rule) => {
    if (rule !== undefined) rules.push(rule)
  })
  return rules
}
