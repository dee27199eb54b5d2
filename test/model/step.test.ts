import { describe, expect, test } from 'vitest'
import { createStep, type ModelOptions, type ModelState } from '../../src/model/step.ts'
import { type NamespaceReading, SourceError } from '../../src/observation.ts'
import type { NamespaceState } from '../../src/snapshot.ts'
import { plainSocket, type WireSocket } from '../support/kernel/netlink-builder.ts'
import {
  createReading,
  plainStepOptions,
  replayDumps,
  type WireDump,
} from '../support/kernel/readings.ts'
import { createSampling } from '../support/kernel/sampling.ts'

const options: ModelOptions = { ...plainStepOptions, owners: true }
const clock = { atSeconds: 1000, unixSeconds: 1_700_000_000 }
const connection: WireSocket = { ...plainSocket, device: 0 }

const spread = (count: number, socket: WireSocket): WireSocket[] =>
  Array.from({ length: count }, (_, at) => ({ ...socket, localPort: 40000 + at }))

const tcp = (sockets: readonly WireSocket[], explicit = false): WireDump => ({
  protocol: 'tcp',
  explicit,
  sockets,
})

function look(
  dumps: readonly WireDump[],
  reading: Partial<NamespaceReading> = {},
  changes: Partial<ModelOptions> = {},
): NamespaceState {
  const step = createStep({ ...options, ...changes })
  return step(undefined, { ...createReading(replayDumps(dumps)), ...reading }, clock).namespace
}

const pool = (state: NamespaceState | undefined, name: string) =>
  state?.pools.find((candidate) => candidate.pool === name)

describe('step() publishes nothing for what is not known', () => {
  const bound = { ...connection, state: 7, remotePort: 0, remote: [0, 0, 0, 0] }
  const dumps: WireDump[] = [
    tcp(spread(2, bound), true),
    { protocol: 'udp', explicit: true, sockets: spread(3, bound) },
  ]

  test('about bound TCP sockets', () => {
    const known = look(dumps)
    expect(known.blockedPorts).toEqual({ listener: 0, bound: 2 })
    expect(known.protocols[0]?.sockets).toMatchObject({ bound: 2, established: 0 })
    expect(known.pools.map(({ unusedPorts }) => unusedPorts)).toEqual([18, 18, 17])

    const unknown = look(dumps, { tcpBoundKnown: false })
    expect(unknown.blockedPorts).toEqual({ listener: 0, bound: undefined })
    expect(unknown.protocols[0]?.sockets).not.toHaveProperty('bound')
    expect(unknown.protocols[0]?.sockets).toHaveProperty('established', 0)
    // Every UDP socket that holds a port is in sight.
    expect(unknown.pools.map(({ unusedPorts }) => unusedPorts)).toEqual([undefined, undefined, 17])
  })

  test('about what another reader, or a right, would tell', () => {
    expect(look([])).toMatchObject({ readerIsExact: true, entered: true })
    const outside = { readerIsExact: false, canProbe: false }
    expect(look([], outside)).toMatchObject({ readerIsExact: false, entered: false })
  })

  test('about UDP listeners', () => {
    const listeners = (reading: Partial<NamespaceReading> = {}) => {
      const step = createStep(options)
      let state: ModelState | undefined
      return [0, 59, 60].map((atSeconds) => {
        const taken = { ...createReading(replayDumps(dumps)), ...reading }
        const now = step(state, taken, { ...clock, atSeconds })
        state = now.state
        return now.namespace.protocols.map((use) => use.listeners)
      })
    }
    expect(listeners()).toEqual([
      [0, undefined],
      [0, undefined],
      [0, 3],
    ])
    expect(listeners({ udpListenersKnown: false }).at(-1)).toEqual([0, undefined])
  })

  test('about the end of TIME_WAIT', () => {
    const timeWait = { ...connection, state: 6, timer: 3, expiresMs: 3000 }
    const known = look([tcp(spread(2, timeWait))])
    expect(known.timeWaitRelease.map(({ ports }) => ports)).toEqual([0, 2, 2, 2, 2])
    // A single socket of unknown end makes every sum wrong.
    const other = { ...timeWait, timer: 0, localPort: 40009 }
    expect(look([tcp([...spread(2, timeWait), other])]).timeWaitRelease).toEqual([])
  })

  test('about protocols that were not read', () => {
    const state = look([tcp(spread(2, connection))], { protocols: ['tcp'] })
    expect(state.protocols.map(({ protocol }) => protocol)).toEqual(['tcp'])
    expect(state.pools.map((one) => one.pool)).toEqual(['tcp_connect', 'tcp_bind'])
    expect(look([], { protocols: ['udp'] }).pools.map((one) => one.pool)).toEqual(['udp'])
  })
})

