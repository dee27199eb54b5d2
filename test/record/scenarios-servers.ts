// Recorded scenarios that take more than a list of sockets: listeners with clients, chosen ports, half-closed connections.

import type { Endpoint } from '../support/kernel/libc.ts'
import { blackHole, type Stage, server } from './stage.ts'

/** Whose sockets: minisocks must lose it. */
const USER = 1000

export async function buildListenersInRange(stage: Stage): Promise<void> {
  await stage.listen(server)
  await stage.netns.call('actAs', USER)
  const plain = { address: '127.0.0.1', port: 40_010 }
  const dual = { address: '::', port: 40_020 }
  const deferring = { address: '127.0.0.1', port: 40_040 }
  await stage.listen(plain)
  await stage.listen(dual, { ipv6Only: false })
  await stage.listen({ address: '::', port: 40_030 }, { ipv6Only: true })
  await stage.listen(deferring, { deferAcceptSeconds: 60 })
  await stage.connectFrom(sources('127.0.0.8', 20_000, 8), plain)
  await stage.connectFrom(sources('127.0.0.8', 21_000, 2), { ...plain, port: dual.port }, dual)
  await stage.connectFrom(sources('::1', 21_010, 1), { address: '::1', port: dual.port }, dual)
  // Clients that stay silent: SYN_RECV.
  await stage.connectFrom(sources('127.0.0.8', 22_000, 2), deferring, 'nobody')
  await stage.connect(server, 6)
  await stage.open({ protocol: 'udp', bind: { address: '0.0.0.0', port: 40_050 } })
  await stage.connect({ address: '127.0.0.1', port: 53 }, 1, { protocol: 'udp' })
  await stage.netns.call('actAs', 0)
}

export async function buildExplicitBind(stage: Stage): Promise<void> {
  await stage.listen(server)
  const at = (address: string, port: number) => ({ bind: { address, port } })
  await stage.open(at('127.0.0.33', 40_003))
  await stage.open({ ...at('0.0.0.0', 40_005), reuseAddress: true })
  await stage.open({ ...at('::ffff:127.0.0.4', 40_012), ipv6Only: false })
  await stage.open({ ...at('127.0.0.1', 40_007), connect: server })
  await stage.open(at('127.0.0.1', 39_000)) // outside
  // Holds no port as long as it is not connected.
  await stage.open({ ...at('127.0.0.1', 0), bindAddressNoPort: true })
  await stage.connect(server, 6)
  await stage.open({ ...at('127.0.0.1', 40_009), protocol: 'udp' })
  await stage.open({
    ...at('127.0.0.1', 40_011),
    protocol: 'udp',
    connect: { address: '127.0.0.1', port: 53 },
  })
}

export async function buildHalfClosed(stage: Stage): Promise<void> {
  const { netns } = stage
  const pairs = (count: number, nonBlocking = false) =>
    stage.connectPairs({ connect: server, count, nonBlocking })
  await stage.listen(server)
  await netns.call('actAs', USER)

  // FIN_WAIT2: of an owner that still reads, and of one that has gone, which is a minisock.
  await netns.call('shutdown', { sockets: (await pairs(2)).clients })
  await stage.close((await pairs(3)).clients)
  // CLOSE_WAIT
  await stage.close((await pairs(3)).servers)
  // FIN_WAIT1 and LAST_ACK: the FIN waits behind what the peer does not read.
  const unread = await pairs(2, true)
  await netns.call('stuff', { sockets: unread.clients })
  await stage.close(unread.clients)
  const last = await pairs(2, true)
  await netns.call('shutdown', { sockets: last.servers })
  await netns.call('stuff', { sockets: last.clients })
  await stage.close(last.clients)

  await stage.leaveTimeWait(server, 3)
  await stage.connect(blackHole, 2, { nonBlocking: true })
  await netns.call('actAs', 0)
}

function sources(address: string, firstPort: number, count: number): Endpoint[] {
  return Array.from({ length: count }, (_, index) => ({ address, port: firstPort + index }))
}
