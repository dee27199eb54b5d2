// Connections that bind() holds although they look like any others: what the page says of them, and then what the kernel
// really grants.

import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { type Netns, withNetns } from '../support/netns/actor.ts'
import { lookAtConnect, readFreshPage } from '../support/netns/actor-page.ts'
import type { OpenRequest } from '../support/netns/actor-sockets.ts'
import { whyNotExact } from '../support/netns/live.ts'

const FIRST = 40_000
const PORTS = 100
/** Without the right to read bind buckets. */
const READER_FLAGS = ['--sample.cpu-budget=1', '--no-collector.buckets']
const FLAGS = ['--sample.interval=100ms', ...READER_FLAGS]
const server = { address: '127.0.0.1', port: 8001 }
const other = { address: '127.0.0.1', port: 8002 }
/** Outside the range, so that these ends of the connections cost nothing. */
const OUTSIDE = 20_000
const skipReason = whyNotExact()

interface Scene {
  readonly netns: Netns
  readonly open: (request: OpenRequest) => Promise<readonly number[]>
  /** What the page promises for the worst destination, by which much it may be wrong, and what it calls itself. */
  readonly look: () => ReturnType<typeof lookAtConnect>
  /** Connects to a destination until the kernel refuses. */
  readonly fill: (to: typeof server) => Promise<number>
}

function withScene(use: (scene: Scene) => Promise<void>): Promise<void> {
  return withNetns(async (netns) => {
    await netns.call('setSysctls', {
      'net.ipv4.ip_local_port_range': `${FIRST} ${FIRST + PORTS - 1}`,
      'net.ipv4.tcp_tw_reuse': 0,
    })
    for (const bind of [server, other]) await netns.call('open', { bind, listen: 65_535 })
    await netns.call('startExporter', { flags: FLAGS })
    await use({
      netns,
      open: async (request) => {
        const { sockets, refusal } = await netns.call('open', request)
        if (sockets.length !== (request.count ?? 1)) throw new Error(`Cannot open: ${refusal}`)
        return sockets
      },
      look: () => lookAtConnect(netns),
      fill: async (to) => {
        const { count, refusal } = await netns.call('fill', { connect: to })
        expect(refusal).toBe('EADDRNOTAVAIL')
        return count
      },
    })
  })
}

/** Listeners on the first ports of the range, and a client of each where asked for. */
async function listen({ netns, open }: Scene, count: number, clients: boolean) {
  const listeners: number[] = []
  const accepted: number[] = []
  for (let at = 0; at < count; at++) {
    const bind = { address: '127.0.0.1', port: FIRST + at }
    const [listener = -1] = await open({ bind, listen: 5 })
    listeners.push(listener)
    if (!clients) continue
    const from = { address: '127.0.0.8', port: OUTSIDE + at }
    await open({ bind: from, connect: bind })
    accepted.push(...(await netns.call('accept', { listener, peers: [from] })))
  }
  return { listeners, accepted }
}

test('ports of listeners that have gone are taken by connect() at once', async (context) => {
  if (skipReason !== undefined) return context.skip(skipReason)
  await withScene(async (scene) => {
    const { netns, open, look, fill } = scene
    const { listeners } = await listen(scene, 20, false)
    expect(await look()).toEqual({ available: 80, uncertain: 0, exactness: 'exact' })
    await netns.call('close', { sockets: listeners })
    await open({ connect: server, count: 100 })
    expect(await look()).toMatchObject({ available: 0, uncertain: 0 })
    expect(await fill(server)).toBe(0)
    await delay(1000)
    expect(await look()).toMatchObject({ available: 0, uncertain: 0 })
  })
})

