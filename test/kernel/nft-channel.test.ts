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
import { useStillClock } from '../support/kernel/still-clock.ts'

const plainMasquerade = buildExpression('masq', buildAttribute(1, be32(16)))
const none = { protocol: undefined, addresses: undefined, ports: undefined }

describe('readNatRules()', () => {
  const answer =
    (...messages: ((sequence: number) => number[])[]) =>
    (request: Uint8Array) => [
      Uint8Array.from(messages.flatMap((build) => build(sequenceOf(request)))),
    ]

  /** Each channel that is opened answers from the beginning. */
  function readFrom(reply: (request: Uint8Array) => readonly Uint8Array[]) {
    const channels: ReturnType<typeof createFakeChannel>[] = []
    let closed = 0
    const read = () =>
      readNatRules(() => {
        const channel = createFakeChannel(reply)
        channels.push(channel)
        return { ...channel, close: () => void closed++ }
      })
    return {
      read,
      asked: () => channels.map(({ requests }) => requests.length),
      closed: () => closed,
    }
  }

  const interrupted = (request: Uint8Array) => {
    const end = buildDone(sequenceOf(request))
    end[6] = 0x12
    return end
  }
  const manyRules = (each: number, datagrams: number, ...expressions: number[][]) =>
    readFrom((request) => {
      const rule = buildRule(sequenceOf(request), ...expressions)
      const datagram = Uint8Array.from(Array.from({ length: each }, () => rule).flat())
      const end = Uint8Array.from(buildDone(sequenceOf(request)))
      return [...Array.from({ length: datagrams }, () => datagram), end]
    })

  test('asks again, over another channel, when the rules changed under the dump', () => {
    let first = true
    const { read, asked, closed } = readFrom((request) => {
      const end = first ? interrupted(request) : buildDone(sequenceOf(request))
      first = false
      return [Uint8Array.from([...buildRule(sequenceOf(request), plainMasquerade), ...end])]
    })
    expect(read()).toEqual({ rules: [none], ipv6: false })
    expect(asked()).toEqual([1, 1])
    expect(closed()).toBe(2)
  })

  test('gives up when they never stand still, and at once where there is no nf_tables', () => {
    const restless = readFrom((request) => [Uint8Array.from(interrupted(request))])
    expect(restless.read).toThrow(expect.objectContaining({ reason: 'timeout' }))
    expect(restless.asked()).toEqual([1, 1, 1])
    expect(restless.closed()).toBe(3)
    const missing = readFrom(answer((sequence) => buildError(sequence, 22)))
    expect(missing.read).toThrow(expect.objectContaining({ reason: 'unsupported' }))
    expect(missing.asked()).toEqual([1])
  })

  test('keeps no more rules of NAT than it can compare, and walks no more rules of all kinds', () => {
    const unsupported = (message: string) =>
      expect.objectContaining({ reason: 'unsupported', message })
    const natRules = manyRules(50, 100, plainMasquerade)
    expect(natRules.read).toThrow(unsupported('Cannot read more than 4096 rules of NAT'))
    expect(manyRules(500, 100).read()).toEqual({ rules: [], ipv6: false })
    const others = manyRules(500, 101)
    expect(others.read).toThrow(unsupported('Cannot read more than 50000 rules'))
    expect(others.asked()).toEqual([1])
    expect(others.closed()).toBe(1)
  })

  describe('by a clock that moves two seconds with each datagram', () => {
    const clock = useStillClock()

    test('does not begin again after a dump that took too long', () => {
      let asked = 0
      const read = () =>
        readNatRules(() => ({
          send: () => void asked++,
          receive: () => {
            clock.nowMs += 2000
            return Uint8Array.from(buildRule(0x4e02))
          },
          close() {},
        }))
      expect(read).toThrow(/dump of nf_tables rules: ETIMEDOUT/)
      expect({ asked, nowMs: clock.nowMs }).toEqual({ asked: 1, nowMs: 6000 })
    })

    test('gives all attempts together no longer than one', () => {
      let asked = 0
      const read = () =>
        readNatRules(() => {
          const sent: Uint8Array[] = []
          let received = 0
          return {
            send: (request) => {
              asked++
              sent.push(request)
            },
            receive: () => {
              clock.nowMs += 2000
              const [request = new Uint8Array(12)] = sent
              return Uint8Array.from(
                received++ === 0 ? buildRule(sequenceOf(request)) : interrupted(request),
              )
            },
            close() {},
          }
        })
      expect(read).toThrow(expect.objectContaining({ reason: 'timeout' }))
      expect({ asked, nowMs: clock.nowMs }).toEqual({ asked: 2, nowMs: 6000 })
    })
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
