// One namespace that cannot be read, among a hundred that can: the exporter is root of a user namespace, as on a node of
// rootless containers, and one of the files in /run/netns belongs to the machine's root.

import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import type { Page } from '../support/netns/actor-page.ts'
import { whyNotLive } from '../support/netns/live.ts'
import { withNamedNetns } from '../support/netns/named-netns.ts'
import { withoutHeirs } from '../support/netns/netns-alive.ts'
import { type Member, type NetnsCrowd, withNetnsCrowd } from '../support/netns/netns-crowd.ts'
import { type NodeExporter, withNodeExporter } from '../support/program/node-page.ts'
import { withUserNamespace } from './user-namespace.ts'

const FLAGS = ['--sample.interval=500ms', '--sample.cpu-budget=1']
const COUNT = 100
const skipReason = whyNotLive() ?? whyNoUserNamespace()

function whyNoUserNamespace(): string | undefined {
  const { status } = spawnSync('unshare', ['--user', '--map-root-user', '--net', 'true'])
  return status === 0 ? undefined : 'needs unshare of util-linux, and user namespaces'
}

const nameOf = ({ inode }: Member) => `inode/${inode}`

/**
 * Each by itself: all their ranges differ. Nobody in a user namespace may read bind buckets, so it is inferred how the
 * connections came by their ports.
 */
function isRead(page: Page, member: Member): boolean {
  const netns = nameOf(member)
  const [first, last] = member.range
  return (
    page.find('ephemeral_port_usable_ports', { netns }) === last - first + 1 &&
    page.find('ephemeral_port_used_ports', { netns, protocol: 'tcp' }) === 5 &&
    page.find('ephemeral_port_netns_success', { netns }) === 1 &&
    page.list('ephemeral_port_source_info', { netns, exactness: 'inferred' }).length === 1
  )
}

/** With a namespace of the machine's root that nothing but its file in /run/netns keeps. */
async function withForbidden(use: (netns: string) => Promise<void>) {
  await withNetnsCrowd(async (crowd) => {
    const members = await crowd.create({})
    await withNamedNetns(members[0]?.pid ?? 0, async (name) => {
      await crowd.end(members)
      await use(`named/${name}`)
    })
  })
}

/** An exporter and a hundred namespaces that belong to one user namespace. */
async function withRootless(use: (exporter: NodeExporter, crowd: NetnsCrowd) => Promise<void>) {
  await withUserNamespace((command) =>
    withNetnsCrowd(
      (crowd) =>
        withNodeExporter(FLAGS, (exporter) => use(exporter, crowd), {
          command: [...command, process.execPath, 'dist/main.js'],
        }),
      command,
    ),
  )
}

test('one of a hundred that cannot be read says so, and costs the others nothing', async (ctx) => {
  if (skipReason !== undefined) return ctx.skip(skipReason)
  await withForbidden((netns) =>
    withRootless(async ({ until, readSnapshot, program }, crowd) => {
      const areRead = (page: Page, members: readonly Member[]) =>
        members.every((member) => isRead(page, member))
      const members = [...(await crowd.create({ count: COUNT, sockets: 10 }))]
      const first = await until((page) =>
        areRead(page, members) && page.find('ephemeral_port_netns_success', { netns }) !== undefined
          ? page
          : undefined,
      )
      const failures = (page: Page) =>
        page.value('ephemeral_port_netns_failures_total', { reason: 'permission' })

      // Neither those that come, nor those that go, nor those that stay are any the worse for it.
      const gone = members.splice(0, 10)
      await crowd.end(gone)
      members.push(...(await crowd.create({ count: 10, sockets: 10, rangePorts: 3000 })))
      // A freed inode is given away again at once.
      const isGone = ({ text }: Page) =>
        withoutHeirs(gone).every((one) => !text.includes(`"${nameOf(one)}"`))
      const page = await until((one) =>
        areRead(one, members) && failures(one) >= failures(first) + 5 && isGone(one)
          ? one
          : undefined,
      )
      for (const one of [first, page]) {
        expect(one.value('ephemeral_port_netns_success', { netns })).toBe(0)
        expect(one.find('ephemeral_port_usable_ports', { netns })).toBeUndefined()
        const sockets = { collector: 'sockets' }
        expect(one.value('ephemeral_port_scrape_collector_success', sockets)).toBe(1)
      }
      const { namespaces } = await readSnapshot()
      const forbidden = namespaces.find((one) => one.netns === netns)
      expect(forbidden?.failure?.reason).toBe('permission')
      // Once for each change, not once a sample. Of several at once, such as a neighbour's, the line names one.
      const said = program
        .stderr()
        .split('\n')
        .filter((line) => line.includes('"Sockets cannot be read"'))
      const ours = said.filter((line) => line.includes(` netns=${netns} `))
      expect(ours.length).toBeLessThanOrEqual(1)
      expect(ours[0] ?? said.find((line) => line.includes(' namespaces='))).toMatch(
        /level=info .*EPERM/,
      )
    }),
  )
})
