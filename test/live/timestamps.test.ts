// TIME_WAITs of connections without TCP timestamps, which tcp_tw_reuse cannot recycle: what the page says, and then what the
// kernel really grants.

import { execFileSync } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import { openLibc } from '../../src/kernel/libc.ts'
import { readPeerTimestamps } from '../../src/kernel/peer-timestamps.ts'
import { whyNoBuckets } from '../kernel/bpf/permitted.ts'
import { type Netns, withNetns } from '../support/netns/actor.ts'
import { readFreshPage } from '../support/netns/actor-page.ts'
import { inNetnsOf } from '../support/netns/in-netns.ts'
import { whyNotExact } from '../support/netns/live.ts'
import { whyNoNatLab } from '../support/netns/nat-lab.ts'

const RANGE = { first: 40_000, last: 40_099 }
const FLAGS = ['--sample.interval=100ms', '--sample.cpu-budget=1', '--no-collector.buckets']
const CONNECT = { pool: 'tcp_connect' }
const server = { address: '127.0.0.1', port: 8001 }
const TIMESTAMPS = 'net.ipv4.tcp_timestamps'
const skipReason = whyNotExact()
/** Nothing but timestamps is in doubt. */
const TOLD = [...FLAGS.slice(0, 2), '--collector.buckets', '--detail.min-utilization=0']
const whyNotTold = skipReason ?? (await whyNoBuckets())

/** Connections to the server and their other ends. */
async function connectOnly({ call }: Netns, listener: number, count: number) {
  const { sockets, locals } = await call('open', { connect: server, count })
  const accepted = await call('accept', { listener, peers: locals })
  return async () => {
    await call('close', { sockets })
    await call('close', { sockets: accepted })
  }
}

/** Connections to the server that our side has closed, and some that live. */
async function connect(
  netns: Netns,
  listener: number,
  { ended, live }: { ended: number; live: number },
) {
  const close = await connectOnly(netns, listener, ended)
  await close()
  await netns.call('open', { connect: server, count: live })
}

async function listen({ call }: Netns): Promise<number> {
  await call('setSysctls', {
    'net.ipv4.ip_local_port_range': `${RANGE.first} ${RANGE.last}`,
    'net.ipv4.tcp_tw_reuse': 1,
    'net.ipv4.tcp_tw_reuse_delay': 1,
  })
  const { sockets } = await call('open', { bind: server, listen: 65_535 })
  return sockets[0] ?? -1
}

async function look(netns: Netns) {
  const page = await readFreshPage(netns)
  return {
    available: page.value('ephemeral_port_pool_available_ports', CONNECT),
    uncertain: page.value('ephemeral_port_pool_uncertain_ports', CONNECT),
    reclaimable: page.value('ephemeral_port_pool_reclaimable_ports', CONNECT),
  }
}

async function exactnessOf(netns: Netns) {
  const page = await readFreshPage(netns)
  return page.list('ephemeral_port_source_info')[0]?.labels.exactness
}

test('live connections say whether the peer has timestamps, v4-mapped ones too', async (context) => {
  if (skipReason !== undefined) return context.skip(skipReason)
  const libc = await openLibc()
  await withNetns(async (netns) => {
    const ask = (words: readonly number[], port: number) =>
      inNetnsOf(libc, netns.pid, () => readPeerTimestamps(libc, RANGE, { address: words, port }))
    const mapped = [0, 0, 0xffff, 0x7f000001]
    const v6 = [0, 0, 0, 1]
    await listen(netns)
    await netns.call('open', { bind: { address: '::1', port: 8001 }, listen: 10 })
    expect(ask(mapped, 8001)).toBeUndefined()
    const [first] = (await netns.call('open', { connect: server })).sockets
    await netns.call('open', { connect: { address: '::1', port: 8001 } })
    expect([ask(mapped, 8001), ask(v6, 8001), ask(mapped, 8002)]).toEqual([true, true, undefined])
    await netns.call('setSysctls', { [TIMESTAMPS]: 0 })
    await netns.call('open', { connect: { address: '::ffff:127.0.0.1', port: 8001 } })
    expect(ask(mapped, 8001)).toBe('mixed')
    await netns.call('close', { sockets: [first ?? -1], how: 'rst' })
    expect(ask(mapped, 8001)).toBe(false)
  })
})

