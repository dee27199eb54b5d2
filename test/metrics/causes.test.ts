import { expect, test } from 'vitest'
import { sampleSnapshot } from '../support/render/sample-snapshot.ts'
import { samplesOf } from './samples-of.ts'

test('what holds the ports of a pool, and the cause only where it is nearly full or at risk', async () => {
  const rows = (await samplesOf(sampleSnapshot, /_pool_(held_ports|cause_info)$/)).split('\n')
  const held = rows.filter((row) => row.includes('held_ports') && !row.endsWith(' 0'))
  expect(held.map((row) => row.replace(/.*netns="host",/, ''))).toEqual([
    'pool="nat_tcp",holder="established"} 985',
    'pool="tcp_bind",holder="established"} 22221',
    'pool="tcp_connect",holder="bound"} 2',
    'pool="tcp_connect",holder="established"} 19161',
    'pool="tcp_connect",holder="listener"} 1',
    'pool="tcp_connect",holder="time_wait"} 2000',
    'pool="udp",holder="bound"} 2',
    'pool="udp",holder="established"} 1',
  ])
  expect(rows.filter((row) => row.includes('held_ports'))).toHaveLength(9 + 9 + 2 + 2 + 2)
  expect(rows.filter((row) => row.includes('cause_info'))).toEqual([
    'ephemeral_port_pool_cause_info{netns="host",pool="nat_tcp",cause="nat_connections",owner="shop/crawler-5f8"} 1',
    'ephemeral_port_pool_cause_info{netns="host",pool="tcp_connect",cause="many_connections",owner="checkout"} 1',
  ])
})
