// Sockets without a remote port through the netlink source: the kernel is asked for idle ones by that port, and a connection to
// port 0 must not be taken for one of them.

import { describe, expect, test } from 'vitest'
import { openLibc } from '../../src/kernel/libc.ts'
import { openLoadedNetlink } from '../../src/sources/netlink.ts'
import { describeRows } from '../kernel/rows.ts'
import { withNetns } from '../support/netns/actor.ts'
import { inNetnsOf } from '../support/netns/in-netns.ts'
import { whyNotExact } from '../support/netns/live.ts'

const skipReason = whyNotExact()

describe('the source', () => {
  test('lists a connection to port 0 once, and tells who chose its local port', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    await withNetns(async (netns) => {
      // Nobody answers there.
      const connect = { address: '10.9.0.99', port: 0 }
      const bind = { address: '10.9.0.1', port: 40_000 }
      const local = { address: '127.0.0.1', port: 0 }
      // No other socket gets a port that one asks for by its number.
      await netns.call('setSysctls', { 'net.ipv4.ip_local_reserved_ports': '40000-40002' })
      await netns.call('open', { connect, nonBlocking: true, count: 2 })
      await netns.call('open', { bind, connect, nonBlocking: true })
      await netns.call('open', { bind: local })
      await netns.call('open', { bind: { ...local, port: 40_001 }, listen: 1 })
      await netns.call('open', { bind: { ...bind, port: 40_002 }, connect, nonBlocking: true })
      const libc = await openLibc()
      const rows = inNetnsOf(libc, netns.pid, () => {
        const options = { procfs: '/proc', platform: 'linux', ownPort: undefined }
        const source = openLoadedNetlink(libc, { ...options, everyNamespace: true })
        const rows: string[] = []
        // A batch is overwritten by the next one.
        for (const batch of source.read().batches) {
          const choice = batch.explicit ? 'explicit' : 'auto'
          rows.push(...describeRows([batch]).map((row) => `${choice} ${row}`))
        }
        return rows
      })
      const kinds = rows.map((row) => row.split(' ').slice(0, 3).join(' '))
      expect(kinds.sort()).toEqual([
        'auto tcp syn_sent',
        'auto tcp syn_sent',
        'explicit tcp bound',
        'explicit tcp listen',
        'explicit tcp syn_sent',
        'explicit tcp syn_sent',
      ])
    })
  })
})
