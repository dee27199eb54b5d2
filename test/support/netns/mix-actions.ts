// The things a mix is made of: each action opens some sockets of one kind and says how many it got. A refusal is part of
// life in a full range, so it only makes the number smaller; what cannot be explained by one is an error.

import type { Endpoint } from '../kernel/libc.ts'
import type { Random } from '../program/random.ts'
import type { Netns } from './actor.ts'
import type { OpenRequest } from './actor-sockets.ts'
import { VETH } from './netns.ts'

export interface Destination {
  readonly to: Endpoint
  /** The source address that routing chooses. */
  readonly from: string
}

const loopback: Destination = { to: { address: '127.0.0.1', port: 8001 }, from: '127.0.0.1' }
/** What the sockets of a mix talk to; the fifth shares the tuples of the first, being v4-mapped. */
export const destinations: readonly Destination[] = [
  loopback,
  { to: { address: '127.0.0.1', port: 8002 }, from: '127.0.0.1' },
  { to: { address: '127.0.0.5', port: 8001 }, from: '127.0.0.1' },
  { to: { address: '10.9.0.1', port: 8001 }, from: '10.9.0.1' },
  { to: { address: '::ffff:127.0.0.1', port: 8001 }, from: '127.0.0.1' },
  { to: { address: '::1', port: 8001 }, from: '::1' },
  { to: { address: 'fd00::1', port: 8001 }, from: 'fd00::1' },
]
/** Where no SYN is ever answered. */
export const blackHole: Destination = { to: { address: '10.9.0.200', port: 80 }, from: '10.9.0.1' }
export const OTHER_SOURCE = '127.0.0.9'

export interface Scene {
  readonly netns: Netns
  readonly random: Random
  readonly range: { readonly first: number; readonly last: number }
  /** How many times more sockets than usual. */
  readonly scale: number
  /** The listener behind each destination, by its address and port. */
  readonly listeners: ReadonlyMap<string, number>
}

export async function openListeners(netns: Netns): Promise<ReadonlyMap<string, number>> {
  const listeners = new Map<string, number>()
  for (const { to } of destinations) {
    const key = listenerKey(to)
    if (listeners.has(key)) continue
    const { sockets, refusal } = await netns.call('open', { bind: to, listen: 65_535 })
    const [socket] = sockets
    if (socket === undefined) throw new Error(`Cannot listen on ${key}: ${refusal}`)
    listeners.set(key, socket)
  }
  return listeners
}

function listenerKey({ address, port }: Endpoint): string {
  return `${address.replace('::ffff:', '')} ${port}`
}

type Action = (scene: Scene) => Promise<number>

export const actions: Readonly<Record<string, Action>> = {
  connect: async (scene) => {
    const { to } = scene.random.pick(destinations)
    return open(scene, { connect: to, count: several(scene) })
  },

  connectFromOther: async (scene) => {
    const { to } = scene.random.pick(destinations.slice(0, 3))
    const bind = { address: OTHER_SOURCE, port: 0 }
    return open(scene, { bind, bindAddressNoPort: true, connect: to, count: several(scene) })
  },

  connectWithinLimits: async (scene) => {
    const { to } = scene.random.pick(destinations.slice(0, 3))
    const { first } = scene.range
    const localPortRange = { first: first + 10, last: first + 20 }
    return open(scene, { connect: to, localPortRange, count: several(scene) })
  },

  connectByDevice: async (scene) => {
    const { to } = scene.random.pick(destinations.slice(0, 3))
    return open(scene, { connect: to, device: 'lo', count: several(scene) })
  },

  connectExplicit: async (scene) => {
    return repeat(scene.random.between(1, 4), () => {
      const bind = { address: '127.0.0.1', port: anyPort(scene) }
      return open(scene, { bind, reuseAddress: true, connect: loopback.to })
    })
  },

  synSent: async (scene) =>
    open(scene, { connect: blackHole.to, nonBlocking: true, count: several(scene) }),

  synSentByDevice: async (scene) => {
    const count = several(scene)
    return open(scene, { connect: blackHole.to, nonBlocking: true, device: VETH, count })
  },

  // Nobody listens on port 9: every one of them gives its port back.
  refused: async (scene) => {
    const request: OpenRequest = { connect: { address: '127.0.0.1', port: 9 } }
    return repeat(several(scene), async () => {
      const { refusal } = await scene.netns.call('open', request)
      return refusal === 'ECONNREFUSED' ? 1 : 0
    })
  },

  bindAny: async (scene) => {
    const address = scene.random.pick(['0.0.0.0', '127.0.0.1', '127.0.0.77', '10.9.0.1'])
    return open(scene, { bind: { address, port: 0 }, count: scene.random.between(1, 5) })
  },

  bindAnyIpv6: async (scene) =>
    repeat(scene.random.between(1, 3), () => {
      const address = scene.random.pick(['::', '::1', 'fd00::1', '::ffff:127.0.0.4'])
      return open(scene, { bind: { address, port: 0 }, ipv6Only: scene.random.chance(1 / 2) })
    }),

  bindExplicit: async (scene) =>
    repeat(scene.random.between(1, 4), () => {
      const address = scene.random.pick(['0.0.0.0', '127.0.0.1', '127.0.0.33'])
      return open(scene, { bind: { address, port: anyPort(scene) }, reuseAddress: true })
    }),

  // Holds no port until it connects.
  bindWithoutPort: async (scene) =>
    open(scene, { bind: { address: '127.0.0.1', port: 0 }, bindAddressNoPort: true }),

  listen: async (scene) => ((await openListenerInRange(scene)) === undefined ? 0 : 1),

  listenAndAccept: async (scene) => {
    const listener = await openListenerInRange(scene)
    if (listener === undefined) return 0
    return 1 + (await repeat(4, () => connectFromOutside(scene, listener)))
  },

  timeWait: async (scene) => {
    const destination = scene.random.pick(destinations)
    return repeat(several(scene), async () => {
      const pair = await openPair(scene, destination, {})
      if (pair === undefined) return 0
      await scene.netns.call('close', { sockets: [pair.client, pair.server] })
      return 1
    })
  },

  // The server never answers the FIN of a client that has gone: a FIN_WAIT2 minisock.
  finWait2: async (scene) => closeOneSide(scene, 'client'),

  closeWait: async (scene) => closeOneSide(scene, 'server'),

  udpBind: async (scene) =>
    repeat(several(scene), () => {
      const { random } = scene
      const address = random.pick(['127.0.0.1', '0.0.0.0', '127.0.0.3', '::', '::1'])
      const port = random.chance(1 / 4) ? anyPort(scene) : 0
      const only = address.includes(':') ? { ipv6Only: random.chance(1 / 2) } : {}
      return open(scene, { protocol: 'udp', bind: { address, port }, ...only })
    }),

  udpConnect: async (scene) =>
    repeat(several(scene), () => {
      const address = scene.random.pick(['127.0.0.1', '::1', '::ffff:127.0.0.1'])
      return open(scene, { protocol: 'udp', connect: { address, port: 53 } })
    }),

  // From here on: ports that are closed to everybody and look as if they were shared.

  hiddenConnect: async (scene) => {
    const bind = { address: '127.0.0.1', port: 0 }
    return open(scene, { bind, connect: loopback.to, count: several(scene) })
  },

  // Accepted sockets, or their TIME_WAITs, outlive the listener.
  hiddenAccepted: async (scene) => {
    const listener = await openListenerInRange(scene, 5)
    if (listener === undefined) return 0
    const accepted = await connectFromOutside(scene, listener, scene.random.chance(1 / 2))
    await scene.netns.call('close', { sockets: [listener.socket] })
    return accepted
  },

  hiddenTimeWait: async (scene) => {
    const port = scene.random.chance(1 / 2) ? 0 : anyPort(scene)
    const pair = await openPair(scene, loopback, { bind: { address: '127.0.0.1', port } })
    if (pair === undefined) return 0
    await scene.netns.call('close', { sockets: [pair.client, pair.server] })
    return 1
  },
}

