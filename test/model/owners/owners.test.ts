import { describe, expect, test } from 'vitest'
import type { NamespaceReading } from '../../../src/observation.ts'
import type { NamespaceState } from '../../../src/snapshot.ts'
import { plainSocket, type WireSocket } from '../../support/kernel/netlink-builder.ts'
import {
  createReading,
  plainSettings,
  replayDumps,
  type WireDump,
} from '../../support/kernel/readings.ts'
import { createPlayer, type PlayOptions, rowsOf } from './owners-play.ts'

const connection: WireSocket = { ...plainSocket, device: 0, cgroupId: 5 }
const timeWait: WireSocket = {
  ...connection,
  state: 6,
  timer: 3,
  expiresMs: 30_000,
  uid: 0,
  cgroupId: undefined,
}
const bound = { state: 7, remotePort: 0, remote: [0, 0, 0, 0] }
const listener = { state: 10, remotePort: 0, local: [0, 0, 0, 0], remote: [0, 0, 0, 0] }

const spread = (count: number, socket: WireSocket, first = 40000): WireSocket[] =>
  Array.from({ length: count }, (_, at) => ({ ...socket, localPort: first + at }))

const tcp = (sockets: readonly WireSocket[], explicit = false): WireDump => ({
  protocol: 'tcp',
  explicit,
  sockets,
})

const read = (dumps: readonly WireDump[], changes: Partial<NamespaceReading> = {}) => ({
  ...createReading(replayDumps(dumps)),
  ...changes,
})

function look(
  dumps: readonly WireDump[],
  changes: Partial<NamespaceReading> = {},
  options: PlayOptions = {},
): NamespaceState {
  return createPlayer(options).play(read(dumps, changes))
}

describe('step() counts each used port for one owner', () => {
  test('of connections, listeners, bound sockets and UDP by their own ids', () => {
    const state = look([
      tcp([
        ...spread(3, connection),
        ...spread(2, { ...connection, cgroupId: 6 }, 40003),
        { ...connection, ...listener, cgroupId: 7, localPort: 40005 },
      ]),
      tcp([{ ...connection, ...bound, cgroupId: 8, localPort: 40006 }], true),
      { protocol: 'udp', explicit: false, sockets: spread(4, { ...connection, cgroupId: 6 }) },
    ])
    expect(rowsOf(state)).toEqual([
      'tcp 5.service 3',
      'tcp 6.service 2',
      'tcp 7.service 1',
      'tcp 8.service 1',
      'udp 6.service 4',
    ])
    expect(state.owners?.[0]).toEqual({
      protocol: 'tcp',
      owner: '5.service',
      ownerKind: 'unit',
      usedPorts: 3,
    })
  })

  test('once, however many connections of it share the port', () => {
    const elsewhere = spread(3, { ...connection, remote: [192, 168, 1, 77] })
    expect(rowsOf(look([tcp([...spread(3, connection), ...elsewhere])]))).toEqual([
      'tcp 5.service 3',
    ])
  })

  test('not when it is reserved or outside the range', () => {
    const settings = { ...plainSettings, reserved: [{ first: 40000, last: 40001 }] }
    const others = spread(3, { ...connection, cgroupId: 6 }, 39999)
    const sockets = [...others, { ...connection, localPort: 40002 }]
    const udp: WireDump = { protocol: 'udp', explicit: false, sockets }
    expect(rowsOf(look([tcp(sockets), udp], { settings }))).toEqual([
      'tcp 5.service 1',
      'udp 5.service 1',
    ])
  })

  test('of those who share it, about evenly, and always the same one', () => {
    const settings = { ...plainSettings, range: { first: 40000, last: 40999 } }
    const sockets = [5, 6, 7, 8].flatMap((cgroupId) =>
      spread(1000, { ...connection, cgroupId, remote: [192, 168, 1, cgroupId] }),
    )
    const state = look([tcp(sockets)], { settings })
    for (const { usedPorts } of state.owners ?? []) {
      expect(usedPorts).toBeGreaterThan(200)
      expect(usedPorts).toBeLessThan(300)
    }
    expect(rowsOf(look([tcp(sockets.toReversed())], { settings }))).toEqual(rowsOf(state))
  })

  const holder = { ...connection, cgroupId: 7 }
  test.each([
    ['a listener', [tcp(spread(10, { ...holder, ...listener }))]],
    ['a bound socket', [tcp(spread(10, { ...holder, ...bound }), true)]],
    ['a connection that chose its port', [tcp(spread(10, holder), true)]],
  ])('of %s rather than of the connections beside it', (_what, dumps) => {
    const others = [20, 21, 22].flatMap((id) =>
      spread(10, { ...connection, cgroupId: id, remote: [192, 168, 1, id] }),
    )
    expect(rowsOf(look([...dumps, tcp(others)]))).toEqual(['tcp 7.service 10'])
  })

  test('the same one of two that one connection was listed with, in any order', () => {
    const twice = [connection, { ...connection, cgroupId: 6 }]
    expect(rowsOf(look([tcp(twice)]))).toEqual(rowsOf(look([tcp(twice.toReversed())])))
  })

  test('and leaves all that is said of destinations and pools as it was', () => {
    const settings = { ...plainSettings, tcpTwReuse: 1 }
    const old = spread(4, { ...timeWait, expiresMs: 1000 }, 40_010)
    const dumps = [tcp([...spread(5, connection), ...old])]
    const [told, plain] = [true, false].map((owners) =>
      createPlayer({ owners }).play(createReading(replayDumps(dumps), settings)),
    )
    expect(told?.destinations).toEqual(plain?.destinations)
    expect(told?.pools[0]).toMatchObject({ heldPorts: plain?.pools[0]?.heldPorts })
    expect(told?.protocols).toEqual(plain?.protocols)
  })

  test('of a name, whatever the number of ids that have it', () => {
    const nameOwner = (id: number) =>
      ({ owner: id < 7 ? 'web' : 'db', ownerKind: 'container' }) as const
    const sockets = [5, 6, 7].flatMap((id, at) =>
      spread(2, { ...connection, cgroupId: id }, 40000 + 2 * at),
    )
    const state = look([tcp(sockets)], {}, { nameOwner })
    expect(rowsOf(state)).toEqual(['tcp web 4', 'tcp db 2'])
  })

  test('but of two kinds with one name apart', () => {
    const nameOwner = (id: number) =>
      ({ owner: 'web', ownerKind: id === 5 ? 'container' : 'unit' }) as const
    const sockets = [connection, { ...connection, cgroupId: 6, localPort: 40009 }]
    const state = look([tcp(sockets)], {}, { nameOwner })
    expect(state.owners?.map(({ ownerKind }) => ownerKind)).toEqual(['container', 'unit'])
  })
})