describe('step() where sockets that are only bound are not seen', () => {
  const reading = { tcpBoundKnown: false, exactness: 'upper_bound' } as const
  const take = (
    part: Partial<NamespaceReading>,
    context: Partial<Parameters<ReturnType<typeof createStep>>[2]>,
    count = 4,
  ) => {
    const batches = replayDumps([tcp(spread(count, connection))])
    const taken = createStep(options)(
      undefined,
      { ...createReading(batches), ...part },
      { ...clock, nameOwners: () => () => ({ owner: 'a', ownerKind: 'unit' }), ...context },
    )
    return { ...taken, ports: taken.namespace.pools.map((one) => one.availablePorts) }
  }
  const test20 = (closed: (port: number) => boolean) => () =>
    new Map(
      spread(20, connection).map(({ localPort = 0 }) => [
        localPort,
        { closed: closed(localPort), testedAtSeconds: clock.atSeconds },
      ]),
    )

  test('leaves no port that looks unused where bind() to port 0 is refused', () => {
    const { ports, namespace } = take(reading, { bindRefused: true })
    expect(ports).toEqual([0, 0, 20])
    const connect = pool(namespace, 'tcp_connect')
    expect(connect?.heldPorts).toMatchObject({ bound: 16, established: 4 })
    expect(connect).toMatchObject({ utilizationRatio: 1, riskRatio: 1, etaSeconds: 0 })
    expect(pool(namespace, 'tcp_bind')?.cause).toMatchObject({ cause: 'bound_idle', ports: 16 })
    const owned = namespace.owners?.filter(({ protocol }) => protocol === 'tcp')
    expect(owned).toMatchObject([
      { owner: 'a', usedPorts: 4 },
      { ownerKind: 'none', usedPorts: 16 },
    ])
    expect(namespace.protocols[0]).toMatchObject({ protocol: 'tcp', usedPorts: 20 })
  })

  test('takes a refusal for what came in between where they are', () => {
    expect(take({}, { bindRefused: true }).ports).toEqual([16, 16, 20])
  })

  test('closes ports that look unused by what tests say of them', () => {
    const tested = take(reading, { testPorts: test20((port) => port >= 40_010) })
    expect(tested.ports).toEqual([6, 6, 20])
    expect(tested.ambiguousPorts).toHaveLength(20)
    expect(tested.unseenPorts).toEqual(spread(16, connection).map((_, at) => 40_004 + at))
    expect(pool(tested.namespace, 'tcp_connect')?.heldPorts).toMatchObject({ bound: 10, hidden: 0 })
    expect(tested.namespace.exactness).toBe('upper_bound')
    const hidden = take(reading, { testPorts: test20((port) => port < 40_002) })
    expect(pool(hidden.namespace, 'tcp_connect')?.heldPorts).toMatchObject({ bound: 0, hidden: 2 })
  })

  test('asks for no test of unused ports where it sees all', () => {
    const { unseenPorts, ambiguousPorts } = take({}, { testPorts: test20(() => false) })
    expect([unseenPorts, ambiguousPorts?.length]).toEqual([[], 4])
  })

  test('tells a risk that warns, and no other', () => {
    const step = createStep(options)
    const risksOf = (part: Partial<NamespaceReading>) => {
      let state: ModelState | undefined
      return Array.from({ length: 80 }, (_, at) => {
        const batches = replayDumps([tcp(spread(at < 79 ? 4 : 20, connection))])
        const taken = { ...createReading(batches), ...part }
        const now = step(state, taken, { ...clock, atSeconds: 1000 + 5 * at })
        state = now.state
        return now.namespace.pools.map((one) => one.riskRatio)
      })
    }
    const seen = risksOf({})
    expect([seen[78], seen[79]]).toEqual([
      [0, 0, 0],
      [1, 1, 0],
    ])
    const unseen = risksOf(reading)
    expect([unseen[78], unseen[79]]).toEqual([
      [undefined, undefined, 0],
      [1, 1, 0],
    ])
  })
})