test('clients of listeners that have gone keep their ports closed until they go too', async (context) => {
  if (skipReason !== undefined) return context.skip(skipReason)
  await withScene(async (scene) => {
    const { netns, look, fill } = scene
    const { listeners, accepted } = await listen(scene, 20, true)
    expect(await look()).toMatchObject({ available: 80, exactness: 'exact' })
    await netns.call('close', { sockets: listeners })
    expect(await look()).toEqual({ available: 80, uncertain: 0, exactness: 'exact' })
    expect(await fill(server)).toBe(80)
    // The server closes first: its TIME_WAIT keeps the port closed; of the others nothing is left.
    await netns.call('close', { sockets: accepted.slice(0, 5) })
    await netns.call('close', { sockets: accepted.slice(5), how: 'rst' })
    expect(await look()).toEqual({ available: 95, uncertain: 0, exactness: 'exact' })
    expect(await fill(server)).toBe(95)
  })
})

test('a TIME_WAIT of a port that the application chose stays closed', async (context) => {
  if (skipReason !== undefined) return context.skip(skipReason)
  await withScene(async ({ netns, open, look, fill }) => {
    const clients: number[] = []
    for (let at = 0; at < 10; at++) {
      const bind = { address: '127.0.0.1', port: FIRST + 3 * at }
      clients.push(...(await open({ bind, connect: server })))
    }
    expect(await look()).toEqual({ available: 90, uncertain: 0, exactness: 'exact' })
    await netns.call('close', { sockets: clients })
    // The other side has not closed, so this is FIN_WAIT2 without owner.
    expect(await look()).toEqual({ available: 90, uncertain: 0, exactness: 'exact' })
    expect(await fill(other)).toBe(90)
  })
})

test('bind() before connect() over many destinations is never less in doubt than it closes', async (context) => {
  if (skipReason !== undefined) return context.skip(skipReason)
  await withScene(async ({ netns, open, look, fill }) => {
    for (let to = 1; to <= 10; to++) {
      const connect = { address: `127.0.1.${to}`, port: 8001 }
      await netns.call('open', { bind: connect, listen: 100 })
      await open({ bind: { address: '127.0.0.1', port: 0 }, connect, count: 10 })
      const { available, uncertain, exactness } = await look()
      expect(exactness).toBe('inferred')
      const truth = await fill({ address: `127.0.1.${to}`, port: 8001 })
      expect(truth).toBeLessThanOrEqual(available)
      expect(truth).toBeGreaterThanOrEqual(available - uncertain)
    }
    expect(await fill(server)).toBe(0)
    const { available, uncertain } = await look()
    expect(available - uncertain).toBe(0)
  })
})

test('clients that do not bind are told by the parity of their ports', async (context) => {
  if (skipReason !== undefined) return context.skip(skipReason)
  await withScene(async ({ open, look, fill }) => {
    await open({ connect: server, count: 40 })
    await open({ connect: other, count: 20 })
    expect(await look()).toEqual({ available: 60, uncertain: 0, exactness: 'inferred' })
    await open({ bind: { address: '127.0.0.1', port: 0 }, connect: other, count: 30 })
    // The other has more ports now; should what is in doubt be closed, fewest are left to the first.
    const { available, uncertain } = await look()
    expect(available).toBe(50)
    const truth = await fill(server)
    expect(truth).toBe(30)
    expect(available - uncertain).toBeLessThanOrEqual(truth)
    // Of the ports of the other that are not of bind()'s parity at most ten are not the first one's.
    expect(available - uncertain).toBeGreaterThanOrEqual(truth - 10)
  })
})

test('connections that close in the order in which they were opened close no port to others', async (context) => {
  if (skipReason !== undefined) return context.skip(skipReason)
  await withScene(async ({ netns, open, look, fill }) => {
    const sockets = await open({ connect: server, count: 90 })
    for (const gone of [30, 50, 60]) {
      await netns.call('close', { sockets: sockets.slice(gone - 10, gone), how: 'rst' })
      const { available, uncertain } = await look()
      expect(await fill(other)).toBe(100)
      expect(uncertain).toBe(0)
      expect(available).toBe(await fill(server))
    }
  })
})

/** The page of two destinations that are used by clients of whom one binds first, and then the kernel's word. */
async function expectDoubt({ look, fill }: Scene) {
  const { available, uncertain } = await look()
  const truth = Math.min(await fill(server), await fill(other))
  expect(truth).toBeLessThan(available)
  expect(truth).toBeGreaterThanOrEqual(available - uncertain)
}

