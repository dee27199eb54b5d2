// Namespaces that are made and ended by the thousand in a minute: nothing is left of them, and what stays is read and true.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readlinkSync, statSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { withNetns } from '../support/netns/actor.ts'
import type { Page } from '../support/netns/actor-page.ts'
import { whyNotLive } from '../support/netns/live.ts'
import { depth } from '../support/program/depth.ts'
import { withNodeExporter } from '../support/program/node-page.ts'

const COUNT = depth(1500, 200)
const HELD = 30
const RANGE = [40_000, 40_099] as const
const FLAGS = ['--sample.interval=1s', '--sample.cpu-budget=1', '--detail.min-utilization=0']
const AVAILABLE = 'ephemeral_port_pool_available_ports'
const SERVER = { address: '127.0.0.1', port: 9000 }
/** Each lives for a while, so that the program meets it. Twenty begin at once, then the next. */
const SCRIPT =
  'for i in $(seq $0); do unshare -n sleep 0.5 & test $((i % 20)) = 0 && sleep 0.2; done; wait'

/** Descriptors, and those of them that keep a network namespace. */
function countHeld(pid: number | undefined): readonly [descriptors: number, namespaces: number] {
  const links = readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)]
    } catch {
      return [] // closed meanwhile
    }
  })
  return [links.length, links.filter((link) => link.startsWith('net:[')).length]
}

test('thousands of namespaces in a minute leave nothing behind, and what stays is read and true meanwhile', async (ctx) => {
  const skipReason = whyNotLive()
  if (skipReason !== undefined) return ctx.skip(skipReason)
  await withNetns(async ({ pid, call }) => {
    await call('setSysctls', { 'net.ipv4.ip_local_port_range': RANGE.join(' ') })
    await call('open', { bind: SERVER, listen: HELD })
    await call('open', { connect: SERVER, count: HELD })
    const netns = `inode/${statSync(`/proc/${pid}/ns/net`).ino}`
    const left = RANGE[1] - RANGE[0] + 1 - HELD
    const said = (page: Page) => page.find(AVAILABLE, { netns, pool: 'tcp_connect' })
    await withNodeExporter(FLAGS, async ({ program, read, until }) => {
      const first = await until((page) => (said(page) === left ? page : undefined))
      const before = countHeld(program.child.pid)
      const churn = spawn('sh', ['-c', SCRIPT, String(COUNT)], { stdio: 'ignore' })
      const ended = once(churn, 'exit')
      const seen = new Set<number | undefined>()
      const startMs = performance.now()
      while (churn.exitCode === null && churn.signalCode === null) {
        seen.add(said(await read()))
        await delay(100)
      }
      const [code] = await ended
      const perMinute = (COUNT / (performance.now() - startMs)) * 60_000
      console.log(`${Math.round(perMinute)} namespaces a minute`)
      expect(code).toBe(0)
      // What a busy machine was late with is absent, and not false.
      expect([...seen].filter((value) => value !== undefined)).toEqual([left])

      const samples = (page: Page) => page.value('ephemeral_port_samples_total')
      const after = samples(await read())
      expect(after).toBeGreaterThan(samples(first))
      const later = await until((page) => (samples(page) >= after + 2 ? page : undefined))
      expect(said(later)).toBe(left)
      expect(later.value('ephemeral_port_worker_restarts_total')).toBe(0)
      const [descriptors, namespaces] = countHeld(program.child.pid)
      // A connection of ours that is just ending may be among them.
      expect(descriptors - before[0]).toBeLessThanOrEqual(3)
      expect(namespaces).toBe(before[1])
    })
  })
})
