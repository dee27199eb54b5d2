// Nothing is left behind: descriptors and namespaces are counted while hundreds of namespaces come and go, and workers die.

import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import type { WorkerOptions } from '../../src/sample.ts'
import { startSupervisor } from '../../src/sampler/supervisor.ts'
import type { Page } from '../support/netns/actor-page.ts'
import { whyNotLive } from '../support/netns/live.ts'
import { watchNamespaces, withoutHeirs } from '../support/netns/netns-alive.ts'
import { type Member, withNetnsCrowd } from '../support/netns/netns-crowd.ts'
import { depth } from '../support/program/depth.ts'
import { withNodeExporter } from '../support/program/node-page.ts'

const skipReason = whyNotLive()
const ROUNDS = depth(10, 3)
const PER_ROUND = 100
const KILLS = depth(5, 2)
const countDescriptors = (pid: number | 'self' | undefined) => readdirSync(`/proc/${pid}/fd`).length

const FLAGS = ['--sample.interval=200ms', '--sample.cpu-budget=1']
const KILLER = fileURLToPath(new URL('../support/program/worker-killer.cjs', import.meta.url))

/** How many of them the page shows. */
function countShown(page: Page, members: readonly Member[]): number {
  const names = new Set(members.map(({ inode }) => `inode/${inode}`))
  const rows = page.list('ephemeral_port_netns_success')
  return rows.filter(({ labels }) => names.has(labels.netns ?? '')).length
}

test('neither descriptor nor namespace leaks over hundreds of namespaces that come and go', async (ctx) => {
  if (skipReason !== undefined) return ctx.skip(skipReason)
  await withNetnsCrowd((crowd) =>
    withNodeExporter(FLAGS, async ({ program, until }) => {
      const counts: number[] = []
      for (let round = 0; round < ROUNDS; round++) {
        const members = await crowd.create({ count: PER_ROUND, sockets: 4 })
        const countAlive = watchNamespaces(members)
        await until((page) => countShown(page, members) === PER_ROUND || undefined)
        expect(countAlive()).toBe(PER_ROUND)
        await crowd.end(members)
        await until((page) => countShown(page, withoutHeirs(members)) === 0 || undefined)
        await expect.poll(countAlive, { timeout: 120_000 }).toBe(0)
        counts.push(countDescriptors(program.child.pid))
      }
      // A connection of ours that is just ending may be among them.
      expect(Math.max(...counts) - Math.min(...counts), `${counts}`).toBeLessThanOrEqual(3)
    }),
  )
})

test('neither leaks when the worker dies again and again inside one of a hundred namespaces', async (ctx) => {
  if (skipReason !== undefined) return ctx.skip(skipReason)
  const directory = mkdtempSync(join(tmpdir(), 'killer-'))
  const file = join(directory, 'die')
  const env = { NODE_OPTIONS: `--require ${KILLER}`, FILE_THAT_KILLS: file, KILLS: 'inside' }
  try {
    await withNetnsCrowd((crowd) =>
      withNodeExporter(
        FLAGS,
        async ({ program, until }) => {
          const counts: number[] = []
          const samplesOf = (page: Page) => page.value('ephemeral_port_samples_total')
          const isAllRead = (page: Page, members: readonly Member[]) =>
            countShown(page, members) === PER_ROUND || undefined
          const deathsOf = (page: Page) => page.value('ephemeral_port_worker_restarts_total')
          for (let deaths = 0; deaths < KILLS; deaths++) {
            const members = await crowd.create({ count: PER_ROUND, sockets: 4 })
            const countAlive = watchNamespaces(members)
            await until((page) => isAllRead(page, members))
            writeFileSync(file, '')
            // All are on the page of the death as well, of which the next worker has opened nothing yet.
            const before = await until((page) =>
              deathsOf(page) === deaths + 1 ? samplesOf(page) : undefined,
            )
            await until((page) => (samplesOf(page) > before ? isAllRead(page, members) : undefined))
            counts.push(countDescriptors(program.child.pid))
            await crowd.end(members)
            await expect.poll(countAlive, { timeout: 120_000 }).toBe(0)
          }
          expect(Math.max(...counts) - Math.min(...counts), `${counts}`).toBeLessThanOrEqual(3)
        },
        { env },
      ),
    )
  } finally {
    rmSync(directory, { recursive: true })
  }
})

/** A worker that ends in the middle of a read, with two sockets open that only libc knows of. */
const DYING = `
  import { parentPort, workerData } from 'node:worker_threads'
  const { noteDescriptors } = await import('${moduleOf('kernel/descriptors.js')}')
  const { openLibc } = await import('${moduleOf('kernel/libc.js')}')
  const libc = noteDescriptors(await openLibc(), workerData.descriptors)
  parentPort.on('message', ({ type }) => {
    if (type !== 'sample') return
    libc.close(libc.socket(16, 3, 4))
    libc.socket(16, 3, 4)
    libc.socket(16, 3, 4)
    throw new Error('in the middle of a read')
  })
  parentPort.postMessage({ type: 'opened', reader: 'netlink', traits: {}, refusals: [] })
`

function moduleOf(path: string): string {
  return pathToFileURL(`dist/${path}`).href
}

test('what a dead worker had open is closed', async (ctx) => {
  if (skipReason !== undefined) return ctx.skip(skipReason)
  const lives = 3
  const counts: number[] = []
  await new Promise<void>((resolve, reject) => {
    const supervisor = startSupervisor(
      { procfs: '/proc' } as WorkerOptions,
      {
        opened: () => supervisor.requestSample(0.1),
        refused: (reason) => reject(new Error(reason)),
        sampled: () => reject(new Error('it should have died')),
        died: (reason) => {
          if (!reason.includes('in the middle of a read')) reject(new Error(reason))
          counts.push(countDescriptors('self'))
          if (counts.length === lives) void supervisor.stop().then(resolve)
        },
        stuck: reject,
      },
      new URL(`data:text/javascript,${encodeURIComponent(DYING)}`),
    )
  })
  expect(Math.max(...counts) - Math.min(...counts), `${counts}`).toBeLessThanOrEqual(1)
})