describe('step() tells the unknown from the ownerless', () => {
  test.each([0, 1])('with cgroup id %s: the user of a live socket, TCP or UDP', (cgroupId) => {
    const nameOwner = (id: number, by: string) =>
      by === 'user' ? ({ owner: `uid ${id}`, ownerKind: 'user' } as const) : undefined
    const sockets = [0, 1000].map((uid) => ({
      ...{ ...connection, cgroupId, uid, localPort: 40_000 + uid / 100 },
    }))
    const dumps = [tcp(sockets), { protocol: 'udp', explicit: false, sockets } as const]
    const state = look(dumps, {}, { nameOwner })
    expect(rowsOf(state)).toEqual([
      ...['tcp uid 0 1', 'tcp uid 1000 1'],
      ...['udp uid 0 1', 'udp uid 1000 1'],
    ])
    expect(rowsOf(look([tcp(sockets.slice(1))]))).toEqual(['tcp *unknown 1'])
  })

  test('with an id that has no name: unknown, in one row', () => {
    const sockets = [900, 901, 1].map((cgroupId, at) => ({
      ...connection,
      cgroupId,
      localPort: 40000 + at,
    }))
    expect(rowsOf(look([tcp(sockets)]))).toEqual(['tcp *unknown 3'])
  })

  const request = { ...connection, state: 12, timer: 1, uid: 0, cgroupId: undefined }
  test.each<[string, WireSocket]>([
    ['TIME_WAIT', timeWait],
    ['an ownerless FIN_WAIT2', { ...timeWait, state: 5 }],
    ['a request', request],
  ])('%s: none, by cgroup and by user', (_what, socket) => {
    expect(rowsOf(look([tcp([socket])]))).toEqual(['tcp *none 1'])
    expect(rowsOf(look([tcp([socket])], { ownersBy: 'user' }))).toEqual(['tcp *none 1'])
  })

  test('uid 0 of a live socket: a user', () => {
    const nameOwner = (id: number, by: string) =>
      by === 'user' ? ({ owner: `uid ${id}`, ownerKind: 'user' } as const) : undefined
    const sockets = [
      { ...connection, uid: 0, cgroupId: undefined },
      { ...connection, uid: 1000, localPort: 40009 },
    ]
    const state = look([tcp(sockets)], { ownersBy: 'user' }, { nameOwner })
    expect(rowsOf(state)).toEqual(['tcp uid 0 1', 'tcp uid 1000 1'])
  })

  test('nothing at all where nothing tells, or nobody asked', () => {
    const nobody = { owners: undefined, listeners: [{ owner: 'unknown' }] }
    const service = { ...connection, ...listener, localPort: 40007 }
    const dumps = [tcp([connection]), tcp([service], true)]
    const asked = () => expect.unreachable()
    for (const state of [
      look(dumps, { ownersBy: undefined }, { asked }),
      look(dumps, {}, { owners: false, asked }),
    ]) {
      expect(state).toMatchObject(nobody)
      expect(Object.keys(state.truncated)).not.toContain('ephemeral_port_owner_used_ports')
    }
  })

  test('no rows of a protocol that was not read', () => {
    const sockets = spread(2, connection)
    const dumps = [tcp(sockets), { protocol: 'udp', explicit: false, sockets } as const]
    expect(rowsOf(look(dumps, { protocols: ['udp'] }))).toEqual(['udp 5.service 2'])
  })
})

