import { describe, expect, test } from 'vitest'
import { type Census, USE } from '../../src/model/census.ts'
import { renderRelease } from '../../src/model/rows.ts'
import { type NetSettings, socketStates } from '../../src/observation.ts'
import type { WireSocket } from '../support/kernel/netlink-builder.ts'
import { plainSettings, type WireDump } from '../support/kernel/readings.ts'
import { account, connection, PORT, tcp, timeWait } from './accounts.ts'

const groups: Record<string, readonly number[]> = {
  '::': new Array(16).fill(0),
  '::1': [...new Array(15).fill(0), 1],
  'fd00::9': [0xfd, ...new Array(14).fill(0), 9],
  'fd00::a': [0xfd, ...new Array(14).fill(0), 10],
  '2001:db8::': [0x20, 0x01, 0x0d, 0xb8, ...new Array(12).fill(0)],
  '0:0:0:1::': [...new Array(7).fill(0), 1, ...new Array(8).fill(0)],
  '::1:0:0': [...new Array(11).fill(0), 1, 0, 0, 0, 0],
  '::ffff:0.0.0.0': [...new Array(10).fill(0), 0xff, 0xff, 0, 0, 0, 0],
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
    ['2001:db8::', 'fd00::9', false],
    ['0:0:0:1::', 'fd00::9', false],
    ['::1:0:0', '10.0.0.5', false],
    ['::ffff:0.0.0.0', '10.0.0.5', true],
    ['::ffff:0.0.0.0', 'fd00::9', false],
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

test('a connection has no end, whatever TIME_WAIT was listed before it', () => {
  const other = { ...connection, localPort: PORT + 1 }
  const { census } = account(tcp(timeWait(29_000), other))
  const { port, expirySeconds } = census.flows.columns()
  const ends = [0, 1].map((flow) => [port[flow], expirySeconds[flow]])
  expect(Object.fromEntries(ends)).toEqual({ [PORT]: 29, [PORT + 1]: 0 })
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
    // What counts is what it was when the connection began.
    [{ tcpTwReuse: 1, tcpTimestamps: 0 }, reclaimable],
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

describe('createCensusTaker()', () => {
  const { first, last } = plainSettings.range
  const counted = (states: Uint32Array) =>
    Object.fromEntries(socketStates.map((name, at) => [name, states[at]]).filter(([, n]) => n))
  const bindOf = (part: Partial<WireSocket>): WireSocket => ({
    ...connection,
    state: 7,
    remotePort: 0,
    remote: [0, 0, 0, 0],
    ...part,
  })
  const onPort = (census: Census, port: number) => census.portUse[port]

  test('counts sockets by state, and one connection that is listed twice once', () => {
    const closing = { ...connection, state: 8, localPort: PORT + 1 }
    const { census } = account([
      ...tcp(connection, connection, closing, listen('0.0.0.0', PORT + 2), timeWait(1000)),
      { protocol: 'udp', explicit: false, sockets: [connection, bindOf({})] },
    ])
    expect(counted(census.tcpStates)).toEqual({ established: 1, close_wait: 1, listen: 1 })
    expect(counted(census.udpStates)).toEqual({ established: 1, bound: 1 })
  })

  test.each(['tcp', 'udp'] as const)('looks at no %s socket outside of the range', (protocol) => {
    const sockets = [first - 1, first, last, last + 1].flatMap((localPort) => [
      { ...connection, localPort },
      bindOf({ localPort, state: protocol === 'tcp' ? 10 : 7 }),
    ])
    const { census } = account([{ protocol, explicit: true, sockets }])
    const used = [...census.portUse.entries()].filter(([, use]) => use !== 0)
    expect(used.map(([port]) => port)).toEqual([first, last])
    expect(census.listeners.map(({ port }) => port)).toEqual([first, last])
    const states = protocol === 'tcp' ? census.tcpStates : census.udpStates
    expect(states.reduce((sum, count) => sum + count)).toBe(4)
  })

  test('takes for a service of UDP what is not connected and has a port that was chosen', () => {
    const sockets = [bindOf({}), { ...connection, localPort: PORT + 1 }]
    const [chosen, given] = [true, false].map(
      (explicit) => account([{ protocol: 'udp', explicit, sockets }]).census,
    )
    expect(chosen?.listeners.map(({ port }) => port)).toEqual([PORT])
    expect(given?.listeners).toEqual([])
    for (const census of [chosen, given]) {
      expect(census && onPort(census, PORT)).toBe(USE.udp | USE.udpIpv4)
      expect(census && onPort(census, PORT + 1)).toBe(USE.udp | USE.udpIpv4 | USE.udpConnected)
    }
  })

  test('takes a socket that is for IPv6 alone for one that 0.0.0.0 does not collide with', () => {
    const sockets = [
      { ...listen('::', first), v6only: false },
      { ...listen('::', first + 1), v6only: true },
      { ...listen('::ffff:10.0.0.5', first + 2), v6only: true },
      listen('10.0.0.5', first + 3),
    ]
    const { census } = account(tcp(...sockets))
    const collides = sockets.map(({ localPort }) => (onPort(census, localPort) ?? 0) & USE.tcpIpv4)
    expect(collides.map(Boolean)).toEqual([true, false, true, true])
    expect(census.listeners.map(({ ipv6Only }) => ipv6Only)).toEqual([false, true, true, false])
    expect(census.listeners.map(({ ownerId }) => ownerId)).toEqual(new Array(4).fill(undefined))
  })

  test('tells connections to hosts apart that differ in any word of an address', () => {
    const group = (at: number) => groups['fd00::9']?.map((byte, i) => (i === at ? 77 : byte)) ?? []
    const one = { ...connection, ...onAddress('fd00::9') }
    const others = [2, 6, 10, 14].flatMap((at) => [
      { ...one, local: group(at) },
      { ...one, remote: group(at) },
    ])
    expect(account(tcp(one, ...others)).census.flows.destinationCount()).toBe(9)
  })

  test('says whether any port was chosen, any TIME_WAIT can be recycled, any device is used', () => {
    const reuse = { ...plainSettings, tcpTwReuse: 1 }
    const chosen = { protocol: 'tcp', explicit: true, sockets: [connection] } as const
    const said = [tcp(connection), [chosen], tcp(timeWait(1000))].map((dumps) => {
      const { hasExplicitFlows, hasReclaimableFlows, devices } = account(dumps, reuse).census
      return [hasExplicitFlows, hasReclaimableFlows, devices.count()]
    })
    expect(said).toEqual([
      [false, false, 0],
      [true, false, 0],
      [false, true, 0],
    ])
    expect(account(tcp({ ...connection, device: 3 })).census.devices.count()).toBe(1)
  })
})
