import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createStep, type ModelOptions } from '../../src/model/step.ts'
import type { NetSettings } from '../../src/observation.ts'
import type { NamespaceState } from '../../src/snapshot.ts'
import { wireSocket } from '../support/kernel/arbitrary-sockets.ts'
import type { WireSocket } from '../support/kernel/netlink-builder.ts'
import {
  createReading,
  plainSettings,
  replayDumps,
  type WireDump,
} from '../support/kernel/readings.ts'
import {
  bindsLeft,
  candidates,
  connectsLeft,
  toReference,
} from '../support/kernel/reference-model.ts'

const options: ModelOptions = {
  top: 1000,
  peakWindowSeconds: 120,
  forecastHorizonSeconds: 900,
  destinations: true,
  listeners: true,
  owners: true,
}
const clock = { atSeconds: 1000, unixSeconds: 1_700_000_000 }

function model(dumps: readonly WireDump[], settings: NetSettings, perDatagram = 7): NamespaceState {
  const reading = createReading(replayDumps(dumps, perDatagram), settings)
  const step = createStep(options)
  // What began before anybody looked is another story.
  const { state } = step(undefined, { ...reading, batches: [] }, clock)
  return step(state, reading, clock).namespace
}

const pool = (state: NamespaceState, name: string) => state.pools.find((p) => p.pool === name)

const settings: fc.Arbitrary<NetSettings> = fc.record({
  range: fc.constantFrom(
    { first: 40000, last: 40019 },
    { first: 40001, last: 40011 },
    { first: 40000, last: 40002 },
    { first: 40005, last: 40005 },
  ),
  reserved: fc.constantFrom([], [{ first: 40003, last: 40004 }], [{ first: 1, last: 40000 }]),
  reservedText: fc.constant(''),
  ipv6: fc.boolean(),
  tcpTwReuse: fc.constantFrom(0, 1, 2),
  tcpTwReuseDelayMs: fc.constantFrom(1, 1000, 25000),
  tcpTwReuseDelayKnown: fc.constant(true),
  tcpTimestamps: fc.constantFrom(0, 1),
  tcpMaxTwBuckets: fc.constant(65536),
})

/** Of rows the kernel would never show together (two for one tuple) only the first is kept. */
const sockets = fc
  .array(fc.tuple(wireSocket, fc.boolean()), { maxLength: 60 })
  .map((draws) => {
    const tuples = new Map<string, (typeof draws)[number]>()
    for (const draw of draws) {
      const { localPort, remotePort, device } = draw[0]
      const reference = toReference(draw[0], draw[1])
      const tuple = [localPort, remotePort, device, reference.source, reference.destination].join()
      if (!tuples.has(tuple)) tuples.set(tuple, draw)
    }
    return [...tuples.values()]
  })
  // Minisocks and requests never carry the mark of an explicit port.
  .map((draws) =>
    draws.map(([socket, explicit]): [WireSocket, boolean] => [
      socket,
      explicit && socket.timer !== 3 && socket.state !== 12 && socket.state !== 3,
    ]),
  )

function dumpsOf(draws: readonly (readonly [WireSocket, boolean])[]): WireDump[] {
  const tcp = (explicit: boolean) =>
    draws.filter(([, chosen]) => chosen === explicit).map(([socket]) => socket)
  return [
    { protocol: 'tcp', explicit: true, sockets: tcp(true) },
    { protocol: 'tcp', explicit: false, sockets: tcp(false) },
  ]
}

describe('the model agrees with the port model written out naively', () => {
  test('for every destination, connect() and bind(0)', () => {
    fc.assert(
      fc.property(sockets, settings, (draws, net) => {
        const state = model(dumpsOf(draws), net)
        const reference = draws.map(([socket, explicit]) => toReference(socket, explicit))
        const capacity = candidates(net, true).length

        const wildcards = net.ipv6 ? (['0.0.0.0', '::'] as const) : (['0.0.0.0'] as const)
        const binds = wildcards.map((wildcard) =>
          bindsLeft(reference, net, { wildcard, tcp: true }),
        )
        expect(pool(state, 'tcp_bind')).toMatchObject({
          capacityPorts: capacity,
          availablePorts: Math.min(...binds),
          unusedPorts: bindsLeft(reference, net, { wildcard: '::', tcp: true }),
        })

        let fewest = connectsLeft(reference, net, {
          source: 'nobody',
          destination: 'nowhere',
          remotePort: 0,
          device: 0,
        })
        for (const row of state.destinations?.rows ?? []) {
          const [source = '', device = '0'] = row.source.split('%')
          const [, address = '', port] = /^(.*):(\d+)$/.exec(row.destination) ?? []
          const left = connectsLeft(reference, net, {
            source,
            destination: address.replace(/[[\]]/g, ''),
            remotePort: Number(port),
            device: Number(device),
          })
          const want = capacity === 0 ? 1 : (capacity - left) / capacity
          expect([row, row.utilizationRatio]).toEqual([row, want])
        }
        // Of the small ones, which have no row, the worst counts all the same.
        for (const socket of reference.filter(({ remotePort }) => remotePort > 0)) {
          fewest = Math.min(fewest, connectsLeft(reference, net, socket))
        }
        expect(pool(state, 'tcp_connect')).toMatchObject({
          capacityPorts: capacity,
          availablePorts: fewest,
        })
      }),
      { numRuns: 400 },
    )
  })

  test('for UDP', () => {
    fc.assert(
      fc.property(fc.array(wireSocket, { maxLength: 40 }), settings, (draws, net) => {
        const state = model([{ protocol: 'udp', explicit: false, sockets: draws }], net)
        const reference = draws.map((socket) => toReference(socket, false))
        const wildcards = net.ipv6 ? (['0.0.0.0', '::'] as const) : (['0.0.0.0'] as const)
        const binds = wildcards.map((wildcard) =>
          bindsLeft(reference, net, { wildcard, tcp: false }),
        )
        expect(pool(state, 'udp')).toMatchObject({
          capacityPorts: candidates(net, false).length,
          availablePorts: Math.min(...binds),
        })
      }),
    )
  })

  test('whatever the order of sockets and the cut into datagrams', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(wireSocket, fc.boolean()), { maxLength: 40 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer(),
        (draws, perDatagram, seed) => {
          const shuffled = fc.sample(
            fc.shuffledSubarray(draws, { minLength: draws.length, maxLength: draws.length }),
            { numRuns: 1, seed },
          )[0]
          const [left, right] = [dumpsOf(draws), dumpsOf(shuffled ?? [])]
          expect(model(right, plainSettings, perDatagram)).toEqual(model(left, plainSettings))
        },
      ),
    )
  })

  test('and more sockets never leave more ports', () => {
    fc.assert(
      fc.property(sockets, wireSocket, (draws, extra) => {
        const before = model(dumpsOf(draws), plainSettings)
        const after = model(dumpsOf([...draws, [extra, false]]), plainSettings)
        for (const name of ['tcp_connect', 'tcp_bind', 'udp']) {
          const [less, more] = [pool(before, name), pool(after, name)]
          expect(more?.availablePorts).toBeLessThanOrEqual(less?.availablePorts ?? -1)
          expect(more?.availablePorts).toBeGreaterThanOrEqual(0)
        }
      }),
    )
  })
})
