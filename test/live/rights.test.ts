// What less rights leave: no capability at all, and SYS_ADMIN with nothing but /run/netns.

import { spawn } from 'node:child_process'
import { randomInt, randomUUID } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { Page } from '../support/netns/actor-page.ts'
import { whyNotLive } from '../support/netns/live.ts'
import { withNamedNetns } from '../support/netns/named-netns.ts'
import { replaceUnseen } from '../support/netns/netns-alive.ts'
import { type Member, withNetnsCrowd } from '../support/netns/netns-crowd.ts'
import { type NodeExporter, withNodeExporter } from '../support/program/node-page.ts'

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
/** The one name that is left for a namespace whose ns/net may not be looked at. */
const hiddenInodeOf = ({ pid }: Member) => statSync(`/proc/${pid}/net/tcp`).ino
const hiddenNameOf = (member: Member) => `inode/${hiddenInodeOf(member)}`
const sizeOf = ({ range: [first, last] }: Member) => last - first + 1

test('without any capability all are read, as upper bounds and with an assumed range', async (ctx) => {
  if (skipReason !== undefined) return ctx.skip(skipReason)
  await withNetnsCrowd((crowd) =>
    withNodeExporter(
      FLAGS,
      async ({ until }) => {
        // The assumed range is 32,768 to 60,999: one half connects from below it, one half from within.
        const order = { count: 3, sockets: 100, rangePorts: 5000 }
        const below = await crowd.create({ ...order, firstPort: 20_000 })
        const within = await crowd.create({ ...order, firstPort: 40_000 })
        const all = [...below, ...within].map(hiddenNameOf)
        const page = await until((one) =>
          all.every((netns) => one.find('ephemeral_port_netns_success', { netns }) === 1)
            ? one
            : undefined,
        )
        for (const netns of all) {
          const [info] = page.list('ephemeral_port_source_info', { netns })
          expect(info?.labels).toMatchObject({
            reader: 'procfs',
            exactness: 'upper_bound',
            range: 'default',
          })
          expect(page.value('ephemeral_port_usable_ports', { netns })).toBe(28_232)
        }
        const used = all.map((netns) =>
          page.value('ephemeral_port_used_ports', { netns, protocol: 'tcp' }),
        )
        expect(used).toEqual([0, 0, 0, 50, 50, 50])
        // Our own is read by netlink all the same; sockets of others on the machine may leave their history in doubt.
        const own = page.list('ephemeral_port_source_info', { reader: 'netlink' })
        expect(own).toHaveLength(1)
        expect(['exact', 'inferred']).toContain(own[0]?.labels.exactness)
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
      async ({ until, program: { child } }) => {
        const samplesOf = (page: Page) => page.value('ephemeral_port_samples_total')
        const peakOf = (page: Page, netns: string) =>
          page.find('ephemeral_port_pool_utilization_peak_ratio', { netns, pool: 'tcp_connect' })
        let reused = false
        for (let turn = 0; turn < 20 && !reused; turn++) {
          const old = await crowd.createOne({ sockets: 400, firstPort: 40_000 })
          const netns = hiddenNameOf(old)
          await until((page) => (peakOf(page, netns) ?? 0) > 0 || undefined)
          const options = { numberOf: hiddenInodeOf, unseenBy: child.pid ?? 0 }
          const next = await replaceUnseen(crowd, old, options)
          if (next !== undefined) {
            reused = true
            const before = await until(samplesOf)
            // A quiet namespace is read when it is its turn.
            const usedOf = (page: Page) =>
              page.find('ephemeral_port_used_ports', { netns, protocol: 'tcp' })
            const page = await until((one) =>
              samplesOf(one) > before + 1 && usedOf(one) !== undefined ? one : undefined,
            )
            expect(usedOf(page)).toBe(0)
            // It would still be that of the old one if they had been mixed up.
            expect(peakOf(page, netns)).toBe(0)
          }
        }
        expect(reused).toBe(true)
      },
      { command: [...NOTHING, ...program] },
    ),
  )
})

test('without a capability a pod is not two because its namespace has a file, or a process we may see', async (ctx) => {
  if (skipReason !== undefined) return ctx.skip(skipReason)
  await withNetnsCrowd(async (crowd) => {
    // A number by which it is known among other namespaces of the machine, whatever their names.
    const connections = randomInt(700, 1000)
    const pod = await crowd.createOne({ sockets: 2 * connections, firstPort: 40_000 })
    const exporter = async ({ until }: NodeExporter) => {
      const mine = (page: Page) =>
        page
          .list('ephemeral_port_sockets', { protocol: 'tcp', state: 'established' })
          .filter(({ value }) => value === connections)
          .map(({ labels }) => labels.netns)
      const [before] = await until((page) => (mine(page).length > 0 ? mine(page) : undefined))
      expect(before).toBe(hiddenNameOf(pod))
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
          // Of several at once, such as a neighbour's, the line names one.
          const said = new RegExp(
            `level=info msg="Sockets cannot be read" (namespaces=\\d+ netns=named/|netns=${netns} ).*EPERM`,
          )
          await until(() => said.test(stderr()) || undefined)
        },
        { command: [...NOTHING, ...program] },
      )
    })
  })
})
