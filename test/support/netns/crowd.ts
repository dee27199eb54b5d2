// A namespace with thousands of sockets inside and outside of a range, so that dumps take several datagrams; every port that
// an application chose is known.

import type { Netns } from './actor.ts'

/** The range of the namespace in the end. */
export const CROWD_RANGE = { first: 40_000, last: 43_999 }
const OUTSIDE = { first: 20_000, last: 23_999 }

/** How many sockets of the range have a port that the kernel chose. */
export const crowdAuto = { tcp: 1500 + 500 + 300 + 100 + 20, udp4: 600, udp6: 300 }
/** The ports that applications chose: both ends of the range among them. */
export const crowdExplicit = {
  tcp: [CROWD_RANGE.first, ...span(42_000, 42_249), CROWD_RANGE.last],
  udp4: [CROWD_RANGE.first, ...span(42_000, 42_059), CROWD_RANGE.last],
  udp6: span(42_100, 42_129),
}

export async function openCrowd(netns: Netns): Promise<void> {
  const server = { address: '127.0.0.1', port: 8001 }
  const server6 = { address: '::1', port: 8001 }
  const open = async (request: Parameters<typeof netns.call<'open'>>[1]) => {
    const { sockets, locals, refusal } = await netns.call('open', request)
    if (refusal !== undefined) throw new Error(`${refusal} for ${JSON.stringify(request)}`)
    return { sockets, locals }
  }
  const useRange = ({ first, last }: typeof OUTSIDE) =>
    netns.call('setSysctls', { 'net.ipv4.ip_local_port_range': `${first} ${last}` })

  const { sockets: listeners } = await open({ bind: server, listen: 65_535 })
  await open({ bind: server6, listen: 65_535 })
  await useRange(OUTSIDE)
  await openPorts(netns, [CROWD_RANGE.first - 1, CROWD_RANGE.last + 1], '127.0.0.1')
  await open({ connect: server, count: 800 })
  await open({ connect: server6, count: 300 })
  await open({ bind: { address: '127.0.0.1', port: 0 }, count: 100 })
  await open({ protocol: 'udp', bind: { address: '127.0.0.1', port: 0 }, count: 200 })
  await open({ protocol: 'udp', bind: { address: '::1', port: 0 }, count: 100 })

  await useRange(CROWD_RANGE)
  await openPorts(netns, [CROWD_RANGE.first, CROWD_RANGE.last], '127.0.0.1')
  await openPorts(netns, span(42_000, 42_149), '127.0.0.1', 'tcp')
  await openPorts(netns, span(42_150, 42_199), '::1', 'tcp')
  for (const port of span(42_200, 42_249)) {
    await open({ bind: { address: port < 42_240 ? '127.0.0.1' : '::1', port }, listen: 1 })
  }
  await openPorts(netns, span(42_000, 42_059), '127.0.0.1', 'udp')
  await openPorts(netns, span(42_100, 42_129), '::1', 'udp')

  // The last to be accepted are the last to be connected, so the queue is emptied for these alone.
  const { sockets, locals } = await open({ connect: server, count: 100 })
  const accepted = await netns.call('accept', { listener: listeners[0] ?? -1, peers: locals })
  await netns.call('close', { sockets: [...sockets, ...accepted] })
  await open({ connect: server, count: 1500 })
  await open({ connect: server6, count: 500 })
  await open({ bind: { address: '127.0.0.1', port: 0 }, count: 300 })
  await open({ bind: { address: '127.0.0.1', port: 0 }, listen: 1, count: 20 })
  await open({ protocol: 'udp', connect: { address: '127.0.0.1', port: 53 }, count: 400 })
  await open({ protocol: 'udp', bind: { address: '0.0.0.0', port: 0 }, count: 200 })
  await open({ protocol: 'udp', bind: { address: '::1', port: 0 }, count: 300 })
}

async function openPorts(
  netns: Netns,
  ports: readonly number[],
  address: string,
  only?: 'tcp' | 'udp',
): Promise<void> {
  for (const protocol of only === undefined ? (['tcp', 'udp'] as const) : [only]) {
    for (const port of ports) {
      const { refusal } = await netns.call('open', { protocol, bind: { address, port } })
      if (refusal !== undefined) throw new Error(`${refusal} for ${protocol} port ${port}`)
    }
  }
}

function span(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}
