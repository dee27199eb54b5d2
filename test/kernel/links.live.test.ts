// Real devices of a namespace made for it, as `ip` makes them.

import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { openLibc } from '../../src/kernel/libc.ts'
import { dumpDevices, readTunnelPorts } from '../../src/kernel/links.ts'
import { NETLINK_ROUTE, openNetlinkChannel } from '../../src/kernel/netlink-channel.ts'
import { withNetns } from '../support/netns/actor.ts'
import { inNetnsOf } from '../support/netns/in-netns.ts'
import { whyNotLive } from '../support/netns/live.ts'

/** More than fit into one datagram. */
const MANY_DEVICES = 100
const VXLAN = 'vx0 type vxlan id 5 local 127.0.0.1 dstport 40007'

test('readTunnelPorts() finds the port of a real tunnel', async (context) => {
  const reason = whyNotLive()
  if (reason !== undefined) return context.skip(reason)
  const libc = await openLibc()
  await withNetns(async ({ pid }) => {
    const look = () => [...inNetnsOf(libc, pid, () => readTunnelPorts(libc))]
    expect(look()).toEqual([])
    const link = (change: string) =>
      spawnSync('nsenter', [`--net=/proc/${pid}/ns/net`, 'ip', 'link', ...change.split(' ')], {
        encoding: 'utf8',
      })
    const { status, stderr, error } = link(`add ${VXLAN}`)
    if (status !== 0)
      return context.skip(`ip link add ${VXLAN}: ${error?.message ?? stderr.trim()}`)
    expect(look()).toEqual([])
    expect(link('set vx0 up').status).toBe(0)
    expect(look()).toEqual([40_007])
  })
})

test('dumpDevices() asks again when a device comes while it lists them', async (context) => {
  const reason = whyNotLive()
  if (reason !== undefined) return context.skip(reason)
  const libc = await openLibc()
  await withNetns(async ({ pid }) => {
    const batch = (lines: readonly string[]) =>
      spawnSync('nsenter', [`--net=/proc/${pid}/ns/net`, 'ip', '-batch', '-'], {
        input: lines.join('\n'),
        encoding: 'utf8',
      })
    const add = (index: number) => `link add d${index} index ${index} type bridge`
    const first = 1000
    const made = batch(Array.from({ length: MANY_DEVICES }, (_, at) => add(first + at)))
    if (made.status !== 0) return context.skip(made.error?.message ?? made.stderr.trim())
    let opened = 0
    let received = 0
    const devices = inNetnsOf(libc, pid, () =>
      dumpDevices(() => {
        const channel = openNetlinkChannel(libc, NETLINK_ROUTE)
        opened++
        return {
          ...channel,
          receive: () => {
            // The kernel has two datagrams ready before it is asked for the first.
            if (opened === 1 && ++received === 3) expect(batch([add(900)]).status).toBe(0)
            return channel.receive()
          },
        }
      }, [1, 900, first, first + MANY_DEVICES - 1]),
    )
    expect(received).toBeGreaterThan(3)
    expect(opened).toBe(2)
    expect([...devices.values()].map(({ name }) => name)).toEqual([
      'lo',
      'd900',
      `d${first}`,
      `d${first + MANY_DEVICES - 1}`,
    ])
  })
})
