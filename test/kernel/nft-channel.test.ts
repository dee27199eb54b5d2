import { describe, expect, test } from 'vitest'
import { readNatRules, readRulesGeneration } from '../../src/kernel/nft-channel.ts'
import { be32, buildExpression, buildRule } from '../support/kernel/conntrack-builder.ts'
import { createFakeChannel, sequenceOf } from '../support/kernel/fake-channel.ts'
import {
  buildAttribute,
  buildDone,
  buildError,
  buildMessage,
} from '../support/kernel/netlink-builder.ts'

const plainMasquerade = buildExpression('masq', buildAttribute(1, be32(16)))
const none = { protocol: undefined, addresses: undefined, ports: undefined }

describe('readNatRules()', () => {
  const answer =
    (...messages: ((sequence: number) => number[])[]) =>
    (request: Uint8Array) => [
      Uint8Array.from(messages.flatMap((build) => build(sequenceOf(request)))),
    ]

  test('asks again when the rules changed under the dump', () => {
    let asked = 0
    const channel = createFakeChannel((request) => {
      const end = buildDone(sequenceOf(request))
      if (asked++ === 0) end[6] = 0x12
      return [Uint8Array.from([...buildRule(sequenceOf(request), plainMasquerade), ...end])]
    })
    expect(readNatRules(channel)).toEqual({ rules: [none], ipv6: false, walked: 1 })
    expect(asked).toBe(2)
  })

  test('gives up when they never stand still, and at once where there is no nf_tables', () => {
    let asked = 0
    const restless = createFakeChannel((request) => {
      asked++
      const end = buildDone(sequenceOf(request))
      end[6] = 0x12
      return [Uint8Array.from(end)]
    })
    expect(() => readNatRules(restless)).toThrow(expect.objectContaining({ reason: 'timeout' }))
    expect(asked).toBe(3)
    const missing = createFakeChannel(answer((sequence) => buildError(sequence, 22)))
    expect(() => readNatRules(missing)).toThrow(expect.objectContaining({ reason: 'unsupported' }))
    expect(missing.requests).toHaveLength(1)
  })

  test('keeps no more rules than it can compare', () => {
    const channel = createFakeChannel((request) => {
      const rule = buildRule(sequenceOf(request), plainMasquerade)
      return Array.from({ length: 100 }, () =>
        Uint8Array.from(Array.from({ length: 50 }, () => rule).flat()),
      )
    })
    expect(() => readNatRules(channel)).toThrow(/more than 4096 rules/)
  })

  test('reads the number of the present set of rules', () => {
    const channel = createFakeChannel(
      answer((sequence) =>
        buildMessage(0xa0f, sequence, [0, 0, 0, 7, ...buildAttribute(1, be32(4711))]),
      ),
    )
    expect(readRulesGeneration(channel)).toBe(4711)
  })
})
