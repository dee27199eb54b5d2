import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { NamespaceState, PoolName } from '../../src/snapshot.ts'
import { wireSocket } from '../support/kernel/arbitrary-sockets.ts'
import { plainSocket, type WireSocket } from '../support/kernel/netlink-builder.ts'
import {
  createReading,
  plainSettings,
  replayDumps,
  type WireDump,
} from '../support/kernel/readings.ts'
import { createPlayer } from './owners/owners-play.ts'

const TCP = {
  established: 1,
  synSent: 2,
  synRecv: 3,
  finWait1: 4,
  finWait2: 5,
  timeWait: 6,
  close: 7,
  closeWait: 8,
  lastAck: 9,
  listen: 10,
  closing: 11,
}
const settings = { ...plainSettings, range: { first: 40_000, last: 40_099 } }

/** Sockets on consecutive ports. */
function many(count: number, first: number, part: Partial<WireSocket> = {}): WireSocket[] {
  return Array.from({ length: count }, (_, at) => ({
    ...plainSocket,
    device: 0,
    cgroupId: 5,
    remotePort: 443,
    remote: [10, 0, 0, 9],
    localPort: first + at,
    ...part,
  }))
}

const unconnected = { remotePort: 0, remote: [0, 0, 0, 0] }
const timeWait = { state: TCP.timeWait, timer: 3, expiresMs: 30_000, cgroupId: undefined }

function play(dumps: readonly Partial<WireDump>[], player = createPlayer()): NamespaceState {
  const whole = dumps.map((dump) => ({
    protocol: 'tcp' as const,
    explicit: false,
    sockets: [],
    ...dump,
  }))
  return player.play(createReading(replayDumps(whole), settings))
}

function poolOf(state: NamespaceState, name: PoolName) {
  const pool = state.pools.find((one) => one.pool === name)
  if (pool === undefined) throw new Error(`There is no pool ${name}`)
  return pool
}

function tell(state: NamespaceState, name: PoolName = 'tcp_connect'): string {
  const { cause } = poolOf(state, name)
  const owners = cause?.owners.map(({ owner, ports }) => `${owner} ${ports}`).join(', ')
  return cause === undefined ? 'nothing' : `${cause.cause} ${cause.ports}: ${owners}`
}

describe('heldPorts', () => {
  test('add up to what is not available, for any sockets, in every pool', () => {
    const dumps = fc.record({
      auto: fc.array(wireSocket, { maxLength: 25 }),
      explicit: fc.array(wireSocket, { maxLength: 8 }),
      udp: fc.array(wireSocket, { maxLength: 10 }),
      last: fc.integer({ min: 40_000, max: 40_019 }),
      ipv6: fc.boolean(),
    })
    fc.assert(
      fc.property(dumps, ({ auto, explicit, udp, last, ipv6 }) => {
        const range = { first: 40_000, last }
        const reading = createReading(
          replayDumps([
            { protocol: 'tcp', explicit: false, sockets: auto },
            { protocol: 'tcp', explicit: true, sockets: explicit },
            { protocol: 'udp', explicit: false, sockets: udp },
          ]),
          { ...plainSettings, tcpTwReuse: 2, range, ipv6 },
        )
        const { pools } = createPlayer().play(reading)
        for (const { pool, heldPorts, capacityPorts, availablePorts, cause } of pools) {
          const held = Object.values(heldPorts).reduce((sum, count) => sum + count, 0)
          expect(held, pool).toBe(capacityPorts - availablePorts)
          expect(cause === undefined).toBe(held === 0)
          expect(cause?.ports ?? 0).toBeLessThanOrEqual(held)
        }
      }),
    )
  })

  test('are those of the worst destination, and of all that is closed', () => {
    const state = play([
      { sockets: many(30, 40_000) },
      { sockets: many(10, 40_030, { state: TCP.closeWait }) },
      { sockets: many(20, 40_050, { remote: [10, 0, 0, 8] }) },
      { sockets: many(3, 40_090, { state: TCP.close, ...unconnected }) },
      { sockets: many(2, 40_095, { state: TCP.listen, ...unconnected }) },
    ])
    const { heldPorts } = poolOf(state, 'tcp_connect')
    const held = Object.entries(heldPorts).filter(([, count]) => count > 0)
    expect(Object.fromEntries(held)).toEqual({
      established: 30,
      close_wait: 10,
      bound: 3,
      listener: 2,
    })
  })

  test('count a port for the connection that holds it most firmly, whatever the order', () => {
    const open = { sockets: many(10, 40_000) }
    const left = { sockets: many(10, 40_000, { remote: [10, 0, 0, 8], state: TCP.closeWait }) }
    for (const dumps of [
      [open, left],
      [left, open],
    ]) {
      const { heldPorts } = poolOf(play(dumps), 'tcp_bind')
      expect(heldPorts).toMatchObject({ established: 10, close_wait: 0 })
    }
  })

  /** By state of the kernel, from what holds a port most firmly to what holds it least. */
  const firmness = [
    [TCP.established, 'established'],
    [TCP.synSent, 'syn_sent'],
    [TCP.closeWait, 'close_wait'],
    [TCP.synRecv, 'other'],
    [TCP.lastAck, 'other'],
    [TCP.finWait1, 'fin_wait'],
    [TCP.closing, 'fin_wait'],
    [TCP.timeWait, 'time_wait'],
  ] as const

  test.each(firmness.slice(1).map((weaker, at) => [firmness[at], weaker] as const))(
    'count a port of %j and of %j for the first',
    ([firm, holder] = firmness[0], [weak]) => {
      const minisock = (state: number) => (state === TCP.timeWait ? timeWait : {})
      const both = [
        { sockets: many(9, 40_000, { ...minisock(weak), state: weak, remote: [10, 0, 0, 8] }) },
        { sockets: many(9, 40_000, { ...minisock(firm), state: firm }) },
      ]
      for (const dumps of [both, both.toReversed()]) {
        const { heldPorts } = poolOf(play(dumps), 'tcp_bind')
        expect(Object.entries(heldPorts).filter(([, ports]) => ports > 0)).toEqual([[holder, 9]])
      }
    },
  )
})

