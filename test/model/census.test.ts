import { describe, expect, test } from 'vitest'
import { renderRelease } from '../../src/model/rows.ts'
import type { NetSettings } from '../../src/observation.ts'
import type { WireSocket } from '../support/kernel/netlink-builder.ts'
import { plainSettings, type WireDump } from '../support/kernel/readings.ts'
import { account, connection, PORT, tcp, timeWait } from './accounts.ts'

const groups: Record<string, readonly number[]> = {
  '::': new Array(16).fill(0),
  '::1': [...new Array(15).fill(0), 1],
  'fd00::9': [0xfd, ...new Array(14).fill(0), 9],
  'fd00::a': [0xfd, ...new Array(14).fill(0), 10],
  '::ffff:10.0.0.5': [...new Array(10).fill(0), 0xff, 0xff, 10, 0, 0, 5],
}

function onAddress(address: string): Pick<WireSocket, 'family' | 'local' | 'remote'> {
  const local = groups[address]
  if (local) return { family: 6, local, remote: groups['fd00::9'] ?? [] }
  return { family: 4, local: address.split('.').map(Number), remote: [192, 168, 1, 9] }
}

function listen(address: string, localPort = PORT): WireSocket {
  const any = groups[address] ? (groups['::'] ?? []) : [0, 0, 0, 0]
  return { ...connection, ...onAddress(address), state: 10, localPort, remotePort: 0, remote: any }
}

describe('accountDestinations() takes a flow for inbound', () => {
  test.each([
    ['0.0.0.0', '10.0.0.5', true],
    ['0.0.0.0', '::ffff:10.0.0.5', true],
    ['0.0.0.0', 'fd00::9', false],
    ['::', '10.0.0.5', true],
    ['::', 'fd00::9', true],
    ['10.0.0.5', '10.0.0.5', true],
    ['10.0.0.5', '::ffff:10.0.0.5', true],
    ['10.0.0.6', '10.0.0.5', false],
    ['127.0.0.1', '10.0.0.5', false],
    ['10.0.0.5', 'fd00::9', false],
    ['fd00::9', 'fd00::9', true],
    ['fd00::9', 'fd00::a', false],
    ['::1', 'fd00::9', false],
    ['::1', '10.0.0.5', false],
  ])('of a listener on %s at local address %s: %s', (listener, local, inbound) => {
    const { columns } = account(tcp(listen(listener), { ...connection, ...onAddress(local) }))
    expect([columns.inboundFlows, columns.count]).toEqual(inbound ? [1, 0] : [0, 1])
  })

  test('when any of several listeners takes its address', () => {
    const { columns } = account(tcp(listen('127.0.0.1'), listen('10.0.0.5'), connection))
    expect(columns.inboundFlows).toBe(1)
  })

  test('not of a listener at another port, nor of a UDP socket at the same', () => {
    const udp = { ...connection, state: 7, local: [0, 0, 0, 0], remotePort: 0 }
    const { columns, census, listeners } = account([
      ...tcp(listen('0.0.0.0', PORT + 1), connection),
      { protocol: 'udp', explicit: true, sockets: [udp] },
    ])
    expect(census.listeners.map(({ protocol }) => protocol).sort()).toEqual(['tcp', 'udp'])
    expect(listeners.map(({ port }) => port)).toEqual([PORT + 1])
    expect([columns.inboundFlows, columns.count]).toEqual([0, 1])
  })
})

describe('a listener that has gone', () => {
  const takeBefore = () => account(tcp(listen('10.0.0.5'), connection))

  test('is kept while a connection is left that it accepted, and its port is closed', () => {
    const before = takeBefore()
    let now = account(tcp(connection), plainSettings, before.memory)
    expect([now.columns.inboundFlows, now.ports.blockedByBound]).toEqual([1, 1])
    now = account(tcp(timeWait(30_000)), plainSettings, now.memory)
    expect([now.columns.inboundFlows, now.ports.blockedByBound]).toEqual([1, 1])
    expect(now.listeners).toEqual(before.listeners)
  })

  test('is forgotten when no TCP socket is left, whatever UDP has there', () => {
    const udp: WireDump = { protocol: 'udp', explicit: false, sockets: [connection] }
    const { listeners, memory } = account([udp], plainSettings, takeBefore().memory)
    expect(listeners).toEqual([])
    const { columns } = account(tcp(connection), plainSettings, memory)
    expect([columns.inboundFlows, columns.count]).toEqual([0, 1])
  })

  test('is forgotten when others than its connections have the port, which is open then', () => {
    const other = { ...connection, remote: [192, 168, 1, 77] }
    const { listeners, columns, ports } = account(tcp(other), plainSettings, takeBefore().memory)
    expect(listeners).toEqual([])
    expect([columns.inboundFlows, columns.count, ports.blockedByBound]).toEqual([0, 1, 0])
  })

  test('is listed once when it is still there, and beside one on another address', () => {
    const both = tcp(listen('10.0.0.5'), listen('fd00::9'), connection)
    const { listeners, memory } = account(both, plainSettings, takeBefore().memory)
    expect(listeners.map(({ address }) => address)).toEqual([
      [0, 0, 0xffff, 0x0a000005],
      [0xfd000000, 0, 0, 9],
    ])
    const next = account(tcp(listen('fd00::9'), connection), plainSettings, memory)
    expect(next.listeners).toHaveLength(2)
  })
})