test('TIME_WAITs of a peer without timestamps are held', async (context) => {
  if (skipReason !== undefined) return context.skip(skipReason)
  await withNetns(async (netns) => {
    const listener = await listen(netns)
    await netns.call('setSysctls', { [TIMESTAMPS]: 0 })
    await connect(netns, listener, { ended: 60, live: 5 })
    await netns.call('setSysctls', { [TIMESTAMPS]: 1 })
    await netns.call('startExporter', { flags: FLAGS })
    expect(await look(netns)).toEqual({ available: 35, uncertain: 0, reclaimable: 0 })
    const { count, refusal } = await netns.call('fill', { connect: server })
    expect([count, refusal]).toEqual([35, 'EADDRNOTAVAIL'])
  })
})

test('TIME_WAITs from before our own timestamps were switched on are held', async (context) => {
  if (skipReason !== undefined) return context.skip(skipReason)
  await withNetns(async (netns) => {
    const listener = await listen(netns)
    await netns.call('setSysctls', { [TIMESTAMPS]: 0 })
    await netns.call('startExporter', { flags: FLAGS })
    await connect(netns, listener, { ended: 60, live: 0 })
    expect(await look(netns)).toMatchObject({ available: 40, reclaimable: 0 })
    // The age of a younger one does not tell whether it began before the switch.
    await delay(2000)
    await look(netns)
    await netns.call('setSysctls', { [TIMESTAMPS]: 1 })
    expect(await look(netns)).toEqual({ available: 40, uncertain: 0, reclaimable: 0 })
    const { count } = await netns.call('fill', { connect: server })
    expect(count).toBe(40)
  })
})

test('TIME_WAITs with timestamps are recycled, and counted when they are', async (context) => {
  if (skipReason !== undefined) return context.skip(skipReason)
  await withNetns(async (netns) => {
    const listener = await listen(netns)
    await netns.call('startExporter', { flags: FLAGS })
    await connect(netns, listener, { ended: 60, live: 5 })
    const { available, uncertain, reclaimable } = await look(netns)
    expect(available).toBe(95)
    // Those that live may have recycled some already.
    expect(reclaimable).toBeGreaterThanOrEqual(55)
    // Without bind buckets nobody knows of the others whether they were bound.
    expect(uncertain).toBe(reclaimable)
    const { count } = await netns.call('fill', { connect: server })
    expect(count).toBe(95)
    const page = await readFreshPage(netns)
    expect(page.value('ephemeral_port_time_wait_recycled_total')).toBe(60)
  })
})

test.for([
  ['while somebody looked', 'before'],
  ['before the first look', 'after'],
] as const)(
  'connections that lived when our own timestamps were switched on, %s, have none',
  async ([, start], context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    await withNetns(async (netns) => {
      const listener = await listen(netns)
      await netns.call('setSysctls', { [TIMESTAMPS]: 0 })
      if (start === 'before') await netns.call('startExporter', { flags: FLAGS })
      const close = await connectOnly(netns, listener, 80)
      if (start === 'before') await look(netns)
      await netns.call('setSysctls', { [TIMESTAMPS]: 1 })
      if (start === 'after') await netns.call('startExporter', { flags: FLAGS })
      await look(netns)
      await netns.call('open', { connect: server, count: 2 })
      await look(netns)
      await close()
      expect(await look(netns)).toEqual({ available: 18, uncertain: 0, reclaimable: 0 })
      const { count, refusal } = await netns.call('fill', { connect: server })
      expect([count, refusal]).toEqual([18, 'EADDRNOTAVAIL'])
    })
  },
)