/** Actions after which no dump tells the whole truth. */
export const hiddenActions: ReadonlySet<string> = new Set([
  'hiddenConnect',
  'hiddenAccepted',
  'hiddenTimeWait',
])

function several({ random, scale }: Scene): number {
  return random.between(1, 12) * scale
}

function anyPort({ random, range }: Scene): number {
  return random.between(range.first, range.last)
}

async function repeat(times: number, action: () => Promise<number>): Promise<number> {
  let sum = 0
  for (let left = times; left > 0; left--) sum += await action()
  return sum
}

async function open({ netns }: Scene, request: OpenRequest): Promise<number> {
  return (await netns.call('open', request)).sockets.length
}

/** A connection to a destination, both ends of it. */
async function openPair(
  { netns, listeners }: Scene,
  { to }: Destination,
  request: OpenRequest,
): Promise<{ readonly client: number; readonly server: number } | undefined> {
  const listener = listeners.get(listenerKey(to))
  if (listener === undefined) throw new Error(`Nobody listens on ${listenerKey(to)}`)
  const { sockets, locals } = await netns.call('open', { ...request, connect: to })
  const [client] = sockets
  if (client === undefined) return undefined
  const [server] = await netns.call('accept', { listener, peers: locals })
  if (server === undefined) throw new Error('Cannot find the server side of a connection')
  return { client, server }
}

async function closeOneSide(scene: Scene, side: 'client' | 'server'): Promise<number> {
  const destination = scene.random.pick(destinations)
  return repeat(scene.random.between(1, 5), async () => {
    const pair = await openPair(scene, destination, {})
    if (pair === undefined) return 0
    await scene.netns.call('close', { sockets: [pair[side]] })
    return 1
  })
}

interface Listener {
  readonly socket: number
  readonly port: number
}

/** `ports` is how many it tries at most: which of them are free is the kernel's choice as well. */
async function openListenerInRange(scene: Scene, ports = 1): Promise<Listener | undefined> {
  for (let left = ports; left > 0; left--) {
    const bind = { address: '127.0.0.1', port: anyPort(scene) }
    const { sockets } = await scene.netns.call('open', { bind, listen: 50, reuseAddress: true })
    const [socket] = sockets
    if (socket !== undefined) return { socket, port: bind.port }
  }
  return undefined
}

/** The client's port is outside the range, so that only the accepted socket counts. */
async function connectFromOutside(
  scene: Scene,
  to: Listener,
  serverCloses = false,
): Promise<number> {
  const { netns, random } = scene
  const bind = { address: '127.0.0.8', port: random.between(20_000, 29_000) }
  const connect = { address: '127.0.0.1', port: to.port }
  const { sockets, locals } = await netns.call('open', { bind, connect })
  if (sockets.length === 0) return 0
  const accepted = await netns.call('accept', { listener: to.socket, peers: locals })
  if (serverCloses) await netns.call('close', { sockets: [...accepted, ...sockets] })
  return 1
}