describe('step() says what a cap hid', () => {
  const listener = { ...connection, state: 10, remotePort: 0, local: [0, 0, 0, 0] }
  const family = 'ephemeral_port_listener_info'

  test('of listeners', () => {
    // The same port on a second address, and one outside the range, are no further rows.
    const sockets = [
      ...spread(5, listener),
      { ...listener, local: [127, 0, 0, 1], localPort: 40004 },
      { ...listener, localPort: 39000 },
    ]
    const capped = look([tcp(sockets, true)], {}, { top: 2 })
    expect(capped.listeners.map(({ port }) => port)).toEqual([40000, 40001])
    expect(capped.truncated[family]).toBe(3)
    expect(capped.protocols[0]?.listeners).toBe(5)
    expect(look([tcp(sockets, true)]).truncated[family]).toBe(0)
    // Nobody relies on a port that the kernel chose.
    expect(look([tcp(sockets)]).protocols[0]?.listeners).toBe(0)
  })

  test('but not of a collector that is off', () => {
    const off = { destinations: false, listeners: false, top: 1 }
    const state = look([tcp([...spread(3, listener), connection], true)], {}, off)
    expect(state).toMatchObject({ destinations: undefined, listeners: [], truncated: {} })
    expect(Object.keys(state.truncated)).toEqual([])
  })
})

describe('step() knows that an empty pool fails at once', () => {
  const exhausted = { availablePorts: 0, utilizationRatio: 1, riskRatio: 1, etaSeconds: 0 }

  test('when one destination has taken all', () => {
    const state = look([tcp(spread(20, connection))])
    expect(pool(state, 'tcp_connect')).toMatchObject(exhausted)
    expect(pool(state, 'tcp_bind')).toMatchObject(exhausted)
    expect(pool(state, 'udp')?.riskRatio).toBeUndefined()
  })

  test('when bound ports alone have, and nobody connects anywhere', () => {
    const bound = { ...connection, state: 7, remotePort: 0, remote: [0, 0, 0, 0] }
    const state = look([tcp(spread(20, bound), true)])
    expect(state.destinations).toEqual({ count: 0, rows: [], other: undefined })
    expect(pool(state, 'tcp_connect')).toMatchObject({ ...exhausted, worstDestination: undefined })
  })

  test('when every port is reserved', () => {
    const settings = { ...createReading([]).settings, reserved: [{ first: 1, last: 65535 }] }
    for (const one of look([], { settings }).pools) expect(one).toMatchObject(exhausted)
  })

  test('but not when one port is left', () => {
    const state = look([tcp(spread(19, connection))])
    expect(pool(state, 'tcp_connect')).toMatchObject({ availablePorts: 1, riskRatio: undefined })
  })
})

describe('step() carries on after a failed read', () => {
  function* failHalfway(): NamespaceReading['batches'] {
    yield* replayDumps([tcp(spread(20, { ...connection, remote: [192, 168, 1, 77] }))])
    throw new SourceError('timeout', 'Cannot read')
  }

  test.each([
    ['refused', () => Promise.reject(new SourceError('permission', 'Cannot read'))],
    ['given up half-way', () => createReading(failHalfway())],
  ])('%s, with the peaks and the rows of before and nothing of the failure', async (_how, fail) => {
    const answers = [
      () => createReading(replayDumps([tcp(spread(15, connection))])),
      fail,
      () => createReading(replayDumps([])),
    ]
    let turn = 0
    const takeSample = createSampling(
      {
        reader: 'netlink',
        synchronous: false,
        entersNamespaces: false,
        traits: {},
        read: async () => answers[turn++]?.() ?? Promise.reject(new Error('the script is over')),
      },
      createStep(options),
      {
        unixSeconds: () => clock.unixSeconds,
        monotonicSeconds: () => 5 * turn,
        cpuSeconds: () => 0,
      },
    )
    const peaks: unknown[] = []
    let state: NamespaceState | undefined
    for (let sample = 0; sample < 3; sample++) {
      state = (await takeSample()).namespaces[0]?.state
      peaks.push(pool(state, 'tcp_connect')?.utilizationPeakRatio)
    }
    expect(peaks).toEqual([0.75, undefined, 0.75])
    expect(pool(state, 'tcp_connect')?.utilizationRatio).toBe(0)
    expect(state?.destinations).toMatchObject({
      count: 0,
      rows: [{ destination: '192.168.1.9:443', usedPorts: 0 }],
    })
  })

  test('and forgets a peak when the window has passed', () => {
    const step = createStep(options)
    const read = (sockets: readonly WireSocket[]) => createReading(replayDumps([tcp(sockets)]))
    const { state } = step(undefined, read(spread(15, connection)), clock)
    const peakAfter = (seconds: number) =>
      pool(step(state, read([]), { ...clock, atSeconds: 1000 + seconds }).namespace, 'tcp_connect')
        ?.utilizationPeakRatio
    expect([peakAfter(59), peakAfter(60)]).toEqual([0.75, 0])
  })
})
