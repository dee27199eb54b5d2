// What less rights leave: no capability at all, and SYS_ADMIN with nothing but /run/netns.

import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { Page } from '../support/actor-page.ts'
import { whyNotLive } from '../support/live.ts'
import { withNamedNetns } from '../support/named-netns.ts'
import { type Member, withNetnsCrowd } from '../support/netns-crowd.ts'
import { type NodeExporter, withNodeExporter } from '../support/node-page.ts'

const FLAGS = ['--sample.interval=300ms', '--sample.cpu-budget=1', '--detail.min-utilization=0']
const SETPRIV = '/usr/bin/setpriv'
const skipReason = whyNotLive() ?? (existsSync(SETPRIV) ? undefined : 'needs setpriv of util-linux')

const NOTHING = [
  SETPRIV,
  '--reuid=65534',
  '--regid=65534',
  '--clear-groups',
  '--bounding-set=-all',
  '--no-new-privs',
]
/** Root by number, with one capability: /proc/<pid>/ns of others stays closed. */
const SYS_ADMIN_ONLY = [SETPRIV, '--bounding-set=-all,+sys_admin', '--no-new-privs']
const program = [process.execPath, 'dist/main.js']

const RUNTIME_NAME = `cni-${randomUUID()}`
/** The ten connections of the test. */
const holds = (page: Page, netns: string) =>
  page.value('ephemeral_port_connections_opened_total', { netns }) === 10

const sizeOf = ({ range: [first, last] }: Member) => last - first + 1

test('without any capability all are read, as upper bounds and with an assumed range', async (ctx) => {
  if (skipReason !== undefined) return ctx.skip(skipReason)
  await withNetnsCrowd((crowd) =>
    withNodeExporter(
      FLAGS,
      async ({ until }) => {
        const members = await crowd.create({ count: 5, sockets: 100, rangePorts: 40_000 })
        // Ours are those that opened 50 connections; others may be on the machine.
        const takeAssumed = (one: Page) =>
          one
            .list('ephemeral_port_source_info', { range: 'default' })
            .filter(({ labels: { netns = '' } }) => {
              return one.find('ephemeral_port_connections_opened_total', { netns }) === 50
            })
        const page = await until((one) =>
          takeAssumed(one).length >= members.length ? one : undefined,
        )
        const assumed = takeAssumed(page)
        for (const { labels } of assumed) {
          expect(labels).toMatchObject({ reader: 'procfs', exactness: 'upper_bound' })
          const { netns = '' } = labels
          expect(page.value('ephemeral_port_netns_success', { netns })).toBe(1)
          expect(page.value('ephemeral_port_usable_ports', { netns })).toBe(28_232)
        }
        // The 50 connections of each have local ports from 20,000 up, so none lies in the assumed range ...
        const used = assumed.map(({ labels: { netns = '' } }) =>
          page.value('ephemeral_port_sockets', { netns, protocol: 'tcp', state: 'established' }),
        )
        expect(used.every((count) => count <= 50)).toBe(true)
        // ... and our own is exact all the same.
        expect(page.list('ephemeral_port_source_info', { exactness: 'exact' })).toHaveLength(1)
      },
      { command: [...NOTHING, ...program] },
    ),
  )
})

test('without a capability a successor with the same inode is another namespace', async (ctx) => {
  if (skipReason !== undefined) return ctx.skip(skipReason)
  await withNetnsCrowd((crowd) =>
    withNodeExporter(
      FLAGS,
      async ({ until }) => {
        const isAlone = (count: number) => (page: { list(name: string): readonly unknown[] }) =>
          page.list('ephemeral_port_source_info').length === count || undefined
        const base = await until(
          (page) => page.list('ephemeral_port_source_info').length || undefined,
        )
        for (let turn = 0; turn < 3; turn++) {
          const members = await crowd.create({ count: 1, sockets: 2 })
          await until(isAlone(base + 1))
          await crowd.end(members)
          await until(isAlone(base))
        }
      },
      { command: [...NOTHING, ...program] },
    ),
  )
})

