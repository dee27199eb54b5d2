// A network namespace whose sockets the soak opens and closes, and what is true of it: read from /proc and counted by the
// reference model, apart from the product.

import { readFileSync } from 'node:fs'
import type { Random } from '../fuzz/mutate.ts'
import { plainSettings } from '../support/kernel/readings.ts'
import { bindsLeft, connectsLeft, type ReferenceSocket } from '../support/kernel/reference-model.ts'
import type { Netns } from '../support/netns/actor.ts'
import type { Page } from '../support/netns/actor-page.ts'

const RANGE = { first: 40_000, last: 40_299 }
const SERVERS = [8001, 8002, 8003].map((port) => ({ address: '127.0.0.1', port }))
const SETTINGS = { ...plainSettings, range: RANGE, tcpTwReuse: 0 }
const MOST_OPENED = 25
const MOST_HELD = 200
const STATE = { timeWait: 6, udp: 7 } as const

export interface Stage {
  readonly pid: number
  readonly netns: string
  /** Opens or closes some sockets. */
  act(random: Random): Promise<void>
  /** What a page must say, by series, of this moment; undefined where sockets came or went meanwhile. */
  truth(): Promise<ReadonlyMap<string, number>>
}

export async function openStage(netns: Netns, name: string): Promise<Stage> {
  await netns.call('setSysctls', {
    'net.ipv4.ip_local_port_range': `${RANGE.first} ${RANGE.last}`,
    'net.ipv4.tcp_tw_reuse': 0,
  })
  const listeners: number[] = []
  for (const bind of SERVERS) {
    const { sockets } = await netns.call('open', { bind, listen: 1000, reuseAddress: true })
    listeners.push(...sockets)
  }
  const connections: { sockets: readonly number[]; accepted: readonly number[] }[] = []
  let held = 0
  const datagrams: (readonly number[])[] = []

  async function connect(random: Random): Promise<void> {
    const which = random.below(SERVERS.length)
    const [to, listener] = [SERVERS[which], listeners[which]]
    if (to === undefined || listener === undefined) return
    const count = 1 + random.below(MOST_OPENED)
    const { sockets, locals } = await netns.call('open', { connect: to, count })
    held += sockets.length
    const accepted = await netns.call('accept', { listener, peers: locals })
    connections.push({ sockets, accepted })
  }

  /** From the client's side first, which leaves TIME_WAITs, or from the server's, which leaves nothing in the range. */
  async function hangUp(random: Random): Promise<void> {
    const [ended] = connections.splice(random.below(Math.max(1, connections.length)), 1)
    if (ended === undefined) return
    held -= ended.sockets.length
    const sides = [ended.sockets, ended.accepted]
    for (const sockets of random.below(2) === 0 ? sides : sides.toReversed()) {
      await netns.call('close', { sockets })
    }
  }

  async function bindDatagrams(random: Random): Promise<void> {
    const bind = { address: random.below(2) === 0 ? '127.0.0.1' : '0.0.0.0', port: 0 }
    const count = 1 + random.below(MOST_OPENED)
    datagrams.push((await netns.call('open', { protocol: 'udp', bind, count })).sockets)
    while (datagrams.length > 4) await netns.call('close', { sockets: datagrams.shift() ?? [] })
  }

  return {
    pid: netns.pid,
    netns: name,
    act(random) {
      const choice = random.below(6)
      if (choice === 0) return bindDatagrams(random)
      return choice < 4 && held < MOST_HELD ? connect(random) : hangUp(random)
    },
    async truth() {
      const tcp = readTable(netns.pid, 'tcp')
      const udp = readTable(netns.pid, 'udp')
      const capacity = RANGE.last - RANGE.first + 1
      const destinations = new Map(tcp.map((one) => [`${one.destination}:${one.remotePort}`, one]))
      const left = [...destinations.values()]
        .filter(({ remotePort }) => remotePort !== 0)
        .map(({ source, destination, remotePort }) =>
          connectsLeft(tcp, SETTINGS, { source, destination, remotePort, device: 0 }),
        )
      const binds = (sockets: readonly ReferenceSocket[], isTcp: boolean) =>
        Math.min(
          ...(['0.0.0.0', '::'] as const).map((wildcard) =>
            bindsLeft(sockets, SETTINGS, { wildcard, tcp: isTcp }),
          ),
        )
      return new Map([
        ['tcp_connect', Math.min(capacity, ...left)],
        ['tcp_bind', binds(tcp, true)],
        ['udp', binds(udp, false)],
      ])
    },
  }
}

/** What the page says of the same; a series that is absent says nothing. */
export function readClaims(page: Page, netns: string): ReadonlyMap<string, number> {
  const rows = page.list('ephemeral_port_pool_available_ports', { netns })
  return new Map(rows.map(({ labels, value }) => [labels.pool ?? '', value]))
}

/** Rows of /proc/<pid>/net of IPv4 whose local port is in the range. Both are in the order of the bytes on the wire. */
function readTable(pid: number, table: 'tcp' | 'udp'): ReferenceSocket[] {
  const [, ...lines] = readFileSync(`/proc/${pid}/net/${table}`, 'utf8').trimEnd().split('\n')
  return lines.flatMap((line) => {
    const [, local = '', remote = '', state = ''] = line.trim().split(/\s+/)
    const [source, port] = parseEndpoint(local)
    const [destination, remotePort] = parseEndpoint(remote)
    if (port < RANGE.first || port > RANGE.last) return []
    const number = Number.parseInt(state, 16)
    return [
      {
        ...{ port, remotePort, source, destination, expiresMs: 0, device: 0 },
        state: number,
        minisock: number === STATE.timeWait,
        explicit: false,
        v6only: false,
      },
    ]
  })
}

function parseEndpoint(text: string): [address: string, port: number] {
  const [address = '', port = ''] = text.split(':')
  const bytes = address.match(/../g)?.reverse() ?? []
  return [bytes.map((byte) => Number.parseInt(byte, 16)).join('.'), Number.parseInt(port, 16)]
}
