// Churn around a full pool: connections, listeners and binds come and go while the page is read, and after each step the
// kernel says what it really grants.

import { expect, test } from 'vitest'
import { whyNoBuckets } from '../kernel/bpf/permitted.ts'
import { type Netns, withNetns } from '../support/netns/actor.ts'
import { readFreshPage } from '../support/netns/actor-page.ts'
import type { OpenRequest } from '../support/netns/actor-sockets.ts'
import { whyNotExact } from '../support/netns/live.ts'
import { depth, isWhole } from '../support/program/depth.ts'
import { createRandom, type Random } from '../support/program/random.ts'

const FIRST = 40_000
const PORTS = 100
/** Of each of the two runs, which go on at the same time. */
const SECONDS = isWhole ? 300 : depth(90, 15)
const FLAGS = ['--sample.interval=100ms', '--sample.cpu-budget=1']
const CONNECT = { pool: 'tcp_connect' }
const servers = [8001, 8002, 8003].map((port) => ({ address: '127.0.0.1', port }))
const bindAny = { address: '127.0.0.1', port: 0 }

/** Sockets by what opened them. */
type Crowd = Map<number, readonly number[]>

async function churn({ call }: Netns, random: Random, crowd: Crowd, turn: number): Promise<void> {
  // Around a full pool: the fuller, the more closes.
  const open = [...crowd.values()].reduce((sum, sockets) => sum + sockets.length, 0)
  while (crowd.size > 0 && random.chance(Math.min(0.9, open / (2 * PORTS)))) {
    const [oldest = -1] = crowd.keys()
    const gone = random.chance(1 / 2) ? oldest : random.pick([...crowd.keys()])
    const how = random.chance(1 / 3) ? 'fin' : 'rst'
    await call('close', { sockets: crowd.get(gone) ?? [], how })
    crowd.delete(gone)
    if (random.chance(1 / 3)) break
  }
  const connect = random.pick(servers)
  const port = random.between(FIRST, FIRST + PORTS - 1)
  const request = random.pick<OpenRequest>([
    { connect, count: random.between(1, 40) },
    { connect, count: random.between(1, 40) },
    { connect, bind: bindAny, count: random.between(1, 15) },
    { connect, bind: { ...bindAny, port } },
    { bind: { ...bindAny, port }, listen: 5 },
    { bind: bindAny, count: random.between(1, 5) },
  ])
  const { sockets } = await call('open', request)
  if (sockets.length > 0) crowd.set(turn, sockets)
  const [listener] = sockets
  if (request.listen !== undefined && listener !== undefined) {
    // Its client comes from outside of the range, and stays when the listener goes.
    const from = { address: '127.0.0.8', port: 10_500 + (turn % 400) }
    const client = await call('open', { bind: from, connect: { ...bindAny, port } })
    const accepted = await call('accept', { listener, peers: client.locals })
    if (random.chance(1 / 2)) {
      await readFreshPage({ call } as Netns)
      await call('close', { sockets: [listener], how: 'rst' })
      crowd.delete(turn)
    }
    crowd.set(turn + 0.5, [...client.sockets, ...accepted])
  }
}

/** What the page says of the worst of the servers, and what the kernel grants. */
async function judge(netns: Netns, teller: string) {
  const page = await readFreshPage(netns)
  const available = page.value('ephemeral_port_pool_available_ports', CONNECT)
  const uncertain = page.value('ephemeral_port_pool_uncertain_ports', CONNECT)
  let truth = Infinity
  for (const connect of servers) {
    const { count } = await netns.call('fill', { connect })
    truth = Math.min(truth, count)
  }
  const isUnsure = teller === 'buckets' && uncertain > 0
  const wrong = truth > available || truth < available - uncertain || isUnsure
  return { truth, available, uncertain, wrong }
}

test.concurrent.for([
  { teller: 'nobody', flags: ['--no-collector.buckets'] },
  { teller: 'buckets', flags: ['--collector.buckets', '--detail.min-utilization=0'] },
])(
  'a page of a nearly full pool, with $teller to tell of hidden ports, is never wrong by more than it says',
  async ({ teller, flags }, context) => {
    const reason = whyNotExact() ?? (teller === 'buckets' ? await whyNoBuckets() : undefined)
    if (reason !== undefined) return context.skip(reason)
    const random = createRandom(7)
    const wrong: unknown[] = []
    let [turns, exhausted, hidden] = [0, 0, 0]
    await withNetns(async (netns) => {
      await netns.call('setSysctls', {
        'net.ipv4.ip_local_port_range': `${FIRST} ${FIRST + PORTS - 1}`,
        'net.ipv4.tcp_tw_reuse': 0,
      })
      for (const bind of servers) await netns.call('open', { bind, listen: 65_535 })
      await netns.call('startExporter', { flags: [...FLAGS, ...flags] })
      const crowd: Crowd = new Map()
      const until = Date.now() + SECONDS * 1000
      // On a busy machine it goes on until something was at stake.
      const isIdle = () => exhausted === 0 || (teller === 'nobody' && hidden === 0)
      for (; Date.now() < until || isIdle(); turns++) {
        await churn(netns, random, crowd, turns)
        let judged = await judge(netns, teller)
        // A TIME_WAIT, or a FIN_WAIT2, may have ended between the page and the proof.
        if (judged.wrong) judged = await judge(netns, teller)
        const { truth, available } = judged
        if (judged.wrong) wrong.push({ turns, ...judged })
        if (truth === 0) exhausted++
        if (truth < available) hidden++
      }
    })
    expect(wrong).toEqual([])
    expect(hidden > 0).toBe(teller === 'nobody')
  },
)
