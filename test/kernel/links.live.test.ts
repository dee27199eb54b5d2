// Real devices of a namespace made for it, as `ip` makes them.

import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { openLibc } from '../../src/kernel/libc.ts'
import { readTunnelPorts } from '../../src/kernel/links.ts'
import { withNetns } from '../support/netns/actor.ts'
import { inNetnsOf } from '../support/netns/in-netns.ts'
import { whyNotLive } from '../support/netns/live.ts'

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
