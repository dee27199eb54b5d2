// Every namespace of the node, through the running program: a hundred of them, coming and going, and how they are told apart.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { describe, expect, test } from 'vitest'
import type { Page } from '../support/netns/actor-page.ts'
import { whyNotLive } from '../support/netns/live.ts'
import { replaceUnseen, watchNamespaces, withoutHeirs } from '../support/netns/netns-alive.ts'
import { type Member, withNetnsCrowd } from '../support/netns/netns-crowd.ts'
import { withNodeExporter } from '../support/program/node-page.ts'
import { commandOf } from '../support/program/scene-programs.ts'

const FLAGS = ['--sample.interval=500ms', '--sample.cpu-budget=1']
const skipReason = whyNotLive()

const nameOf = ({ inode }: Member) => `inode/${inode}`
const usableOf = (page: Page, member: Member) =>
  page.find('ephemeral_port_usable_ports', { netns: nameOf(member) })
const sizeOf = ({ range: [first, last] }: Member) => last - first + 1
const isComplete = (page: Page, members: readonly Member[]) =>
  members.every((member) => usableOf(page, member) === sizeOf(member)) || undefined

// A namespace takes milliseconds, a machine that is busy with other things multiplies them.
describe('--netns=all', () => {
  test('shows each of a hundred namespaces with its own range, and drops the ended ones', async (ctx) => {
    if (skipReason !== undefined) return ctx.skip(skipReason)
    await withNetnsCrowd((crowd) =>
      withNodeExporter(FLAGS, async ({ until, read }) => {
        const first = await crowd.create({ count: 60, rangePorts: 1000 })
        await until((page) => isComplete(page, first))
        const second = await crowd.create({ count: 60, rangePorts: 3000, sockets: 40 })
        await until((page) => isComplete(page, [...first, ...second]))

        await crowd.end(first)
        // Without the second the page is one that has lost its readings while the machine stood still.
        const isGone = ({ text }: Page) =>
          withoutHeirs(first).every((member) => !text.includes(`"${nameOf(member)}"`))
        const left = await until((page) =>
          isGone(page) && isComplete(page, second) ? page : undefined,
        )
        for (const member of second) {
          const netns = nameOf(member)
          expect(left.value('ephemeral_port_netns_success', { netns })).toBe(1)
          expect(left.value('ephemeral_port_used_ports', { netns, protocol: 'tcp' })).toBe(20)
        }
        expect(
          (await read()).value('ephemeral_port_netns_failures_total', { reason: 'malformed' }),
        ).toBe(0)
      }),
    )
  })

  test('never takes a namespace for the one whose inode it got', async (ctx) => {
    if (skipReason !== undefined) return ctx.skip(skipReason)
    await withNetnsCrowd((crowd) =>
      withNodeExporter([...FLAGS, '--detail.min-utilization=0'], async ({ until, program }) => {
        let reused = 0
        for (let turn = 0; turn < 20 && reused < 3; turn++) {
          const old = await crowd.createOne({ rangePorts: 500, sockets: 400 })
          const peakOf = (page: Page) =>
            page.find('ephemeral_port_pool_utilization_peak_ratio', {
              netns: nameOf(old),
              pool: 'tcp_connect',
            })
          await until((page) => (peakOf(page) ?? 0) > 0 || undefined)
          const order = { rangePorts: 700 + 100 * turn }
          const next = await replaceUnseen(crowd, old, { order, unseenBy: program.child.pid ?? 0 })
          if (next === undefined) continue
          reused++
          const page = await until((one) => (isComplete(one, [next]) ? one : undefined))
          // A peak of the old one would be the sign of a mixture.
          expect(peakOf(page)).toBe(0)
        }
        expect(reused).toBeGreaterThan(0)
      }),
    )
  })

  test('nor when the process that it is known by moves on, into one with the same inode', async (ctx) => {
    if (skipReason !== undefined) return ctx.skip(skipReason)
    const [file, ...args] = commandOf('test/support/netns/netns-mover.ts')
    /** Whether the process got the inode again: another test may have taken it. */
    const watchMove = async (): Promise<boolean> => {
      const mover = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] })
      const lines = createInterface({ input: mover.stdout })[Symbol.asyncIterator]()
      const hear = async () => JSON.parse((await lines.next()).value)
      try {
        const { inode } = await hear()
        const netns = `inode/${inode}`
        const usable = (page: Page) => page.find('ephemeral_port_usable_ports', { netns })
        const sampled = (page: Page) =>
          page.find('ephemeral_port_last_sample_timestamp_seconds') ?? 0
        return await withNodeExporter(
          ['--sample.interval=2s', '--sample.cpu-budget=1'],
          async (exporter) => {
            const before = await exporter.until((page) =>
              usable(page) === 28_232 ? page : undefined,
            )
            // Just after a sample, so that the next one sees only where it ended up.
            await exporter.until((page) => sampled(page) > sampled(before) || undefined)
            mover.stdin.write('40000 40099\n')
            if (!(await hear()).again) return false
            const after = await exporter.until((page) => (usable(page) === 100 ? page : undefined))
            expect(after.value('ephemeral_port_netns_success', { netns })).toBe(1)
            return true
          },
        )
      } finally {
        const ended = once(mover, 'exit')
        mover.stdin.end()
        await ended
      }
    }
    let hasMoved = false
    for (let turn = 0; turn < 5 && !hasMoved; turn++) hasMoved = await watchMove()
    expect(hasMoved).toBe(true)
  })

  test('keeps nothing alive: an ended namespace is gone within one sample', async (ctx) => {
    if (skipReason !== undefined) return ctx.skip(skipReason)
    await withNetnsCrowd((crowd) =>
      withNodeExporter(FLAGS, async ({ until }) => {
        const members = await crowd.create({ count: 50, sockets: 20 })
        const countAlive = watchNamespaces(members)
        await until((page) => isComplete(page, members))
        const [held] = members
        if (held === undefined) throw new Error('No namespace was made')
        const holder = openSync(`/proc/${held.pid}/ns/net`, 'r')
        try {
          await crowd.end(members)
          await until((page) => (usableOf(page, held) === undefined ? true : undefined))
          // The kernel tears them down in the background. One that somebody holds does not go: so it would be with ours.
          await expect.poll(countAlive, { timeout: 120_000 }).toBe(1)
        } finally {
          closeSync(holder)
        }
        await expect.poll(countAlive, { timeout: 120_000 }).toBe(0)
      }),
    )
  })

  test('a quiet namespace has at most 30 series, a busy one its rows', async (ctx) => {
    if (skipReason !== undefined) return ctx.skip(skipReason)
    await withNetnsCrowd((crowd) =>
      withNodeExporter(FLAGS, async ({ until, readOf }) => {
        const quiet = await crowd.createOne({ rangePorts: 1000, sockets: 100 })
        const busy = await crowd.createOne({ rangePorts: 400, sockets: 400 })
        const risk = 'ephemeral_port_exhaustion_risk_ratio'
        await until((page) => page.list(risk, { netns: nameOf(busy) })[0])
        await until((page) => page.list(risk, { netns: nameOf(quiet) })[0])
        const lines = (page: Page) =>
          page.text.split('\n').filter((line) => line.includes('netns='))
        expect(lines(await readOf(nameOf(quiet))).length).toBeLessThanOrEqual(30)
        const rows = (await readOf(nameOf(busy))).list('ephemeral_port_destination_used_ports')
        expect(rows.map(({ labels }) => labels.destination)).toContain('127.0.0.1:9000')
      }),
    )
  })
})
