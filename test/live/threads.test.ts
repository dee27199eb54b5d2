// A switch of namespaces stays in the worker thread: all other threads are asked where they are.

import { execFile } from 'node:child_process'
import { readdirSync, readlinkSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { whyNotLive } from '../support/netns/live.ts'
import { withNetnsCrowd } from '../support/netns/netns-crowd.ts'
import { withNodeExporter } from '../support/program/node-page.ts'

const skipReason = whyNotLive()
const run = promisify(execFile)
const DIST = fileURLToPath(new URL('../../dist', import.meta.url))
const CENSUS = fileURLToPath(new URL('../support/program/thread-census.cjs', import.meta.url))

type Census = Readonly<Record<string, string>>

/** Threads that are elsewhere than the program began. */
async function takeStrangers(
  mode: 'warm' | 'cold',
): Promise<{ inside: string[]; outside: string[] }> {
  return withNetnsCrowd(async (crowd) => {
    const [member] = await crowd.create({ count: 1 })
    const args = [CENSUS, String(member?.pid), mode, DIST]
    const { stdout } = await run(process.execPath, args, {
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
    })
    const censuses: { before: Census; inside: Census; outside: Census } = JSON.parse(stdout)
    const [home] = Object.values(censuses.before)
    const strangers = (census: Census) =>
      Object.entries(census).flatMap(([tid, netns]) => (netns === home ? [] : [tid]))
    return { inside: strangers(censuses.inside), outside: strangers(censuses.outside) }
  })
}

test('a switch moves no other thread, whatever is used for the first time during it', async (ctx) => {
  if (skipReason !== undefined) return ctx.skip(skipReason)
  const { inside, outside } = await takeStrangers('warm')
  expect(inside).toHaveLength(1)
  expect(outside).toEqual([])
})

test('the check sees a pool that was not warmed', async (ctx) => {
  if (skipReason !== undefined) return ctx.skip(skipReason)
  const { inside, outside } = await takeStrangers('cold')
  expect(inside.length).toBeGreaterThan(1)
  expect(outside.length).toBeGreaterThan(0)
})

test('of the running program at most the worker is ever elsewhere', async (ctx) => {
  if (skipReason !== undefined) return ctx.skip(skipReason)
  await withNetnsCrowd((crowd) =>
    withNodeExporter(['--sample.interval=100ms', '--sample.cpu-budget=1'], async (exporter) => {
      const { program, until, read } = exporter
      const members = await crowd.create({ count: 20, rangePorts: 200, sockets: 200 })
      await until((page) =>
        page.list('ephemeral_port_netns_success').length > 20 ? true : undefined,
      )
      const home = readlinkSync(`/proc/${program.child.pid}/ns/net`)
      const elsewhere = new Set<string>()
      const deadline = Date.now() + 300_000
      for (let look = 0; Date.now() < deadline && (look < 500 || elsewhere.size === 0); look++) {
        for (const [tid, netns] of listThreads(program.child.pid)) {
          if (netns !== undefined && netns !== home) elsewhere.add(tid)
        }
        // Pages are rendered and compressed meanwhile, as by a scraper.
        if (look % 50 === 0) await read()
      }
      expect(members).toHaveLength(20)
      expect(elsewhere.size).toBe(1)
      expect(elsewhere.has(String(program.child.pid))).toBe(false)
    }),
  )
})

function listThreads(pid: number | undefined): [string, string | undefined][] {
  const directory = `/proc/${pid}/task`
  return readdirSync(directory).map((tid) => {
    try {
      return [tid, readlinkSync(`${directory}/${tid}/ns/net`)]
    } catch {
      return [tid, undefined] // it has ended
    }
  })
}