const bindFirst = { bind: { address: '127.0.0.1', port: 0 }, connect: server }
const RANGE = 'net.ipv4.ip_local_port_range'
const RESERVED = 'net.ipv4.ip_local_reserved_ports'
const odd = Array.from({ length: PORTS / 2 }, (_, at) => FIRST + 2 * at + 1)
const changes = [
  ['the range moves by one port', { [RANGE]: '40001 40100' }, { [RANGE]: '40000 40099' }],
  ['reserved ports are given back', { [RESERVED]: odd.join() }, { [RESERVED]: '' }],
] as const

test.for(changes)(
  '%s: what bind() took before stays in doubt',
  async ([, before, after], context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    await withScene(async (scene) => {
      const { netns, open, look } = scene
      await netns.call('setSysctls', before)
      await open({ ...bindFirst, count: 25 })
      await look()
      await netns.call('setSysctls', after)
      await open({ connect: other, count: 20 })
      await expectDoubt(scene)
      await expectDoubt(scene)
    })
  },
)

test('a rush of bind() before connect() whose oldest connections have gone stays in doubt', async (context) => {
  if (skipReason !== undefined) return context.skip(skipReason)
  await withScene(async (scene) => {
    const { netns, open, look } = scene
    const rush = await open({ ...bindFirst, count: 80 })
    await look()
    await netns.call('close', { sockets: rush.slice(0, 50), how: 'rst' })
    await open({ connect: other, count: 20 })
    await expectDoubt(scene)
    // What bind() takes now has the other parity again, and what connect() takes is told from it.
    await netns.call('close', { sockets: rush.slice(50), how: 'rst' })
    expect(await look()).toMatchObject({ available: 80, uncertain: 0 })
  })
})

test('with --collector.probe bind() before connect() is known to the port', async (context) => {
  if (skipReason !== undefined) return context.skip(skipReason)
  await withNetns(async (netns) => {
    await netns.call('setSysctls', { 'net.ipv4.ip_local_port_range': '40000 40099' })
    await netns.call('startExporter', { flags: [...FLAGS, '--collector.probe'] })
    for (let to = 1; to <= 10; to++) {
      const connect = { address: `127.0.1.${to}`, port: 8001 }
      await netns.call('open', { bind: connect, listen: 100 })
      await netns.call('open', { bind: { address: '127.0.0.1', port: 0 }, connect, count: 10 })
    }
    // One sample sees that much could be hidden, the next tests the ports, and one more knows the answers.
    for (let samples = 0; samples < 3; samples++) await readFreshPage(netns)
    expect(await lookAtConnect(netns)).toEqual({
      ...{ available: 0, uncertain: 0, exactness: 'exact' },
    })
  })
})

test('with --collector.probe what was found of a port is not believed of connections that came since', async (context) => {
  if (skipReason !== undefined) return context.skip(skipReason)
  await withNetns(async (netns) => {
    await netns.call('setSysctls', { [RANGE]: '40000 40099' })
    const others = Array.from({ length: 10 }, (_, at) => ({ ...server, address: `127.0.1.${at}` }))
    for (const bind of [server, ...others]) await netns.call('open', { bind, listen: 100 })
    // So long that all of the change falls between two samples.
    const flags = ['--sample.interval=2s', ...READER_FLAGS, '--collector.probe']
    await netns.call('startExporter', { flags: [...flags, '--detail.min-utilization=0'] })
    const { sockets } = await netns.call('open', { connect: server, count: 60 })
    for (let samples = 0; samples < 2; samples++) await readFreshPage(netns)
    const known = { available: 40, uncertain: 0, exactness: 'exact' }
    expect(await lookAtConnect(netns)).toEqual(known)
    await netns.call('close', { sockets, how: 'rst' })
    for (const connect of others) await netns.call('open', { ...bindFirst, connect, count: 10 })
    const { available, uncertain, exactness } = await lookAtConnect(netns)
    const { count } = await netns.call('fill', { connect: server })
    expect(count).toBe(0)
    expect(available - uncertain).toBe(0)
    expect(available > 0 && exactness === 'exact').toBe(false)
  })
})
