// Eight ways to use up the 400 ports of a throwaway namespace, and what the diagnosis must say of each.

import type { CauseName, PoolName } from '../../src/snapshot.ts'
import type { Netns } from '../support/netns/actor.ts'
import type { OpenRequest } from '../support/netns/actor-sockets.ts'

export const PORTS = 400
const here = '10.9.0.1'
export const server = { address: here, port: 8001 }
const anyPort = { address: '0.0.0.0', port: 0 }

export interface Scene {
  readonly name: string
  readonly pool: PoolName
  readonly cause: CauseName
  /** Undefined where no single destination is to blame. */
  readonly destination: string | undefined
  /** Of the first remedy. */
  readonly remedy: RegExp
  /** Of the first remedy that has a command. */
  readonly buys: RegExp
  /** What fails before and works afterwards. */
  readonly attempt: OpenRequest
  readonly exhaust: (netns: Netns, seen: () => Promise<void>) => Promise<void>
}

/** A listener outside the range, whose accepted sockets can be closed. */
export const listen = async ({ call }: Netns, port = server.port) =>
  (await call('open', { bind: { address: here, port }, listen: 4096 })).sockets[0] ?? -1

export const scenes: readonly Scene[] = [
  {
    name: 'a storm of short connections',
    pool: 'tcp_connect',
    cause: 'churn',
    destination: `${here}:8001`,
    remedy: /^Let connect\(\) take TIME_WAIT ports again/,
    buys: /^frees 400 ports as soon as each is 1 s old$/,
    attempt: { connect: server },
    exhaust: async (netns, seen) => {
      const listener = await listen(netns)
      const { sockets, locals } = await netns.call('open', { connect: server, count: PORTS })
      const peers = await netns.call('accept', { listener, peers: locals })
      await seen()
      await netns.call('close', { sockets })
      await netns.call('close', { sockets: peers })
    },
  },
  {
    name: 'sockets that are bound and idle',
    pool: 'tcp_connect',
    cause: 'bound_idle',
    destination: undefined,
    remedy: /^Let user root \(PID \d+, .*\) close the sockets that it bound/,
    buys: /^makes the pool 70 times as large: 28,232 ports instead of 400$/,
    attempt: { connect: server },
    exhaust: async (netns) => {
      await listen(netns)
      await netns.call('open', { bind: anyPort, count: PORTS })
    },
  },
  {
    name: 'a leak of UDP sockets',
    pool: 'udp',
    cause: 'udp_sockets',
    destination: undefined,
    remedy: /^Let user root \(PID \d+, .*\) close the UDP sockets/,
    buys: /28,232 ports instead of 400$/,
    attempt: { protocol: 'udp', connect: { address: here, port: 53 } },
    exhaust: async (netns) => {
      await netns.call('open', {
        protocol: 'udp',
        connect: { address: here, port: 53 },
        count: PORTS,
      })
    },
  },
  {
    name: 'connections that the program does not close',
    pool: 'tcp_connect',
    cause: 'close_wait',
    destination: `${here}:8001`,
    remedy: /^Restart user root \(PID \d+, .*\), which must close a connection/,
    buys: /^frees 400 ports at once$/,
    attempt: { connect: server },
    exhaust: async (netns) => {
      const listener = await listen(netns)
      const { locals } = await netns.call('open', { connect: server, count: PORTS })
      const peers = await netns.call('accept', { listener, peers: locals })
      await netns.call('close', { sockets: peers })
    },
  },
  {
    name: 'a hot destination',
    pool: 'tcp_connect',
    cause: 'many_connections',
    destination: `${here}:8001`,
    remedy: /^Widen the port range to 32768-60999/,
    buys: /^makes the pool 70 times as large/,
    attempt: { connect: server },
    exhaust: async (netns) => {
      await listen(netns)
      await netns.call('open', { connect: server, count: PORTS })
    },
  },
  {
    name: 'connections that are bound to a source first',
    pool: 'tcp_connect',
    cause: 'bind_before_connect',
    destination: undefined,
    remedy: /^Let user root \(PID \d+, .*\) set IP_BIND_ADDRESS_NO_PORT/,
    buys: /28,232 ports instead of 400$/,
    attempt: { connect: server },
    exhaust: async (netns) => {
      for (let at = 0; at < 10; at++) {
        const to = { address: here, port: server.port + at }
        await listen(netns, to.port)
        await netns.call('open', { bind: { address: here, port: 0 }, connect: to, count: 40 })
      }
    },
  },
  {
    name: 'listeners inside the range',
    pool: 'tcp_connect',
    cause: 'listeners',
    destination: undefined,
    remedy: /^Widen the port range to 32768-60999/,
    buys: /28,232 ports instead of 400$/,
    attempt: { connect: server },
    exhaust: async (netns) => {
      await listen(netns)
      await netns.call('open', { bind: anyPort, listen: 1, count: PORTS })
    },
  },
  {
    name: 'many destinations',
    pool: 'tcp_bind',
    cause: 'many_connections',
    destination: undefined,
    remedy: /^Widen the port range to 32768-60999/,
    buys: /28,232 ports instead of 400$/,
    attempt: { bind: anyPort },
    exhaust: async (netns) => {
      // Each leaves a hundred ports to itself, together they leave none: 200 * 0.5 ** 20 = 0.0002.
      for (let at = 0; at < 20; at++) {
        const to = { address: here, port: server.port + at }
        await listen(netns, to.port)
        await netns.call('open', { connect: to, count: 300 })
      }
    },
  },
]