describe('countPorts() releases a port', () => {
  const elsewhere = { remote: [192, 168, 1, 77] }
  const released = (...sockets: WireSocket[]) =>
    renderRelease(account(tcp(...sockets)).ports.releasing).map(({ ports }) => ports)

  test.each([
    ['first', [timeWait(29_999), { ...timeWait(3000), ...elsewhere }]],
    ['last', [{ ...timeWait(3000), ...elsewhere }, timeWait(29_999)]],
  ])('when its longest-lived minisock ends, listed %s', (_where, sockets) => {
    expect(released(...sockets)).toEqual([0, 0, 0, 1, 1])
  })

  test.each([
    [999, [1, 1, 1, 1, 1]],
    [1000, [0, 1, 1, 1, 1]],
    [4999, [0, 1, 1, 1, 1]],
    [5000, [0, 0, 1, 1, 1]],
    [60_000, [0, 0, 0, 0, 1]],
  ])('of %s ms in the second that its time ends in', (expiresMs, want) => {
    expect(released(timeWait(expiresMs))).toEqual(want)
  })

  test('never while a FIN_WAIT2 without owner holds it, whose TIME_WAIT is yet to come', () => {
    const halfClosed = { ...timeWait(30_000), ...elsewhere, state: 5 }
    expect(released(halfClosed)).toEqual([0, 0, 0, 0, 0])
    expect(released(timeWait(3000), halfClosed)).toEqual([0, 0, 0, 0, 0])
  })

  test('never while an application holds it too', () => {
    expect(released(timeWait(3000), { ...connection, ...elsewhere })).toEqual([0, 0, 0, 0, 0])
  })
})

describe('isReclaimable()', () => {
  const [reclaimable, held] = [
    [1, 0],
    [0, 1],
  ]
  const outcome = (socket: WireSocket, settings: Partial<NetSettings>) => {
    const { columns } = account(tcp(socket), { ...plainSettings, ...settings })
    return [columns.reclaimable[0], columns.timeWait[0]]
  }
  const unknownAge = { ...timeWait(0), timer: 0 }

  test.each([
    [59_001, held],
    [59_000, held],
    [58_999, reclaimable],
  ])('needs more than tcp_tw_reuse_delay, with %s ms to go', (expiresMs, want) => {
    expect(outcome(timeWait(expiresMs), { tcpTwReuse: 1 })).toEqual(want)
  })

  test('follows the delay that is set', () => {
    const settings = { tcpTwReuse: 1, tcpTwReuseDelayMs: 25_000 }
    expect(outcome(timeWait(35_000), settings)).toEqual(held)
    expect(outcome(timeWait(34_999), settings)).toEqual(reclaimable)
  })

  test.each([
    [{ tcpTwReuse: 1 }, reclaimable],
    [{ tcpTwReuse: 0 }, held],
    [{ tcpTwReuse: 2 }, held],
    [{ tcpTwReuse: undefined }, held],
    [{ tcpTwReuse: 1, tcpTimestamps: 0 }, held],
    [{ tcpTwReuse: 1, tcpTimestamps: undefined }, held],
  ])('counts a TIME_WAIT of unknown age as old enough where %o allows it', (settings, want) => {
    expect(outcome(unknownAge, settings)).toEqual(want)
    expect(account(tcp(unknownAge)).census.expiryKnown).toBe(false)
  })

  test('of unknown age on loopback counts with tcp_tw_reuse=2', () => {
    const loopback = { ...unknownAge, local: [127, 0, 0, 1], remote: [127, 0, 0, 2] }
    expect(outcome(loopback, { tcpTwReuse: 2 })).toEqual(reclaimable)
  })

  test('never takes a live connection or an ownerless FIN_WAIT2', () => {
    expect(outcome(connection, { tcpTwReuse: 1 })).toEqual([0, 0])
    expect(outcome({ ...timeWait(1000), state: 5 }, { tcpTwReuse: 1 })).toEqual([0, 0])
  })
})
