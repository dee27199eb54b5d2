// Nothing is left behind: descriptors and namespaces are counted while a thousand namespaces come and go, and workers die.

import { readdirSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import type { WorkerOptions } from '../../src/sampler/messages.ts'
import { startSupervisor } from '../../src/sampler/supervisor.ts'
import { whyNotLive } from '../support/live.ts'
import { withNetnsCrowd } from '../support/netns-crowd.ts'
import { withNodeExporter } from '../support/node-page.ts'

const skipReason = whyNotLive()
const ROUNDS = 10
const PER_ROUND = 100
const countDescriptors = (pid: number | 'self' | undefined) => readdirSync(`/proc/${pid}/fd`).length

test('no descriptor leaks over a thousand namespaces that come and go', {
  timeout: 240_000,
}, async (ctx) => {
  if (skipReason !== undefined) return ctx.skip(skipReason)
  await withNetnsCrowd((crowd) =>
    withNodeExporter(['--sample.interval=200ms', '--sample.cpu-budget=1'], async (exporter) => {
      const { program, until } = exporter
      const counts: number[] = []
      let seen = 0
      for (let round = 0; round < ROUNDS; round++) {
        const members = await crowd.create({ count: PER_ROUND, sockets: 4 })
        const names = new Set(members.map(({ inode }) => `inode/${inode}`))
        await until((page) => {
          const shown = page
            .list('ephemeral_port_netns_success')
            .filter(({ labels }) => names.has(labels.netns ?? ''))
          return shown.length === PER_ROUND || undefined
        })
        seen += names.size
        await crowd.end(members)
        await until((page) => {
          const shown = page
            .list('ephemeral_port_netns_success')
            .some(({ labels }) => names.has(labels.netns ?? ''))
          return shown ? undefined : true
        })
        counts.push(countDescriptors(program.child.pid))
      }
      expect(seen).toBe(ROUNDS * PER_ROUND)
      // A connection of ours that is just ending may be among them.
      expect(Math.max(...counts) - Math.min(...counts), `${counts}`).toBeLessThanOrEqual(3)
    }),
  )
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
