// What the recorded scenarios are built with: an actor's operations that fail loudly instead of reporting a refusal.

import type { Endpoint } from '../support/kernel/libc.ts'
import type { Netns } from '../support/netns/actor.ts'
import type { Opened, OpenRequest } from '../support/netns/actor-sockets.ts'

/** What most scenarios connect to, and where nobody ever answers. */
export const server: Endpoint = { address: '127.0.0.1', port: 8001 }
export const blackHole: Endpoint = { address: '10.9.0.200', port: 80 }

export type Stage = ReturnType<typeof createStage>
type Extra = Omit<OpenRequest, 'connect' | 'count' | 'listen'>

export interface Pairs {
  readonly clients: readonly number[]
  readonly servers: readonly number[]
}

export function createStage(netns: Netns) {
  const listeners = new Map<string, number>()

  async function open(request: OpenRequest): Promise<Opened> {
    const opened = await netns.call('open', request)
    const wanted = request.count ?? 1
    if (opened.sockets.length === wanted) return opened
    throw new Error(
      `Opened ${opened.sockets.length} of ${wanted} sockets (${opened.refusal}): ${JSON.stringify(request)}`,
    )
  }

  async function listen(bind: Endpoint, extra: Extra = {}): Promise<void> {
    const [socket = -1] = (await open({ ...extra, bind, listen: 1000 })).sockets
    listeners.set(nameOf(bind), socket)
  }

  /** Connections that stay unaccepted, which is of no matter to the client. */
  function connect(to: Endpoint, count: number, extra: Extra = {}): Promise<Opened> {
    return open({ ...extra, connect: to, count })
  }

  /** Both ends of connections; `at` is what the listener is bound to. */
  async function connectPairs(
    request: OpenRequest & { readonly connect: Endpoint },
    at = request.connect,
  ): Promise<Pairs> {
    const listener = listeners.get(nameOf(at))
    if (listener === undefined) throw new Error(`Nobody listens on ${nameOf(at)}`)
    const { sockets, locals } = await open(request)
    return { clients: sockets, servers: await netns.call('accept', { listener, peers: locals }) }
  }

  return {
    netns,
    open,
    listen,
    connect,
    connectPairs,

    /** The clients close first and keep the TIME_WAIT. */
    async leaveTimeWait(to: Endpoint, count: number): Promise<void> {
      const { clients, servers } = await connectPairs({ connect: to, count })
      await netns.call('close', { sockets: [...clients, ...servers] })
    },

    /** One connection from each of these ports, which lie outside of the range. */
    async connectFrom(
      sources: readonly Endpoint[],
      to: Endpoint,
      acceptAt: Endpoint | 'nobody' = to,
    ): Promise<void> {
      for (const bind of sources) {
        if (acceptAt === 'nobody') await connect(to, 1, { bind })
        else await connectPairs({ bind, connect: to }, acceptAt)
      }
    },

    close: (sockets: readonly number[]) => netns.call('close', { sockets }),
  }
}

function nameOf({ address, port }: Endpoint): string {
  return `${address} ${port}`
}
