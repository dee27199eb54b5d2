// tracefs is unmounted while the program runs, and mounted again: no failure is lost.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { compileClient, createClients } from '../support/failures/client.ts'
import {
  afterSamples,
  exhaust,
  hearOwn,
  instancesOf,
  nameOf,
  ownerOf,
  pairsOf,
  pathOf,
  totalOf,
  untilCounting,
  withFailureExporter,
} from '../support/failures/failure-scene.ts'
import { v4 } from '../support/failures/own-destinations.ts'
import { whyNotTraced } from '../support/failures/tracefs-place.ts'
import { withNetns } from '../support/netns/actor.ts'

const SUCCESS = 'ephemeral_port_scrape_collector_success'
const program = compileClient()

function run(...[file = '', ...args]: string[]): void {
  const { status, stderr } = spawnSync(file, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${file} ${args.join(' ')}: ${stderr}`)
}

test('failures count on, with their destinations, while tracefs is gone and when it is back', async (ctx) => {
  const skipReason = whyNotTraced() ?? (program ? undefined : 'needs a C compiler')
  if (skipReason !== undefined || program === undefined) return ctx.skip(skipReason)
  const place = mkdtempSync(join(tmpdir(), 'tracefs-'))
  const mount = () => run('mount', '-t', 'tracefs', 'nodev', place)
  // Lazily, as it is the only way while the program holds files of it.
  const unmount = () => run('umount', '-l', place)
  const clients = createClients(program.path)
  mount()
  try {
    await withNetns(async (netns) => {
      await exhaust(netns, v4)
      const name = nameOf(netns)
      const fail = (attempts: number) =>
        clients.start({ netnsPath: pathOf(netns), kind: 'tcp', to: v4, attempts }).attempt()
      const flags = ['--collector.failures']
      await withFailureExporter({ place, flags }, async (exporter) => {
        const { child, stderr } = exporter.program
        const owner = ownerOf(process.pid)
        await untilCounting(exporter, [name])
        await hearOwn(exporter, place)
        await fail(10)
        expect(totalOf(await afterSamples(exporter, 2), name)).toBe(10)

        unmount()
        await fail(7)
        const without = await afterSamples(exporter, 2)
        expect(totalOf(without, name)).toBe(17)
        expect(pairsOf(without, name)).toEqual(new Map([[`127.0.0.1:${v4.port} ${owner}`, 17]]))
        expect(without.value(SUCCESS, { collector: 'failures' })).toBe(1)
        expect(stderr()).not.toContain('Cannot record failed allocations')

        mount()
        await fail(3)
        expect(totalOf(await afterSamples(exporter, 2), name)).toBe(20)
        child.kill('SIGTERM')
        expect((await exporter.program.ended()).status).toBe(0)
        expect(instancesOf(place, child.pid)).toEqual([])
      })
    })
  } finally {
    await clients.close()
    spawnSync('umount', ['-l', place])
    rmdirSync(place)
    program.remove()
  }
})
