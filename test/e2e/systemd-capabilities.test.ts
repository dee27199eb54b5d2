// Whether the capabilities that the unit and its drop-ins grant are what the program needs: it runs as a user of its own with
// these and no other, as DynamicUser and AmbientCapabilities would start it. systemd's sandbox around that is not applied.

import { chmodSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import {
  buildImage,
  IMAGE_TIMEOUT_MS,
  type Image,
  whyNoImage,
} from '../support/cluster/image-build.ts'
import { type DropIn, readUnit, takeCapabilities, UNIT } from '../support/cluster/systemd-unit.ts'
import { withNetns } from '../support/netns/actor.ts'
import { findFreePort } from '../support/program/free-port.ts'
import { waitFor, withProgram } from '../support/program/program.ts'

/** Of those that DynamicUser chooses from. */
const USER = 64_999
const RANGE = { first: 41_000, last: 41_776 }
const CONNECTIONS = 139

const reason = whyNoImage()
let image: Image = { tree: '', rootfs: '', remove: () => {} }
beforeAll(() => {
  if (reason !== undefined) return
  image = buildImage()
  chmodSync(dirname(image.tree), 0o755)
}, IMAGE_TIMEOUT_MS)
afterAll(() => image.remove())
beforeEach((ctx) => {
  if (reason !== undefined) ctx.skip(reason)
})

/** The command line with the rights of the unit and those drop-ins. */
function renderCommand(use: readonly DropIn[]): string[] {
  const settings = [UNIT, ...use].flatMap(readUnit)
  const sets = (key: string) =>
    ['-all', ...takeCapabilities(settings, key).map((name) => name.replace('CAP_', '+'))]
      .join(',')
      .toLowerCase()
  const ambient = sets('AmbientCapabilities')
  const flags = settings
    .filter(({ key, value }) => key === 'Environment' && value.startsWith('EPHEMERAL_'))
    .map(({ value }) => value)
  return [
    ...['unshare', '--mount', 'sh', '-euc'],
    'mount -t tracefs tracefs /sys/kernel/tracing; exec "$@"',
    ...['sh', 'env', ...flags, 'setpriv', `--reuid=${USER}`, `--regid=${USER}`, '--clear-groups'],
    ...[`--inh-caps=${ambient}`, `--ambient-caps=${ambient}`, '--no-new-privs'],
    `--bounding-set=${sets('CapabilityBoundingSet')}`,
    ...[join(image.rootfs, 'nodejs/bin/node'), join(image.tree, 'dist/main.js')],
  ]
}

/** A page on which a namespace of ours with a port range of its own is to be found, and the name it has there. */
async function readPage(use: readonly DropIn[]): Promise<{ page: string; netns: string }> {
  return await withNetns(async (netns) => {
    const range = `${RANGE.first} ${RANGE.last}`
    await netns.call('setSysctls', { 'net.ipv4.ip_local_port_range': range })
    const port = await findFreePort()
    const args = [`--web.listen-address=127.0.0.1:${port}`, '--sample.interval=500ms']
    const to = { address: '127.0.0.1', port: 8001 }
    await netns.call('open', { bind: to, listen: 1000 })
    await netns.call('open', { connect: to, count: CONNECTIONS })
    // The latter where ns/net may not be looked at.
    const names = ['ns/net', 'net/tcp'].map(
      (file) => `inode/${statSync(`/proc/${netns.pid}/${file}`).ino}`,
    )
    const ask = async () => {
      const page = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
      const name = names.find((one) => page.includes(capacity(one)))
      return name === undefined ? undefined : { page, netns: name }
    }
    return await withProgram(
      [...args, '--sample.cpu-budget=1'],
      async (program) => await waitFor(ask).catch(() => expect.fail(program.stderr())),
      { command: renderCommand(use) },
    )
  })
}

const used = (netns: string) =>
  `ephemeral_port_used_ports{netns="${netns}",protocol="tcp"} ${CONNECTIONS}\n`
const capacity = (netns: string) =>
  `ephemeral_port_pool_capacity_ports{netns="${netns}",pool="tcp_bind"} `
/** Sockets may leave bind history in doubt, which `inferred` then says. */
const isRead = (page: string, netns: string) =>
  ['exact', 'inferred'].some((exactness) =>
    page.includes(
      `ephemeral_port_source_info{netns="${netns}",reader="netlink",exactness="${exactness}",range="sysctl"} 1\n`,
    ),
  )

test('the unit alone reads the host exactly, and other namespaces from /proc', async () => {
  const { page, netns } = await readPage([])
  expect(isRead(page, 'host')).toBe(true)
  expect(page).toContain(
    `{netns="${netns}",reader="procfs",exactness="upper_bound",range="default"} 1\n`,
  )
  expect(page).toContain(`${capacity(netns)}28232\n`)
  expect(page).toContain(used(netns))
  expect(page).not.toContain('ephemeral_port_allocation_failures_total')
})

test('with setns.conf it reads every namespace exactly', async () => {
  const { page, netns } = await readPage(['setns.conf'])
  expect(isRead(page, 'host')).toBe(true)
  expect(isRead(page, netns)).toBe(true)
  expect(page).toContain(`${capacity(netns)}${RANGE.last - RANGE.first + 1}\n`)
  expect(page).toContain(used(netns))
})

test('with buckets.conf it reads bind buckets', async () => {
  const { page } = await readPage(['buckets.conf'])
  expect(page).toContain('ephemeral_port_scrape_collector_success{collector="buckets"} 1\n')
})

test('with failures.conf it counts failed allocations', async () => {
  const { page } = await readPage(['failures.conf'])
  expect(page).toMatch(
    /^ephemeral_port_allocation_failures_total\{netns="host",pool="tcp_connect"\} \d+$/m,
  )
  expect(page).toContain('ephemeral_port_scrape_collector_success{collector="failures"} 1\n')
})
