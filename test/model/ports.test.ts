import { describe, expect, test } from 'vitest'
import { nameRange } from '../../src/model/ports.ts'
import type { WireSocket } from '../support/kernel/netlink-builder.ts'
import { plainSettings } from '../support/kernel/readings.ts'
import { account, connection, tcp, timeWait } from './accounts.ts'

const on = (localPort: number, socket: WireSocket = connection) => ({ ...socket, localPort })
const listening = { ...connection, state: 10, remotePort: 0, local: [0, 0, 0, 0] }
const idle = { ...connection, state: 7, remotePort: 0 }

describe('countPorts()', () => {
  test.each([
    { first: 40_000, last: 40_009, half: 5 },
    { first: 40_001, last: 40_010, half: 5 },
    { first: 40_000, last: 40_010, half: 6 },
    { first: 40_001, last: 40_011, half: 6 },
  ])('halves $first to $last by the first port, which connect() tries first', (one) => {
    const range = { first: one.first, last: one.last }
    const open = (...sockets: WireSocket[]) =>
      account(tcp(...sockets), { ...plainSettings, range }).ports.openFirstHalf
    expect(open()).toBe(one.half)
    expect(open(on(one.first, listening), on(one.first + 2, idle))).toBe(one.half - 2)
    expect(open(on(one.first + 1, listening), on(one.first + 3, idle))).toBe(one.half)
    expect(open(on(one.first))).toBe(one.half)
  })

  test('never counts the last of three ports for TCP, but for UDP', () => {
    const settings = { ...plainSettings, range: { first: 40_000, last: 40_002 } }
    const { ports } = account(tcp(on(40_002)), settings)
    expect(ports).toMatchObject({
      neverVisited: 40_002,
      tcpUsed: 1,
      tcp: { capacity: 2, available: 2, unused: 2, live: 0, timeWait: 0 },
      udp: { capacity: 3, available: 3, unused: 3, live: 0 },
    })
    for (const last of [40_001, 40_003]) {
      const other = account([], { ...plainSettings, range: { first: 40_000, last } }).ports
      expect(other.neverVisited).toBe(-1)
    }
  })

  test('counts a port by the strongest that is on it', () => {
    const udp = { protocol: 'udp', explicit: false, sockets: [on(40_007), on(40_008)] } as const
    const waiting = timeWait(5500)
    const other = { ...waiting, remotePort: 80 }
    const { ports } = account([
      ...tcp(
        on(40_000, listening),
        on(40_001, idle),
        on(40_002, waiting),
        on(40_003, waiting),
        on(40_003, { ...connection, remotePort: 80 }),
        on(40_004, waiting),
        on(40_004, other),
      ),
      udp,
    ])
    expect(ports).toMatchObject({
      tcpUsed: 5,
      udpUsed: 2,
      blockedByListener: 1,
      blockedByBound: 1,
      tcp: { capacity: 20, available: 15, unused: 15, live: 3, timeWait: 2 },
      udp: { capacity: 20, available: 18, unused: 18, live: 2 },
    })
    expect(ports.releasing.indexOf(2)).toBe(5)
    expect(ports.releasing.reduce((sum, count) => sum + count, 0)).toBe(2)
  })

  test('reserves what lies in the range only', () => {
    const reserved = [
      { first: 39_990, last: 40_001 },
      { first: 40_019, last: 50_000 },
    ]
    const { ports } = account(tcp(on(40_001)), { ...plainSettings, reserved })
    expect(ports).toMatchObject({ reserved: 3, tcpUsed: 0, tcp: { capacity: 17, available: 17 } })
  })

  test('lets an IPv6-only listener collide with the dual-stack wildcard alone', () => {
    const zeros = new Array<number>(16).fill(0)
    const local = [0xfd, ...zeros.slice(2), 9]
    const six = { ...listening, family: 6 as const, local, remote: zeros, v6only: true }
    const available = (ipv6: boolean) =>
      account(tcp(on(40_003, six)), { ...plainSettings, ipv6 }).ports.tcp
    expect(available(true)).toMatchObject({ available: 19, unused: 19, live: 1 })
    expect(available(false)).toMatchObject({ available: 20, unused: 19, live: 0 })
  })
})

test('nameRange() is another text for another range, or where something else is reserved', () => {
  const name = (first: number, last: number, reservedText = '') =>
    nameRange({ ...plainSettings, range: { first, last }, reservedText })
  const names = [
    name(40_000, 40_019),
    name(40_001, 40_019),
    name(40_000, 40_018),
    name(40_000, 40_019, '40003-40004'),
    name(40_000, 40_019, '40003-40005'),
    name(40_000, 40_019, '40003-40004,40007'),
  ]
  expect(new Set(names).size).toBe(names.length)
  expect(name(40_000, 40_019, '40003-40004')).toBe(names[3])
})
