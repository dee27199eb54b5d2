// A user without any right makes namespaces: what the page says of them, and of all others.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Page } from '../support/netns/actor-page.ts'
import { whyNotLive } from '../support/netns/live.ts'
import { withNetnsCrowd } from '../support/netns/netns-crowd.ts'
import { withNodeExporter } from '../support/program/node-page.ts'

const NOBODY = 65_534
const FLAGS = ['--sample.interval=500ms', '--sample.cpu-budget=1']
const COUNT = 150
const PLACES = 10
const SERIES_EACH = 30

/** Calls `use` with the names of the namespaces of an ordinary user; nothing is left of them. */
async function withUnprivilegedCrowd<T>(use: (names: readonly string[]) => Promise<T>): Promise<T> {
  const own = nameOf('self')
  const script = `for i in $(seq ${COUNT}); do unshare -rn sleep 600 & done; wait`
  const shell = spawn('sh', ['-c', script], {
    stdio: ['ignore', 'ignore', 'inherit'],
    uid: NOBODY,
    gid: NOBODY,
    // A group of its own, which ends as one.
    detached: true,
  })
  const exited = once(shell, 'exit')
  const group = shell.pid ?? 0
  try {
    let names: string[] = []
    while (names.length < COUNT) {
      await delay(100)
      names = listGroup(group).flatMap((pid) => nameOf(pid) ?? [])
      names = names.filter((name) => name !== own)
    }
    return await use(names)
  } finally {
    process.kill(-group, 'SIGKILL')
    await exited
  }
}

function listGroup(group: number): readonly string[] {
  return readdirSync('/proc').filter((name) => {
    try {
      const [, after = ''] = readFileSync(`/proc/${name}/stat`, 'latin1').split(') ')
      return /^\d+$/.test(name) && Number(after.split(' ')[2]) === group
    } catch {
      return false
    }
  })
}

/** As the page calls it that holds that process; undefined once the process has ended. */
function nameOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`).replace(/^net:\[(\d+)\]$/, 'inode/$1')
  } catch {
    return undefined
  }
}

test('150 empty namespaces of an ordinary user take ten places of the page, and nobody else loses one', async (ctx) => {
  const skipReason = whyNotLive()
  if (skipReason !== undefined) return ctx.skip(skipReason)
  await withNetnsCrowd(async (crowd) => {
    const ofRoot = await crowd.create({ count: 20, rangePorts: 1000 })
    const isWhole = (page: Page) =>
      ofRoot.every(({ inode }) =>
        page.find('ephemeral_port_usable_ports', { netns: `inode/${inode}` }),
      )
    const leftOut = (page: Page) =>
      page.find('ephemeral_port_truncated_series', { netns: '', family: 'namespaces' }) ?? 0
    await withUnprivilegedCrowd((names) =>
      withNodeExporter(FLAGS, async ({ until, readSnapshot }) => {
        const listed = (page: Page) =>
          names.filter((netns) => page.find('ephemeral_port_netns_info', { netns }) !== undefined)
        const page = await until((one) =>
          listed(one).length === PLACES && leftOut(one) >= COUNT - PLACES && isWhole(one)
            ? one
            : undefined,
        )
        const lines = page.text.split('\n')
        const series = lines.filter((line) => names.some((name) => line.includes(`"${name}"`)))
        expect(series.length).toBeLessThanOrEqual(PLACES * SERIES_EACH)
        const { leftOut: said, namespaces } = await readSnapshot()
        const shown = namespaces.filter(({ netns }) => names.includes(netns))
        for (const { netns, oldest } of shown) {
          expect(oldest?.program).toBe('sleep')
          expect(nameOf(String(oldest?.pid))).toBe(netns)
        }
        expect(said?.namespaces).toBeGreaterThanOrEqual(COUNT - PLACES)
      }),
    )
  })
})
