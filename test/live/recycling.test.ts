// TIME_WAITs of a peer of which no live connection tells whether it has TCP timestamps, and no refusal is counted: where connect()
// goes tells it, before the pool is full. What the page says, and then what the kernel really grants.

import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { type Netns, withNetns } from '../support/netns/actor.ts'
import { lookAtConnect, readFreshPage } from '../support/netns/actor-page.ts'
import { whyNotExact } from '../support/netns/live.ts'
import { joinByVeth } from '../support/netns/veth.ts'
import { hasProgram } from '../support/program/tools.ts'

const PORTS = 100
const CLIENT = '10.77.0.1'
const SERVER = { address: '10.77.0.2', port: 9100 }
const FLAGS = [
  '--sample.interval=500ms',
  '--sample.cpu-budget=1',
  '--no-collector.buckets',
  '--no-collector.failures',
]
/** TIME_WAITs that are old enough to be proof. */
const AGE_MS = 4000
const skipReason = whyNotExact() ?? (hasProgram('ip') ? undefined : 'needs ip')

/** Fills the first half with TIME_WAITs, and makes ten connections more, each at a sample of its own. */
async function play(peerTimestamps: number, judge: (client: Netns) => Promise<void>) {
  await withNetns((server) =>
    withNetns(async (client) => {
      joinByVeth({ netns: client, address: CLIENT }, { netns: server, address: SERVER.address })
      await client.call('setSysctls', {
        'net.ipv4.ip_local_port_range': `40000 ${40_000 + PORTS - 1}`,
        'net.ipv4.tcp_tw_reuse': 1,
        'net.ipv4.tcp_tw_reuse_delay': 1,
      })
      await server.call('setSysctls', { 'net.ipv4.tcp_timestamps': peerTimestamps })
      const [listener = -1] = (await server.call('open', { bind: SERVER, listen: 1000 })).sockets
      const churn = async (count: number) => {
        const { sockets, locals } = await client.call('open', { connect: SERVER, count })
        const accepted = await server.call('accept', { listener, peers: locals })
        await client.call('close', { sockets })
        await server.call('close', { sockets: accepted })
      }
      await client.call('startExporter', { flags: FLAGS })
      await readFreshPage(client)
      await churn(PORTS / 2)
      await delay(AGE_MS)
      for (let more = 0; more < 10; more++) {
        await churn(1)
        await readFreshPage(client)
      }
      await judge(client)
    }),
  )
}

test('connect() that passes TIME_WAITs by tells that they cannot be recycled', async (context) => {
  if (skipReason !== undefined) return context.skip(skipReason)
  await play(0, async (client) => {
    const { available, exactness } = await lookAtConnect(client)
    expect({ available, exactness }).toEqual({ available: PORTS / 2 - 10, exactness: 'inferred' })
    const { count, refusal } = await client.call('fill', { connect: SERVER })
    expect([count, refusal]).toEqual([available, 'EADDRNOTAVAIL'])
  })
})

test('connect() that recycles TIME_WAITs leaves them available', async (context) => {
  if (skipReason !== undefined) return context.skip(skipReason)
  await play(1, async (client) => {
    const { available } = await lookAtConnect(client)
    expect(available).toBe(PORTS)
    const { count } = await client.call('fill', { connect: SERVER })
    expect(count).toBe(available)
  })
})
