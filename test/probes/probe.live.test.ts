// The probes against the kernel: what they say of a port must be what a connect() then finds, and nobody must notice them.

import { describe, expect, test } from 'vitest'
import { openLibc } from '../../src/kernel/libc.ts'
import { estimateHidden, listAmbiguousPorts, noteTests } from '../../src/model/hidden-ports.ts'
import { probeAllocation } from '../../src/probes/canary.ts'
import { probePort, probePorts } from '../../src/probes/port.ts'
import { createViewer, mapPorts, useBits } from '../support/failures/socket-rows.ts'
import { openLibc as openTestLibc } from '../support/kernel/libc.ts'
import { candidates, connectsLeft } from '../support/kernel/reference-model.ts'
import { withNetns } from '../support/netns/actor.ts'
import { inNetnsOf } from '../support/netns/in-netns.ts'
import { whyNotExact } from '../support/netns/live.ts'
import { describeMix, makeMix } from '../support/netns/mix.ts'
import { destinations } from '../support/netns/mix-actions.ts'
import { unshareNetns } from '../support/netns/netns.ts'

const skipReason = whyNotExact()
const SETTLE_MS = 30

/** The kernel's own counts of this namespace: TCP sockets, TIME_WAITs and UDP sockets. The rest is of the whole machine. */
function sockstat(text: string): string[] {
  return [/TCP: inuse \d+/, / tw \d+/, /UDP: inuse \d+/].map(
    (count) => count.exec(text)?.[0] ?? text,
  )
}

describe('probePort()', () => {
  test('says of each port what bound, listening and connected sockets made of it', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    const libc = await openLibc()
    await withNetns(async (netns) => {
      const { call, pid } = netns
      await call('setSysctls', { 'net.ipv4.ip_local_port_range': '40000 40099' })
      const to = { address: '127.0.0.1', port: 8001 }
      await call('open', { bind: to, listen: 100 })
      // Before the kernel chooses any port, so that it cannot choose this one.
      const listening = await call('open', { bind: { address: '::1', port: 40_050 }, listen: 1 })
      const connected = await call('open', { connect: to })
      const hidden = await call('open', { bind: { address: '127.0.0.1', port: 0 }, connect: to })
      const bound = await call('open', { bind: { address: '127.0.0.77', port: 0 } })
      const taken = [connected, hidden, bound, listening].map(({ locals }) => locals[0]?.port ?? 0)
      const free = Array.from({ length: 100 }, (_, index) => 40_000 + index).find(
        (port) => !taken.includes(port),
      )
      const verdicts = inNetnsOf(libc, pid, () =>
        [...taken, free ?? 0].map((port) => probePort(libc, port)),
      )
      expect(verdicts).toEqual(['usable', 'closed', 'closed', 'closed', 'usable'])
    })
  })

  test('says unknown where loopback is down, as in a namespace that is new', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    const libc = await openLibc()
    const answer = inNetnsOf(libc, process.pid, () => {
      unshareNetns(openTestLibc())
      return { verdict: probePort(libc, 40_000), probes: probePorts(libc, [40_000, 40_001]) }
    })
    expect(answer).toMatchObject({ verdict: 'unknown', probes: { usable: [], closed: [] } })
    expect(answer.probes.problem).toMatch(/^Cannot test ports: (bind|connect): E/)
  })
})

/** As in the truth test, every third seed. */
const seeds = [201, 204, 207, 210, 213, 216]

test.for(seeds)(
  'mix %i is predicted exactly once every ambiguous port was tested',
  async (seed, context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    const libc = await openLibc()
    const view = await createViewer(libc)
    await withNetns(async (netns) => {
      const { call, pid } = netns
      const mix = await makeMix(netns, { seed, kind: 'hidden' })
      const wrong: string[] = []
      for (const { from, to } of destinations) {
        const before = view(pid)
        const statBefore = await call('readFile', { path: '/proc/net/sockstat' })

        const { usable, portUse } = mapPorts(before)
        const ambiguous = listAmbiguousPorts(usable, portUse, useBits)
        // All of the range, which is more than the product asks: what is free must not notice either.
        const answers = inNetnsOf(libc, pid, () =>
          probePorts(libc, candidates(before.settings, true)),
        )
        expect(answers.problem).toBeUndefined()

        const after = view(pid)
        const statAfter = await call('readFile', { path: '/proc/net/sockstat' })
        expect(after.rows).toEqual(before.rows)
        expect(sockstat(statAfter)).toEqual(sockstat(statBefore))

        const known = new Set(ambiguous)
        const onlyAmbiguous = {
          usable: answers.usable.filter((port) => known.has(port)),
          closed: answers.closed.filter((port) => known.has(port)),
        }
        const tests = noteTests(new Map(), onlyAmbiguous, { ambiguous, nowSeconds: 1 })
        const { closed, untested } = estimateHidden(ambiguous, tests)
        expect(untested.size).toBe(0)
        const sockets = before.sockets.map((socket) =>
          closed.has(socket.port) ? { ...socket, explicit: true } : socket,
        )
        const destination = to.address.replace('::ffff:', '')
        const predicted = connectsLeft(sockets, before.settings, {
          source: from,
          destination,
          remotePort: to.port,
          device: 0,
        })
        const { count, refusal } = await call('fill', { connect: to })
        await new Promise((resolve) => setTimeout(resolve, SETTLE_MS))
        if (count !== predicted || refusal !== 'EADDRNOTAVAIL') {
          wrong.push(
            `${destination}:${to.port}: predicted ${predicted}, granted ${count} (${refusal})`,
          )
        }
      }
      expect(wrong, describeMix(mix)).toEqual([])
    })
  },
)

describe('probeAllocation()', () => {
  test('tells an empty pool from one that is not, and gives back what it took', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    const libc = await openLibc()
    const view = await createViewer(libc)
    await withNetns(async ({ call, pid }) => {
      await call('setSysctls', { 'net.ipv4.ip_local_port_range': '40000 40019' })
      const probe = (pool: 'tcp_bind' | 'udp') =>
        inNetnsOf(libc, pid, () => probeAllocation(libc, pool, () => performance.now() / 1000))
      const any = { address: '0.0.0.0', port: 0 }
      await call('open', { bind: any, count: 19 })
      await call('open', { protocol: 'udp', bind: any, count: 19 })

      const before = view(pid).rows
      for (let again = 0; again < 100; again++) {
        expect([probe('tcp_bind')?.success, probe('udp')?.success]).toEqual([true, true])
      }
      expect(view(pid).rows).toEqual(before)

      // One port was left, and still is.
      expect((await call('open', { bind: any, count: 2 })).locals).toHaveLength(1)
      expect([probe('tcp_bind')?.success, probe('udp')?.success]).toEqual([false, true])
      expect((await call('open', { protocol: 'udp', bind: any, count: 2 })).locals).toHaveLength(1)
      const last = [probe('tcp_bind'), probe('udp')]
      expect(last.map((one) => one?.success)).toEqual([false, false])
      for (const one of last) expect(one?.durationSeconds).toBeGreaterThan(0)
    })
  })
})
