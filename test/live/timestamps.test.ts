// TIME_WAITs of connections without TCP timestamps, which tcp_tw_reuse cannot recycle: what the page says, and then what the
// kernel really grants.

import { expect, test } from 'vitest'
import { openLibc } from '../../src/kernel/libc.ts'
import { readPeerTimestamps } from '../../src/kernel/peer-timestamps.ts'
import { type Netns, withNetns } from '../support/netns/actor.ts'
import { readFreshPage } from '../support/netns/actor-page.ts'
import { inNetnsOf } from '../support/netns/in-netns.ts'
import { whyNotExact } from '../support/netns/live.ts'

const RANGE = { first: 40_000, last: 40_099 }
const FLAGS = ['--sample.interval=100ms', '--sample.cpu-budget=1', '--no-collector.buckets']
const CONNECT = { pool: 'tcp_connect' }
const server = { address: '127.0.0.1', port: 8001 }
const TIMESTAMPS = 'net.ipv4.tcp_timestamps'
const skipReason = whyNotExact()

/** Connections to the server that our side has closed, and some that live. */
async function connect(
  { call }: Netns,
  listener: number,
  { ended, live }: { ended: number; live: number },
) {
  const { sockets, locals } = await call('open', { connect: server, count: ended })
  const accepted = await call('accept', { listener, peers: locals })
  await call('close', { sockets })
  await call('close', { sockets: accepted })
  await call('open', { connect: server, count: live })
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