test('without a capability a pod is not two because its namespace has a file, or a process we may see', async (ctx) => {
  if (skipReason !== undefined) return ctx.skip(skipReason)
  await withNetnsCrowd(async (crowd) => {
    const [pod] = await crowd.create({ count: 1, sockets: 20 })
    if (pod === undefined) throw new Error('No namespace was made')
    const exporter = async ({ until }: NodeExporter) => {
      const mine = (page: Page) =>
        page
          .list('ephemeral_port_usable_ports')
          .filter(({ labels: { netns = '' } }) => netns.startsWith('inode/') && holds(page, netns))
          .map(({ labels }) => labels.netns)
      const [before] = await until((page) => (mine(page).length > 0 ? mine(page) : undefined))
      const visible = spawn(
        '/usr/bin/nsenter',
        ['-t', `${pod.pid}`, '-n', SETPRIV, '--reuid=65534', '--clear-groups', 'sleep', '60'],
        { stdio: 'ignore' },
      )
      try {
        const from = (await until((page) => page)).value('ephemeral_port_samples_total')
        const page = await until((one) =>
          one.value('ephemeral_port_samples_total') > from + 5 ? one : undefined,
        )
        expect(mine(page)).toEqual([before])
        expect(
          page.list('ephemeral_port_netns_success', { netns: `named/${RUNTIME_NAME}` }),
        ).toEqual([])
      } finally {
        visible.kill('SIGKILL')
      }
    }
    await withNamedNetns(
      pod.pid,
      () => withNodeExporter(FLAGS, exporter, { command: [...NOTHING, ...program] }),
      RUNTIME_NAME,
    )
  })
})

test('with SYS_ADMIN alone what has a name in /run/netns is exact, the rest an upper bound', async (ctx) => {
  if (skipReason !== undefined) return ctx.skip(skipReason)
  await withNetnsCrowd(async (crowd) => {
    const members = await crowd.create({ count: 2, sockets: 100, rangePorts: 300 })
    const [named, nameless] = members
    if (named === undefined || nameless === undefined) throw new Error('No namespace was made')
    await withNamedNetns(named.pid, async (name) => {
      await withNodeExporter(
        FLAGS,
        async ({ until }) => {
          const netns = `named/${name}`
          const page = await until((one) =>
            // A namespace as young as that has no name for a moment.
            one.find('ephemeral_port_usable_ports', { netns }) !== undefined &&
            one.list('ephemeral_port_source_info', { exactness: 'upper_bound' }).length > 0
              ? one
              : undefined,
          )
          expect(page.value('ephemeral_port_usable_ports', { netns })).toBe(sizeOf(named))
          const [info] = page.list('ephemeral_port_source_info', { netns })
          expect(info?.labels).toMatchObject({
            reader: 'netlink',
            exactness: 'exact',
            range: 'sysctl',
          })
          const others = page.list('ephemeral_port_source_info', { exactness: 'upper_bound' })
          expect(others.length).toBeGreaterThan(0)
        },
        { command: [...SYS_ADMIN_ONLY, ...program] },
      )
    })
  })
})

test('one that cannot be read says so, and costs the others nothing', async (ctx) => {
  if (skipReason !== undefined) return ctx.skip(skipReason)
  await withNetnsCrowd(async (crowd) => {
    const [kept, other] = await crowd.create({ count: 2, sockets: 0 })
    if (kept === undefined || other === undefined) throw new Error('No namespace was made')
    await withNamedNetns(kept.pid, async (name) => {
      // Without a process it could be read only by entering it.
      await crowd.end([kept])
      await withNodeExporter(
        FLAGS,
        async ({ until, program: { stderr } }) => {
          const netns = `named/${name}`
          const page = await until((one) =>
            one.find('ephemeral_port_netns_success', { netns }) !== undefined &&
            one.list('ephemeral_port_netns_success').filter(({ value }) => value === 1).length > 1
              ? one
              : undefined,
          )
          expect(page.value('ephemeral_port_netns_success', { netns })).toBe(0)
          expect(page.find('ephemeral_port_usable_ports', { netns })).toBeUndefined()
          expect(
            page.value('ephemeral_port_netns_failures_total', { reason: 'permission' }),
          ).toBeGreaterThan(0)
          const readable = page
            .list('ephemeral_port_netns_success')
            .filter(({ value }) => value === 1)
          expect(readable.length).toBeGreaterThanOrEqual(2)
          await until(() => (stderr().includes(netns) ? true : undefined))
          expect(stderr()).toMatch(/level=warn msg="Sockets cannot be read" netns=named.*EPERM/)
        },
        { command: [...NOTHING, ...program] },
      )
    })
  })
})