describe('step() asks once a sample for every name it may need', () => {
  test('those of remembered sockets included', () => {
    const asked: unknown[] = []
    const player = createPlayer({ asked: (by, ids) => asked.push([by, ...ids.toSorted()]) })
    player.play(read([tcp([connection, { ...connection, cgroupId: 6, localPort: 40009 }])]))
    player.play(read([tcp([timeWait])]))
    player.play(read([]))
    expect(asked).toEqual([
      ['cgroup', 5, 6],
      ['cgroup', 5, 6],
      ['cgroup', 5, 6],
    ])
    player.wait(120)
    player.play(read([]))
    expect(asked[3]).toEqual(['cgroup'])
  })

  test('once only for users, where they are all that tells', () => {
    const asked: unknown[] = []
    const player = createPlayer({ asked: (by, ids) => asked.push([by, ...ids]) })
    player.play(read([tcp([{ ...connection, uid: 1000 }])], { ownersBy: 'user' }))
    expect(asked).toEqual([['user', 1000]])
  })
})

describe('step() names the owners of listeners', () => {
  const at = (port: number, cgroupId: number | undefined) => ({
    ...connection,
    ...listener,
    localPort: port,
    cgroupId,
  })

  test('or calls them unknown', () => {
    const state = look([tcp([at(40001, 5), at(40002, 1), at(40003, 900)], true)])
    expect(state.listeners.map(({ port, owner }) => `${port} ${owner}`)).toEqual([
      '40001 5.service',
      '40002 unknown',
      '40003 unknown',
    ])
  })

  test('of UDP too', () => {
    const sockets = [{ ...connection, ...bound }]
    const player = createPlayer()
    const dumps: WireDump[] = [{ protocol: 'udp', explicit: true, sockets }]
    // A minute, five seconds a sample.
    for (let samples = 0; samples < 12; samples++) player.play(read(dumps))
    const state = player.play(read(dumps))
    expect(state.listeners).toEqual([{ protocol: 'udp', port: 40001, owner: '5.service' }])
  })

  test('of several at one port the one that the port counts for', () => {
    const ids = [5, 6, 7, 8, 9, 10, 11]
    const sockets = ids.map((id, last) => ({ ...at(40001, id), local: [127, 0, 0, last] }))
    const [only] = look([tcp(sockets, true)]).listeners
    expect(rowsOf(look([tcp(sockets, true)]))).toEqual([`tcp ${only?.owner} 1`])
    expect(look([tcp(sockets.toReversed(), true)]).listeners).toEqual([only])
  })

  test('and counts for them what they accepted, when they are gone and only TIME_WAIT is left', () => {
    const player = createPlayer()
    const accepted = { ...connection, remote: [192, 168, 1, 77], remotePort: 55555 }
    player.play(read([tcp([at(40001, 5), accepted])]))
    const left = { ...timeWait, remote: [192, 168, 1, 77], remotePort: 55555 }
    expect(rowsOf(player.play(read([tcp([left])])))).toEqual(['tcp 5.service 1'])
    player.play(read([]))
    expect(rowsOf(player.play(read([tcp([left])])))).toContain('tcp *none 1')
  })

  test('also of several, in whatever order they were listed', () => {
    const remote = { remote: [192, 168, 1, 77], remotePort: 55555 }
    const listeners = [5, 6, 7, 8].map((id) => at(40001, id))
    for (const order of [listeners, listeners.toReversed()]) {
      const player = createPlayer()
      const rows = rowsOf(player.play(read([tcp([...order, { ...connection, ...remote }])])))
      expect(rowsOf(player.play(read([tcp([{ ...timeWait, ...remote }])])))).toEqual(rows)
    }
  })
})
