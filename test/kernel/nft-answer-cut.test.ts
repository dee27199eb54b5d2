// Attributes of nf_tables that are shorter than what they should hold.

import { describe, expect, test } from 'vitest'
import { decodeGeneration } from '../../src/kernel/nft-answer.ts'
import { DecodeError } from '../../src/observation.ts'
import {
  be32,
  buildExpression,
  buildImmediate,
  buildNest,
} from '../support/kernel/conntrack-builder.ts'
import { buildAttribute, buildMessage } from '../support/kernel/netlink-builder.ts'
import { decodeExpressions, SEQUENCE } from '../support/kernel/nft-rules.ts'

const PORT = [0x9c, 0x40]
const masquerade = (...registers: readonly number[]) =>
  buildExpression('masq', ...registers.map((number, at) => buildAttribute(2 + at, be32(number))))

describe('decodeRules()', () => {
  test.each([
    [[0x9c], PORT],
    [PORT, [0x9c]],
  ])('knows no ports where one of them is cut: %j to %j', (first, last) => {
    const [rule] = decodeExpressions(
      buildImmediate(1, first),
      buildImmediate(2, last),
      masquerade(1, 2),
    )
    expect(rule?.ports).toBe('unknown')
  })

  test('reads no number from three bytes', () => {
    const portIn = (register: readonly number[]) =>
      buildExpression(
        'immediate',
        buildAttribute(1, register),
        buildNest(2, buildAttribute(1, PORT)),
      )
    expect(decodeExpressions(portIn([0, 0, 0, 0]), masquerade(0))[0]?.ports).toEqual({
      first: 40_000,
      last: 40_000,
    })
    expect(decodeExpressions(portIn([0, 0, 0]), masquerade(0))[0]?.ports).toBe('unknown')
  })

  test.each([
    [0, 20],
    [1, 40],
  ])('refuses a target of revision %i that is a byte shorter than %i', (revision, bytes) => {
    const target = (length: number) =>
      buildExpression(
        'target',
        buildAttribute(1, [...Buffer.from('SNAT'), 0]),
        buildAttribute(2, be32(revision)),
        buildAttribute(3, new Array<number>(length).fill(0)),
      )
    expect(decodeExpressions(target(bytes))[0]).toMatchObject({
      addresses: undefined,
      ports: undefined,
    })
    expect(() => decodeExpressions(target(bytes - 1))).toThrow(DecodeError)
  })
})

test('decodeGeneration() takes a head alone for a generation of 0, and refuses less', () => {
  const message = (bytes: number) =>
    Uint8Array.from(buildMessage(0xa0f, SEQUENCE, new Array<number>(bytes).fill(0)))
  const found: number[] = []
  expect(decodeGeneration(message(4), SEQUENCE, (one) => found.push(one))).toBe('done')
  expect(found).toEqual([0])
  expect(() => decodeGeneration(message(3), SEQUENCE, () => {})).toThrow(DecodeError)
})