test('TIME_WAITs of connections with timestamps can be recycled although ours are switched off', async (context) => {
  if (skipReason !== undefined) return context.skip(skipReason)
  await withNetns(async (netns) => {
    const listener = await listen(netns)
    await netns.call('startExporter', { flags: FLAGS })
    await connect(netns, listener, { ended: 60, live: 0 })
    const close = await connectOnly(netns, listener, 20)
    await look(netns)
    await netns.call('setSysctls', { [TIMESTAMPS]: 0 })
    await look(netns)
    await close()
    const { available, uncertain, reclaimable } = await look(netns)
    expect(available).toBe(100)
    expect(reclaimable).toBeGreaterThanOrEqual(60)
    // Nobody knows of those that were not seen while they lived.
    expect(uncertain).toBe(reclaimable)
    const { count } = await netns.call('fill', { connect: server })
    expect(count).toBe(100)
  })
})

test('an own address whose connections NAT rules send to a peer without timestamps is never exact', async (context) => {
  const reason = whyNotTold ?? whyNoNatLab()
  if (reason !== undefined) return context.skip(reason)
  await withNetns(async (netns) => {
    await withNetns(async (peer) => {
      const here = await listen(netns)
      await peer.call('setSysctls', { [TIMESTAMPS]: 0 })
      const to = { address: '10.7.0.2', port: 8001 }
      const own = { address: '10.7.0.1', port: 30_080 }
      connectNamespaces(netns, peer, { own: own.address, to: to.address })
      const rule = `ip daddr ${own.address} tcp dport ${own.port} dnat to ${to.address}:${to.port}`
      const chain = `chain out { type nat hook output priority -100\n ${rule}\n }`
      inNetns(netns, 'nft', `table ip nat {\n ${chain}\n}`)
      const opened = await peer.call('open', { bind: to, listen: 65_535 })
      await netns.call('startExporter', { flags: TOLD })
      // An own address with a listener needs no answer.
      await connect(netns, here, { ended: 60, live: 0 })
      await vi.waitFor(
        async () => {
          expect(await look(netns)).toMatchObject({ available: 100, uncertain: 0, reclaimable: 60 })
          expect(await exactnessOf(netns)).toBe('exact')
        },
        { timeout: 300_000 },
      )

      const { sockets, locals } = await netns.call('open', { connect: own, count: 100 })
      const [listener = -1] = opened.sockets
      const accepted = await peer.call('accept', { listener, peers: locals })
      await netns.call('close', { sockets })
      await peer.call('close', { sockets: accepted })
      await vi.waitFor(
        async () => {
          expect(await look(netns)).toMatchObject({ available: 100, uncertain: 100 })
          expect(await exactnessOf(netns)).toBe('inferred')
        },
        { timeout: 300_000 },
      )
      const { count, refusal } = await netns.call('fill', { connect: own })
      expect([count, refusal]).toEqual([0, 'EADDRNOTAVAIL'])
    })
  })
})

function inNetns({ pid }: Netns, program: string, ...args: readonly string[]): void {
  const isRules = program === 'nft'
  const [input] = isRules ? args : []
  const rest = isRules ? ['-f', '-'] : args
  execFileSync('nsenter', ['-t', `${pid}`, '-n', program, ...rest], { input, stdio: 'pipe' })
}

function connectNamespaces(
  netns: Netns,
  peer: Netns,
  { own, to }: { readonly own: string; readonly to: string },
): void {
  const pair = ['type', 'veth', 'peer', 'name', 'd1', 'netns', `${peer.pid}`]
  inNetns(netns, 'ip', 'link', 'add', 'd0', ...pair)
  for (const [where, device, address] of [
    [netns, 'd0', own],
    [peer, 'd1', to],
  ] as const) {
    inNetns(where, 'ip', 'address', 'add', `${address}/24`, 'dev', device)
    inNetns(where, 'ip', 'link', 'set', device, 'up')
  }
}
