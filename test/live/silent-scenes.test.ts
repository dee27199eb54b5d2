// Histories that no listing shows, seen from the start, from the middle or not at all: what the page says of connect(), and then
// what the kernel really grants. However late the exporter comes, it is never wrong by more than it says.

import { describe, expect, test } from 'vitest'
import { whyNoBuckets } from '../kernel/bpf/permitted.ts'
import type { Endpoint } from '../support/kernel/libc.ts'
import { type Netns, withNetns } from '../support/netns/actor.ts'
import { readFreshPage } from '../support/netns/actor-page.ts'
import type { OpenRequest } from '../support/netns/actor-sockets.ts'
import { whyNotExact } from '../support/netns/live.ts'
import { isDeep, isWhole } from '../support/program/depth.ts'

const FIRST = 40_000
const FLAGS = ['--sample.interval=100ms', '--sample.cpu-budget=1']
const CONNECT = { pool: 'tcp_connect' }
const v4 = { address: '127.0.0.1', port: 8001 }
const other = { address: '127.0.0.5', port: 8002 }
const own = { address: '10.9.0.1', port: 8001 }
const v6 = { address: '::1', port: 8001 }
const mapped = { address: '::ffff:127.0.0.1', port: 8001 }
const servers = [v4, other, own, v6]
/** Outside the range, so that these ends of the connections cost nothing. */
const OUTSIDE = 20_000

/** What a story has opened, by any name. */
class Stage {
  readonly netns: Netns
  readonly #sockets = new Map<string, number[]>()
  readonly #listeners = new Map<string, number>()
  #clients = 0

  constructor(netns: Netns) {
    this.netns = netns
  }

  async open(name: string, request: OpenRequest): Promise<readonly Endpoint[]> {
    const { sockets, locals } = await this.netns.call('open', request)
    this.#sockets.set(name, [...(this.#sockets.get(name) ?? []), ...sockets])
    return locals
  }

