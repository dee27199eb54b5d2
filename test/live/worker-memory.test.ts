// The worker fills its heap: the main thread goes on, says so and starts the next one.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { whyNotLive } from '../support/netns/live.ts'
import { withNodeExporter } from '../support/program/node-page.ts'

const KILLER = fileURLToPath(new URL('../support/program/worker-killer.cjs', import.meta.url))
const FLAGS = ['--netns=self', '--sample.interval=250ms', '--sample.cpu-budget=1']
const RESTARTS = 'ephemeral_port_worker_restarts_total'
const SAMPLES = 'ephemeral_port_samples_total'

test('a worker without memory ends alone, each scrape is answered meanwhile, and the next worker samples', async (ctx) => {
  const skipReason = whyNotLive()
  if (skipReason !== undefined) return ctx.skip(skipReason)
  const directory = mkdtempSync(join(tmpdir(), 'killer-'))
  const file = join(directory, 'die')
  const env = { NODE_OPTIONS: `--require ${KILLER}`, FILE_THAT_KILLS: file, KILLS: 'memory' }
  try {
    await withNodeExporter(
      FLAGS,
      async ({ program, read, until }) => {
        const before = await until((page) => page.find(SAMPLES))
        writeFileSync(file, '')
        await expect.poll(() => existsSync(file), { timeout: 60_000 }).toBe(false)
        // Each answers, while the other thread has no memory left.
        while ((await read()).value(RESTARTS) === 0) await delay(50)
        const page = await until((one) => (one.value(SAMPLES) > before ? one : undefined))
        expect(page.value(RESTARTS)).toBe(1)
        expect(program.child.exitCode).toBeNull()
        expect(program.stderr()).toMatch(/Sampling worker died.*memory limit/)
      },
      { env },
    )
  } finally {
    rmSync(directory, { recursive: true })
  }
})