describe('cause', () => {
  test.each<[string, Partial<WireDump>, PoolName]>([
    [
      'close_wait 40: 5.service 40',
      { sockets: many(40, 40_000, { state: TCP.closeWait }) },
      'tcp_connect',
    ],
    [
      'bound_idle 40: 5.service 40',
      { sockets: many(40, 40_000, { state: TCP.close, ...unconnected }) },
      'tcp_connect',
    ],
    [
      'listeners 40: 5.service 40',
      { sockets: many(40, 40_000, { state: TCP.listen, ...unconnected }) },
      'tcp_connect',
    ],
    [
      'bind_before_connect 40: 5.service 40',
      { explicit: true, sockets: many(40, 40_000) },
      'tcp_connect',
    ],
    ['many_connections 40: 5.service 40', { sockets: many(40, 40_000) }, 'tcp_connect'],
    [
      'many_connections 40: 5.service 40',
      { sockets: many(40, 40_000, { state: TCP.synSent }) },
      'tcp_connect',
    ],
    [
      'churn 40: 5.service 40',
      { sockets: many(40, 40_000, { state: TCP.finWait2 }) },
      'tcp_connect',
    ],
    ['many_connections 40: 5.service 40', { sockets: many(40, 40_000) }, 'tcp_bind'],
    ['churn 40: ', { sockets: many(40, 40_000, timeWait) }, 'tcp_connect'],
    [
      'udp_sockets 40: 5.service 40',
      { protocol: 'udp', sockets: many(40, 40_000, { state: 7, ...unconnected }) },
      'udp',
    ],
    ['nothing', {}, 'udp'],
  ])('is %s', (want, dump, pool) => {
    expect(tell(play([dump]), pool)).toBe(want)
  })

  test('names the owner of the cause, which is not the top owner of the namespace', () => {
    const state = play([
      { sockets: many(30, 40_000, { state: TCP.closeWait, cgroupId: 6 }) },
      {
        sockets: many(50, 40_040, { remote: [10, 0, 0, 8], remotePort: 80 }).map((one, at) => ({
          ...one,
          remotePort: 80 + (at % 10),
        })),
      },
    ])
    expect(tell(state)).toBe('close_wait 30: 6.service 30')
  })

  test('gives TIME_WAIT the owner that its destination had while connections were alive', () => {
    const player = createPlayer()
    play([{ sockets: many(40, 40_000, { cgroupId: 6 }) }], player)
    expect(tell(play([{ sockets: many(40, 40_000, timeWait) }], player))).toBe(
      'churn 40: 6.service 40',
    )
  })

  test('takes the owners of its own destination, and those of all where bind() counts all', () => {
    const player = createPlayer()
    // Ports of the parity that connect() begins with.
    const even = (count: number, first: number, part: Partial<WireSocket>) =>
      many(count, 0, part).map((one, at) => ({ ...one, localPort: first + 2 * at }))
    const both = (part: Partial<WireSocket>, more: Partial<WireSocket> = part) => [
      { sockets: even(10, 40_060, { ...more, remote: [10, 0, 0, 8] }) },
      { sockets: even(30, 40_000, part) },
    ]
    play(both({ cgroupId: 6 }, { cgroupId: 7 }), player)
    const closed = play(both(timeWait), player)
    expect(tell(closed)).toBe('churn 30: 6.service 30')
    expect(tell(closed, 'tcp_bind')).toBe('churn 40: 6.service 30, 7.service 10')
  })

  test('is a leak of connect() where for minutes connections come and none goes', () => {
    const player = createPlayer()
    let state = play([], player)
    for (let count = 1; count <= 30; count++) {
      state = play([{ sockets: many(3 * count, 40_000) }], player)
    }
    expect(tell(state)).toBe('open_leak 90: 5.service 90')
    expect(tell(state, 'tcp_bind')).toBe('many_connections 90: 5.service 90')
  })

  test('counts the connections without a device for a destination with one', () => {
    const state = play([
      { sockets: many(10, 40_000, { device: 3 }) },
      { sockets: many(20, 40_010) },
    ])
    expect(poolOf(state, 'tcp_connect').heldPorts.established).toBe(30)
    expect(tell(state)).toBe('many_connections 30: 5.service 30')
  })

  test('changes only when another holds a tenth more', () => {
    const player = createPlayer()
    const mix = (open: number, halfClosed: number) =>
      tell(
        play(
          [
            { sockets: many(open, 40_000) },
            { sockets: many(halfClosed, 40_000 + open, { state: TCP.closeWait }) },
          ],
          player,
        ),
      ).split(' ')[0]
    expect(mix(50, 40)).toBe('many_connections')
    expect(mix(45, 53)).toBe('many_connections')
    expect(mix(40, 55)).toBe('close_wait')
    expect(mix(48, 50)).toBe('close_wait')
  })
})