  async close(name: string, how: 'fin' | 'rst' = 'rst'): Promise<void> {
    await this.netns.call('close', { sockets: this.#sockets.get(name) ?? [], how })
    this.#sockets.delete(name)
  }

  /** Listens at ports of the range, one client each, whose connections are named `accepted`. */
  async serve(name: string, ports: readonly number[], request: OpenRequest = {}): Promise<void> {
    for (const port of ports) {
      const bind = { address: '127.0.0.1', ...request.bind, port: FIRST + port }
      const { sockets } = await this.netns.call('open', { ...request, bind, listen: 9 })
      this.#sockets.set(name, [...(this.#sockets.get(name) ?? []), ...sockets])
      const to = { address: bind.address === '::' ? '127.0.0.1' : bind.address, port: bind.port }
      const from = to.address.includes(':') ? '::1' : '127.0.0.8'
      const client = { address: from, port: OUTSIDE + this.#clients++ }
      await this.open('clients', { bind: client, connect: to })
      await this.accept(sockets[0] ?? -1, [client], 'accepted')
    }
  }

  async accept(listener: number, peers: readonly Endpoint[], name: string): Promise<void> {
    const sockets = await this.netns.call('accept', { listener, peers: [...peers] })
    this.#sockets.set(name, [...(this.#sockets.get(name) ?? []), ...sockets])
  }

  async listen(bind: Endpoint): Promise<void> {
    const { sockets } = await this.netns.call('open', { bind, listen: 65_535 })
    this.#listeners.set(`${bind.address} ${bind.port}`, sockets[0] ?? -1)
  }

  /** Connects and closes, our side first. */
  async churn(request: OpenRequest & { readonly connect: Endpoint }): Promise<void> {
    const { sockets, locals } = await this.netns.call('open', request)
    const listener = this.#listeners.get(`${request.connect.address} ${request.connect.port}`)
    await this.accept(listener ?? -1, locals, 'churned')
    await this.netns.call('close', { sockets })
    await this.close('churned', 'fin')
  }
}

interface Story {
  /** Default 100. */
  readonly ports?: number
  readonly sysctls?: Readonly<Record<string, string | number>>
  readonly steps: readonly ((stage: Stage) => Promise<unknown>)[]
}

const ports = (count: number, from = 0, step = 1) =>
  Array.from({ length: count }, (_, at) => from + step * at)
const any = (address: string) => ({ address, port: 0 })

const stories: Readonly<Record<string, Story>> = {
  'listeners that go and come back at another address': {
    steps: [
      (stage) => stage.serve('listeners', ports(20)),
      (stage) => stage.close('listeners'),
      (stage) => stage.serve('again', ports(10, 5), { bind: any('127.0.0.2') }),
      (stage) => stage.close('again'),
      (stage) => stage.close('accepted', 'fin'),
    ],
  },
  'groups of SO_REUSEPORT of which one goes, and then the other': {
    steps: [
      async (stage) => {
        await stage.serve('first', ports(15, 0, 3), { reusePort: true })
        for (const port of ports(15, 0, 3)) {
          const bind = { address: '127.0.0.1', port: FIRST + port }
          await stage.open('second', { bind, listen: 9, reusePort: true })
        }
      },
      (stage) => stage.close('first'),
      (stage) => stage.close('second'),
      (stage) => stage.open('connections', { connect: v4, count: 70 }),
      (stage) => stage.close('accepted'),
    ],
  },
  'dual-stack and IPv6 listeners that have gone': {
    steps: [
      (stage) => stage.serve('dual', ports(10), { bind: any('::'), ipv6Only: false }),
      (stage) => stage.serve('only', ports(10, 20), { bind: any('::1') }),
      (stage) => stage.close('dual'),
      (stage) => stage.close('only'),
      (stage) => stage.open('connections', { connect: v6, count: 60 }),
    ],
  },
  'bind() before connect() over IPv6 and v4-mapped addresses': {
    steps: [
      (stage) => stage.open('v6', { bind: any('::1'), connect: v6, count: 30 }),
      (stage) =>
        stage.open('mapped', { bind: any('::ffff:127.0.0.1'), connect: mapped, count: 20 }),
      (stage) => stage.open('plain', { connect: v6, count: 20 }),
      (stage) => stage.close('v6'),
      (stage) => stage.open('v4', { bind: any('127.0.0.1'), connect: other, count: 20 }),
    ],
  },
  'binders at another address that join ports of connections, and go': {
    steps: [
      (stage) => stage.open('plain', { connect: v4, count: 60, reuseAddress: true }),
      (stage) => stage.open('joined', { bind: any('127.0.0.9'), connect: other, count: 50 }),
      (stage) => stage.close('joined'),
      (stage) => stage.close('plain'),
    ],
  },
  'listeners that join ports of connections, and go': {
    steps: [
      async (stage) => {
        const taken = await stage.open('plain', { connect: v4, count: 20, reuseAddress: true })
        for (const { port } of taken) {
          const bind = { address: '0.0.0.0', port }
          await stage.open('joined', { bind, listen: 9, reuseAddress: true })
        }
      },
      (stage) => stage.close('joined'),
    ],
  },
  'ports that applications chose, and what is left of them': {
    sysctls: { 'net.ipv4.tcp_tw_reuse': 1, 'net.ipv4.tcp_tw_reuse_delay': 1 },
    steps: [
      async (stage) => {
        for (const port of ports(20, 1, 4)) {
          const bind = { address: '127.0.0.1', port: FIRST + port }
          await stage.churn({ bind, connect: v4 })
          await stage.open('held', { bind: { ...bind, port: bind.port + 2 }, connect: own })
        }
      },
      (stage) => stage.open('plain', { connect: v4, count: 30 }),
      (stage) => stage.close('held'),
    ],
  },
  'TIME_WAITs to loopback and to others, tcp_tw_reuse=2': {
    sysctls: { 'net.ipv4.tcp_tw_reuse': 2, 'net.ipv4.tcp_tw_reuse_delay': 1 },
    steps: [
      (stage) => stage.churn({ connect: v4, count: 40 }),
      (stage) => stage.churn({ connect: own, count: 30 }),
      (stage) => stage.churn({ bind: any('127.0.0.1'), connect: other, count: 20 }),
    ],
  },
  'TIME_WAITs from before our own timestamps, tcp_tw_reuse=1': {
    sysctls: { 'net.ipv4.tcp_tw_reuse': 1, 'net.ipv4.tcp_tw_reuse_delay': 1 },
    steps: [
      ({ netns }) => netns.call('setSysctls', { 'net.ipv4.tcp_timestamps': 0 }),
      (stage) => stage.churn({ connect: v4, count: 60 }),
      ({ netns }) => netns.call('setSysctls', { 'net.ipv4.tcp_timestamps': 1 }),
      (stage) => stage.open('live', { connect: v4, count: 10 }),
    ],
  },
  'a range that shrinks around connections, and reserved ports that grow': {
    steps: [
      (stage) => stage.open('plain', { connect: v4, count: 50 }),
      (stage) => stage.open('bound', { bind: any('127.0.0.1'), connect: other, count: 20 }),
      ({ netns }) => netns.call('setSysctls', { 'net.ipv4.ip_local_port_range': '40010 40069' }),
      ({ netns }) =>
        netns.call('setSysctls', { 'net.ipv4.ip_local_reserved_ports': '40000-40029,40050' }),
    ],
  },
  'a range that is reserved as a whole': {
    sysctls: { 'net.ipv4.ip_local_reserved_ports': '40000-40099' },
    steps: [(stage) => stage.serve('listeners', ports(5)), (stage) => stage.close('listeners')],
  },
  'a range of one port': {
    ports: 1,
    steps: [
      (stage) => stage.open('bound', { bind: any('127.0.0.1'), connect: v4 }),
      (stage) => stage.close('bound'),
      (stage) => stage.serve('listeners', [0]),
      (stage) => stage.close('listeners'),
    ],
  },
  'a range of four ports': {
    ports: 4,
    steps: [
      (stage) => stage.open('bound', { bind: any('127.0.0.1'), connect: v4 }),
      (stage) => stage.open('plain', { connect: other, count: 2 }),
      (stage) => stage.serve('listeners', [3], { bind: any('127.0.0.3') }),
      (stage) => stage.close('listeners'),
    ],
  },
}

/** The page against the kernel, of the destination that has the fewest ports left. */
async function judge(netns: Netns) {
  const page = await readFreshPage(netns)
  const available = page.value('ephemeral_port_pool_available_ports', CONNECT)
  const uncertain = page.value('ephemeral_port_pool_uncertain_ports', CONNECT)
  const unused = page.value('ephemeral_port_pool_unused_ports', CONNECT)
  let truth = Infinity
  for (const connect of servers) {
    const { count } = await netns.call('fill', { connect })
    truth = Math.min(truth, count)
  }
  const { exactness } = page.list('ephemeral_port_source_info')[0]?.labels ?? {}
  const isFalselyExact = exactness === 'exact' && truth !== available
  const isWrong = truth > available || truth < Math.max(unused, available - uncertain)
  return { truth, available, uncertain, unused, exactness, wrong: isWrong || isFalselyExact }
}

const tellers = {
  nobody: { flags: ['--no-collector.buckets'], reason: whyNotExact() },
  buckets: {
    flags: ['--collector.buckets', '--detail.min-utilization=0'],
    reason: await whyNoBuckets(),
  },
}
const cases = Object.entries(stories).flatMap(([title, { steps }], story) =>
  Object.entries(tellers).flatMap(([teller, { flags, reason }], which) => {
    const count = steps.length + 1
    const starts = Array.from({ length: count }, (_, at) => (at + 2 * story + 3 * which) % count)
    // All beginnings by all who tell, or each beginning by one of them, or one beginning.
    const turn = (start: number) => (start + story + which) % 2 === 0
    const few = isDeep ? starts.filter(turn) : starts.slice(0, (story + which) % 2)
    return (isWhole ? starts : few).map((start) => ({ title, teller, flags, reason, start }))
  }),
)

describe('the page is never wrong by more than it says', () => {
  test.for(cases)('$title, from step $start, by $teller', async (one, context) => {
    const { title, flags, reason, start } = one
    if (reason !== undefined) return context.skip(reason)
    const { ports: size = 100, sysctls = {}, steps } = stories[title] ?? { steps: [] }
    await withNetns(async (netns) => {
      await netns.call('setSysctls', {
        'net.ipv4.ip_local_port_range': `${FIRST} ${FIRST + size - 1}`,
        'net.ipv4.tcp_tw_reuse': 0,
        ...sysctls,
      })
      const stage = new Stage(netns)
      for (const server of servers) await stage.listen(server)
      for (const [at, step] of [...steps, async () => {}].entries()) {
        if (at === start) await netns.call('startExporter', { flags: [...FLAGS, ...flags] })
        // What happens between two samples is another story.
        if (at > start) await readFreshPage(netns)
        await step(stage)
      }
      let judged = await judge(netns)
      // Something may have ended between the page and the proof.
      if (judged.wrong) judged = await judge(netns)
      expect(judged).toMatchObject({ wrong: false })
    })
  })
})
