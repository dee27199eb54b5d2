// Which destinations are named: the one that fails, however close another is, and none of the many that a program talks to once.

import { expect, test } from 'vitest'
import { withNetns } from '../support/netns/actor.ts'
import { readFreshPage } from '../support/netns/actor-page.ts'
import { whyNotExact } from '../support/netns/live.ts'

const FLAGS = ['--sample.interval=100ms', '--sample.cpu-budget=1']
const CONNECT = { pool: 'tcp_connect' }
const USED = 'ephemeral_port_destination_used_ports'
const WORST = 'ephemeral_port_pool_worst_destination_info'
const first = { address: '127.0.0.1', port: 8001 }
const second = { address: '127.0.0.1', port: 8002 }

test('the destination that is exhausted is named at once, although another was first and is close', async (context) => {
  const reason = whyNotExact()
  if (reason !== undefined) return context.skip(reason)
  await withNetns(async (netns) => {
    const { call } = netns
    await call('setSysctls', { 'net.ipv4.ip_local_port_range': '40000 40999' })
    for (const bind of [first, second]) await call('open', { bind, listen: 65_535 })
    await call('startExporter', { flags: FLAGS })
    const look = async () => {
      const page = await readFreshPage(netns)
      const named = page.list(WORST, CONNECT).map(({ labels }) => labels.destination)
      return { named, available: page.value('ephemeral_port_pool_available_ports', CONNECT) }
    }
    await call('open', { connect: first, count: 992 })
    expect(await look()).toEqual({ named: ['127.0.0.1:8001'], available: 8 })
    const { refusal } = await call('open', { connect: second, count: 1001 })
    expect(refusal).toBe('EADDRNOTAVAIL')
    expect(await look()).toEqual({ named: ['127.0.0.1:8002'], available: 0 })
    expect((await call('fill', { connect: first })).count).toBe(8)
  })
})

test('a program that connects to all the world makes no series of its destinations', async (context) => {
  const reason = whyNotExact()
  if (reason !== undefined) return context.skip(reason)
  await withNetns(async (netns) => {
    const { call } = netns
    await call('setSysctls', { 'net.ipv4.ip_local_port_range': '40000 40999' })
    await call('startExporter', { flags: FLAGS })
    const names = new Set<string | undefined>()
    for (let turn = 0; turn < 5; turn++) {
      const opened: number[] = []
      for (let host = 2; host < 102; host++) {
        const connect = { address: `10.9.0.${host}`, port: 1000 + turn }
        opened.push(...(await call('open', { connect, nonBlocking: true })).sockets)
      }
      const page = await readFreshPage(netns)
      expect(page.value('ephemeral_port_destinations')).toBe(100)
      expect(page.list(WORST)).toEqual([])
      for (const { labels } of page.list(USED)) names.add(labels.destination)
      await call('close', { sockets: opened, how: 'rst' })
    }
    expect([...names]).toEqual(['other'])
  })
})
