import { describe, expect, test } from 'vitest'
import type { Listener } from '../../src/model/listeners.ts'
import {
  leastPortsOfRow,
  listeningPorts,
  renderListeners,
  renderProtocols,
  renderSettings,
} from '../../src/model/rows.ts'
import type { WireSocket } from '../support/kernel/netlink-builder.ts'
import { createReading, plainSettings, type WireDump } from '../support/kernel/readings.ts'
import { account, connection, PORT, tcp, timeWait } from './accounts.ts'

const idle = { remotePort: 0, remote: [0, 0, 0, 0] }
const listener = (localPort: number): WireSocket => {
  return { ...connection, ...idle, local: [0, 0, 0, 0], state: 10, localPort }
}
const udp = (explicit: boolean, ...sockets: WireSocket[]): WireDump => {
  return { protocol: 'udp', explicit, sockets }
}

test('renderSettings() tells the range and what of it can be handed out, and delays in seconds', () => {
  const settings = {
    ...plainSettings,
    reserved: [{ first: 40_003, last: 40_004 }],
    tcpTwReuse: 1,
    tcpTwReuseDelayMs: 1500,
  }
  const { ports } = account([], settings)
  expect(renderSettings(settings, ports)).toMatchObject({
    firstPort: 40_000,
    lastPort: 40_019,
    reservedPorts: 2,
    reservedRanges: [{ first: 40_003, last: 40_004 }],
    reservedRangesLeftOut: 0,
    usablePorts: 18,
    tcpTwReuse: 1,
    tcpTimestamps: 1,
    tcpTwReuseDelaySeconds: 1.5,
    tcpMaxTwBuckets: 65_536,
  })
  const long = Array.from({ length: 32_767 }, (_, at) => ({ first: 2 * at + 1, last: 2 * at + 1 }))
  const { reservedRanges, reservedRangesLeftOut } = renderSettings(
    { ...settings, reserved: long },
    ports,
  )
  expect(reservedRanges).toEqual(long.slice(0, 100))
  expect(reservedRangesLeftOut).toBe(32_667)
  expect(renderSettings({ ...settings, autobindReuse: 1, portStepWidth: 4 }, ports)).toMatchObject({
    autobindReuse: 1,
    portStepWidth: 4,
  })
  const unknown = { ...settings, tcpTwReuseDelayKnown: false }
  expect(renderSettings(unknown, ports).tcpTwReuseDelaySeconds).toBeUndefined()
})

describe('renderProtocols()', () => {
  const { census, ports, columns } = account([
    ...tcp(connection, { ...timeWait(1000), localPort: PORT + 1 }, listener(PORT + 2)),
    udp(false, { ...connection, ...idle, state: 7 }, { ...connection, localPort: PORT + 3 }),
    udp(true, { ...connection, ...idle, state: 7, localPort: PORT + 4 }),
  ])
  const { inboundFlows } = columns
  const context = {
    census,
    ports,
    inboundFlows,
    listening: listeningPorts(census.listeners, ports),
  }
  const render = (tcpBoundKnown: boolean, udpServicesKnown: boolean) =>
    renderProtocols({ ...createReading([]), tcpBoundKnown }, { ...context, udpServicesKnown })

  test('counts sockets by the states that a protocol has, also those that no socket is in', () => {
    const [ofTcp, ofUdp] = render(true, true)
    expect(ofTcp).toMatchObject({ protocol: 'tcp', usedPorts: 3, inboundSockets: 0, listeners: 1 })
    const states = Object.entries(ofTcp?.sockets ?? {})
    expect(states.filter(([, count]) => count > 0)).toEqual([
      ['established', 1],
      ['time_wait', 1],
      ['listen', 1],
    ])
    expect(states).toHaveLength(12)
    expect(ofUdp).toEqual({
      protocol: 'udp',
      usedPorts: 3,
      sockets: { bound: 2, connected: 1 },
      inboundSockets: 0,
      listeners: 1,
    })
  })

  test('says nothing of bound sockets and of services that cannot be told', () => {
    const [ofTcp, ofUdp] = render(false, false)
    expect(Object.keys(ofTcp?.sockets ?? {})).not.toContain('bound')
    expect(Object.keys(ofTcp?.sockets ?? {})).not.toContain('unknown')
    expect(ofUdp?.listeners).toBeUndefined()
  })
})

test('listeningPorts() gives one of each port that can be handed out, TCP first, in order', () => {
  const settings = { ...plainSettings, reserved: [{ first: 40_009, last: 40_009 }] }
  const services = [40_012, 40_003].map((localPort) => ({
    ...connection,
    ...idle,
    state: 7,
    localPort,
  }))
  const { census, ports } = account(
    [
      udp(true, ...services),
      ...tcp(...[40_011, 40_002, 40_009, 40_007].map(listener), {
        ...listener(40_007),
        local: [10, 0, 0, 5],
      }),
    ],
    settings,
  )
  const listening = listeningPorts(census.listeners, ports)
  const named = listening.map(({ protocol, port }) => `${protocol} ${port}`)
  expect(named).toEqual(['tcp 40002', 'tcp 40007', 'tcp 40011', 'udp 40003', 'udp 40012'])
  const { rows, hidden } = renderListeners(listening, 2)
  expect([rows.map(({ port }) => port), hidden]).toEqual([[40_002, 40_007], 3])
  const owned = renderListeners([{ ...listening[0], ownerId: 77 } as Listener], 2, (id) => {
    return id === 77 ? { owner: 'web.service', ownerKind: 'unit' } : undefined
  })
  expect(owned.rows).toMatchObject([{ port: 40_002, owner: 'web.service' }])
})

test.each([
  // One of a hundred ports, or eight, or a quarter of those that are open.
  [10_000, 0, 0, 100],
  [400, 0, 0, 8],
  [20, 0, 0, 5],
  [20, 4, 8, 2],
  [20, 12, 8, 0.2],
])(
  'leastPortsOfRow() of %i ports, %i and %i of them blocked, is %d',
  (capacity, byListener, byBound, want) => {
    const { ports } = account([])
    expect(
      leastPortsOfRow({
        ...ports,
        tcp: { ...ports.tcp, capacity },
        blockedByListener: byListener,
        blockedByBound: byBound,
      }),
    ).toBe(want)
  },
)
