// What the source of conntrack entries does about rules that cannot be read.

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Libc } from '../../src/kernel/libc.ts'
import { createConntrackSource } from '../../src/sources/conntrack.ts'
import { startNatMemory } from '../../src/worker/nat-memory.ts'
import {
  be32,
  buildEntry,
  buildExpression,
  buildRule,
  plainEntry,
  STATUS,
} from '../support/kernel/conntrack-builder.ts'
import { sequenceOf } from '../support/kernel/fake-channel.ts'
import { createFakeKernel } from '../support/kernel/fake-kernel.ts'
import { buildAttribute, buildDone, buildMessage } from '../support/kernel/netlink-builder.ts'

const GET = { rules: 0xa07, generation: 0xa10 } as const
const DUMP_MS = 40
/** As many rules as one datagram of the fake kernel has. */
const RULES = 501
const masquerade = buildExpression('masq', buildAttribute(1, be32(16)))

let nowMs = 0
beforeEach(() => {
  nowMs = 1000
  vi.spyOn(performance, 'now').mockImplementation(() => nowMs)
})
afterEach(() => vi.restoreAllMocks())

/** A namespace whose rules fill so many datagrams; each takes DUMP_MS. Only one dump goes on over one socket. */
function createWorld() {
  const world = { generation: 1, datagrams: 1, dumps: 0, ruined: false, iptables: false }
  const sockets = new Map<number, number[][]>()
  let opened = 0
  function answer(request: Uint8Array): number[][] {
    const sequence = sequenceOf(request)
    const type = new DataView(request.buffer, request.byteOffset).getUint16(4, true)
    if (type === GET.generation) {
      const id = buildAttribute(1, be32(world.generation))
      return [buildMessage(0xa0f, sequence, [0, 0, 0, 7, ...id])]
    }
    if (type !== GET.rules) {
      return [
        [
          ...buildEntry({ ...plainEntry, status: STATUS.sourceNat }, sequence),
          ...buildDone(sequence),
        ],
      ]
    }
    world.dumps++
    const plain = Array.from({ length: RULES - 1 }, () => buildRule(sequence)).flat()
    const datagram = [...plain, ...buildRule(sequence, masquerade)]
    if (world.ruined) datagram.length -= 4
    return [...Array.from({ length: world.datagrams }, () => datagram), buildDone(sequence)]
  }
  const libc: Libc = {
    ...createFakeKernel(),
    socket: () => {
      sockets.set(++opened, [])
      return opened
    },
    setsockopt: () => {},
    send(fd, request) {
      if (sockets.get(fd)?.length !== 0) throw new Error('The kernel says EBUSY')
      sockets.set(fd, answer(request))
    },
    recv(fd, buffer) {
      const next = sockets.get(fd)?.shift() ?? []
      if (next.length > 1000) nowMs += DUMP_MS
      buffer.set(next)
      return next.length
    },
    close: (fd) => void sockets.delete(fd),
  }
  const source = createConntrackSource(libc, '6.18.0', () => world.iptables)
  const { source: memory } = startNatMemory()
  /** How many rules of NAT there are, entries that were listed, and dumps of rules that it took. */
  function read() {
    const before = world.dumps
    return source.read(memory, 1, ({ rules, translated }) => ({
      rules: rules?.length,
      entries: [...translated].reduce((sum, { length }) => sum + length, 0),
      dumps: world.dumps - before,
    }))
  }
  return { world, memory, source, read, open: () => sockets.size }
}

describe('rules that cannot be read', () => {
  test('are not known where they are too many, and are read again when they have changed', () => {
    const { world, memory, read, open } = createWorld()
    world.datagrams = 100
    expect(read()).toEqual({ rules: undefined, entries: 1, dumps: 1 })
    expect(memory.translatesIpv6).toBeUndefined()
    nowMs += 3_600_000
    expect(read()).toEqual({ rules: undefined, entries: 1, dumps: 0 })
    Object.assign(world, { datagrams: 1, generation: 2 })
    expect(read()).toEqual({ rules: 1, entries: 1, dumps: 1 })
    expect(open()).toBe(0)
  })

  test('rest for ten times as long as it took to fail, and so do rules that change', () => {
    const { world, read } = createWorld()
    world.ruined = true
    expect(read()).toEqual({ rules: undefined, entries: 1, dumps: 1 })
    world.ruined = false
    nowMs += 10 * DUMP_MS - 1
    expect(read()).toEqual({ rules: undefined, entries: 1, dumps: 0 })
    nowMs += 1
    expect(read()).toEqual({ rules: 1, entries: 1, dumps: 1 })
    Object.assign(world, { datagrams: 2, generation: 2 })
    nowMs += 10 * DUMP_MS - 1
    expect(read()).toEqual({ rules: 1, entries: 1, dumps: 0 })
    nowMs += 1
    expect(read()).toEqual({ rules: 2, entries: 1, dumps: 1 })
  })
})

test('whether the old iptables may have rules is asked at each listing, though nf_tables is as it was', () => {
  const { world, memory, source } = createWorld()
  const listing = () =>
    source.read(memory, 1, ({ rules, unreadRules }) => [rules?.length, unreadRules])
  expect(listing()).toEqual([1, false])
  world.iptables = true
  expect(listing()).toEqual([1, true])
  expect(world.dumps).toBe(1)
})
