// Each privilege profile as Helm renders it, started on the image's file tree with that user, those capabilities and those
// mounts: what it then serves of namespaces that are not its own is what the table in docs/rights.md promises.
//
// Two such namespaces are there: one that the node has a name for, as runtimes of Kubernetes make them, and one that only
// a process shows. Both have a range and an idle bound socket that /proc does not tell.

import { randomUUID } from 'node:crypto'
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { renderContainerCommand } from '../../deploy/image/container.ts'
import { describeProfileNone } from '../../deploy/image/profile-none.ts'
import { withCgroups } from '../owners/cgroup-holder.ts'
import { withCgroupTree } from '../support/cluster/cgroup-tree.ts'
import {
  type FakeApiServer,
  podObject,
  startFakeApiServer,
} from '../support/cluster/fake-api-server.ts'
import { findHelm, renderChart } from '../support/cluster/helm.ts'
import {
  buildImage,
  IMAGE_TIMEOUT_MS,
  type Image,
  whyNoImage,
} from '../support/cluster/image-build.ts'
import { type RenderedContainer, takeContainer } from '../support/cluster/kube-container.ts'
import { type Netns, withNetns } from '../support/netns/actor.ts'
import { randomId } from '../support/netns/fresh-ids.ts'
import { findFreePort } from '../support/program/free-port.ts'
import { waitFor, withProgram } from '../support/program/program.ts'
import { describeContainer, type Surroundings } from './image-container.ts'

const RANGE = { first: 40_000, last: 40_999 }
/** Connections, by which a namespace is found on the page whatever it is called there. */
const CONNECTIONS = { named: 137, unnamed: 149 } as const
const BOUND = 5
const NAME = 'image-profiles-test'

const helm = findHelm().find(({ path }) => path !== undefined)
const reason = whyNoImage() ?? (helm === undefined ? 'needs Helm (.ci/run installs it)' : undefined)
let image: Image = { tree: '', rootfs: '', remove: () => {} }

beforeAll(() => {
  if (reason === undefined) image = buildImage()
}, IMAGE_TIMEOUT_MS)
afterAll(() => image.remove())
beforeEach((ctx) => {
  if (reason !== undefined) ctx.skip(reason)
})

async function crowd(netns: Netns, connections: number): Promise<void> {
  await netns.call('setSysctls', { 'net.ipv4.ip_local_port_range': `${RANGE.first} ${RANGE.last}` })
  const to = { address: '127.0.0.1', port: 8001 }
  await netns.call('open', { bind: to, listen: 1000 })
  await netns.call('open', { connect: to, count: connections })
  await netns.call('open', { bind: { address: '127.0.0.1', port: 0 }, count: BOUND })
}

type Page = (name: string, labels?: string) => readonly { labels: string; value: number }[]

/** Starts what the values render to, and asks it while it runs. */
async function withProfile(
  values: unknown,
  use: (page: () => Promise<Page>, node: { named: Netns }) => Promise<void>,
  prepare: (unnamed: Netns, rendered: RenderedContainer) => Partial<Surroundings> = () => ({}),
): Promise<void> {
  if (helm === undefined) throw new Error('Cannot render without Helm')
  const node = { nodeName: 'node', hostIp: '127.0.0.1' }
  const rendered = takeContainer(renderChart(helm, values), node)
  await withNetns(async (named) => {
    await withNetns(async (unnamed) => {
      await crowd(named, CONNECTIONS.named)
      await crowd(unnamed, CONNECTIONS.unnamed)
      const port = await findFreePort()
      const container = describeContainer(rendered, {
        rootfs: image.rootfs,
        listenAddress: `127.0.0.1:${port}`,
        args: ['--sample.interval=500ms', '--sample.cpu-budget=1'],
        named: { [NAME]: named.pid },
        ...prepare(unnamed, rendered),
      })
      const get = async (path: string) => await fetch(`http://127.0.0.1:${port}${path}`)
      await withProgram(
        [],
        async (program) => {
          const ready = waitFor(async () => (await get('/-/ready')).ok || undefined)
          await ready.catch(() => expect(program.stderr()).toBe('ready'))
          const page = async () => parsePage(await (await get('/metrics')).text())
          await use(page, { named })
        },
        { command: renderContainerCommand(container) },
      )
    })
  })
}

function parsePage(text: string): Page {
  const rows = [...text.matchAll(/^(\w+)\{(.*)\} (\S+)$/gm)]
  return (name, labels = '') =>
    rows
      .filter((row) => row[1] === name && row[2]?.includes(labels))
      .map((row) => ({ labels: row[2] ?? '', value: Number(row[3]) }))
}

/** The namespaces that use so many ports, with or without the idle bound ones that only netlink shows. */
function findNetns(page: Page, connections: number): readonly string[] {
  const used = page('ephemeral_port_used_ports', 'protocol="tcp"')
  return used
    .filter(({ value }) => value === connections || value === connections + BOUND)
    .flatMap(({ labels }) => /netns="([^"]+)"/.exec(labels)?.[1] ?? [])
}

interface Reading {
  readonly source: string
  readonly usedPorts: number | undefined
  readonly capacityPorts: number | undefined
}

/** Its sockets may leave bind history in doubt, which `inferred` then says: the reader is the exact one all the same. */
function readSource(rows: Page, label: string): string {
  const [{ labels = '' } = {}] = rows('ephemeral_port_source_info', label)
  return labels.replace(`${label},`, '').replace('exactness="inferred"', 'exactness="exact"')
}

interface Found extends Reading {
  readonly netns: string
}

/** What the page says of the namespace, once it says what is expected, as it must of one of those that use so many ports. */
async function findReading(
  page: () => Promise<Page>,
  connections: number,
  expected: Reading,
): Promise<Found> {
  let last: readonly Found[] = []
  const found = waitFor(async () => {
    const rows = await page()
    last = findNetns(rows, connections).map((netns) => {
      const label = `netns="${netns}"`
      const bind = rows('ephemeral_port_pool_capacity_ports', `${label},pool="tcp_bind"`)
      return {
        netns,
        source: readSource(rows, label),
        usedPorts: rows('ephemeral_port_used_ports', `${label},protocol="tcp"`)[0]?.value,
        capacityPorts: bind[0]?.value,
      }
    })
    return last.find(({ netns: _, ...reading }) => isDeepStrictEqual(reading, expected))
  })
  return await found.catch(() =>
    expect.fail(`Not ${JSON.stringify(expected)}: ${JSON.stringify(last)}`),
  )
}

const exact = (connections: number): Reading => ({
  source: 'reader="netlink",exactness="exact",range="sysctl"',
  usedPorts: connections + BOUND,
  capacityPorts: RANGE.last - RANGE.first + 1,
})
/** Nobody tells the range of the namespace, so that it is taken for the kernel's default. */
const upperBound = (connections: number): Reading => ({
  source: 'reader="procfs",exactness="upper_bound",range="default"',
  usedPorts: connections,
  capacityPorts: 28_232,
})

const profiles = [
  { values: { privileges: 'none' }, named: upperBound, unnamed: upperBound, failures: false },
  { values: { privileges: 'setns' }, named: exact, unnamed: upperBound, failures: false },
  {
    values: { privileges: 'setns', setns: { ptrace: true } },
    named: exact,
    unnamed: exact,
    failures: false,
  },
  { values: { privileges: 'full' }, named: exact, unnamed: upperBound, failures: true },
]

describe.each(profiles)('$values', ({ values, named, unnamed, failures }) => {
  test('reads the node and the other namespaces as exactly as promised', async () => {
    await withProfile(values, async (page, node) => {
      const known = await findReading(page, CONNECTIONS.named, named(CONNECTIONS.named))
      await findReading(page, CONNECTIONS.unnamed, unnamed(CONNECTIONS.unnamed))

      const rows = await page()
      expect(readSource(rows, 'netns="host"')).toBe(
        'reader="netlink",exactness="exact",range="sysctl"',
      )
      expect(rows('ephemeral_port_netns_success', 'netns="host"')[0]?.value).toBe(1)

      const family = 'ephemeral_port_allocation_failures_total'
      if (!failures) {
        expect(rows(family)).toEqual([])
        expect(rows('ephemeral_port_scrape_collector_success', 'failures')).toEqual([])
        return
      }
      const label = `netns="${known.netns}",pool="tcp_connect"`
      expect(rows(family, label)[0]?.value).toBe(0)
      const { refusal } = await node.named.call('fill', {
        connect: { address: '127.0.0.1', port: 8001 },
      })
      expect(refusal).toBe('EADDRNOTAVAIL')
      const counted = await waitFor(
        async () => (await page())(family, label)[0]?.value || undefined,
      )
      expect(counted).toBe(1)
    })
  })
})

test('the smoke test of the image starts it as the profile none does', () => {
  if (helm === undefined) throw new Error('Cannot render without Helm')
  const rendered = takeContainer(renderChart(helm, {}), { nodeName: 'node', hostIp: '127.0.0.1' })
  const surroundings = { rootfs: '/rootfs', listenAddress: '127.0.0.1:1' }
  const { furnish: _, ...container } = describeContainer(rendered, surroundings)
  expect(describeProfileNone('/rootfs', '127.0.0.1:1')).toEqual(container)
})

/** The files of the projected volume, with the mode that they are rendered with and the group that the kubelet gives them. */
function writeAccount(folder: string, rendered: RenderedContainer, fake: FakeApiServer): void {
  const texts: Readonly<Record<string, string>> = { token: `${fake.token}\n`, 'ca.crt': fake.ca }
  chmodSync(folder, 0o755)
  for (const { source } of rendered.mounts) {
    for (const name of source.kind === 'projected' ? source.files : []) {
      writeFileSync(join(folder, name), texts[name] ?? '')
      chmodSync(join(folder, name), 0o440)
      chownSync(join(folder, name), 0, rendered.fsGroup ?? 0)
    }
  }
}

test('collectors.kubernetes names the pods of the node with the token that is mounted', async (ctx) => {
  await withCgroupTree(ctx, namesPods)
})

async function namesPods(root: string): Promise<void> {
  const [uid, container] = [randomUUID(), randomId()]
  const path = `/image-profiles-${process.pid}/kubepods/burstable/pod${uid}/${container}`
  const account = mkdtempSync(join(tmpdir(), 'service-account-'))
  const fake = await startFakeApiServer()
  fake.pods = [
    podObject({ uid, name: 'checkout', node: 'node', containers: { [container]: 'app' } }),
  ]
  try {
    await withCgroups(root, async (cgroups) => {
      cgroups.make(path)
      await withProfile(
        { collectors: { kubernetes: true } },
        async (page) => {
          const label = 'netns="pod/shop/checkout"'
          await waitFor(async () => (await page())('ephemeral_port_netns_info', label)[0])
          const collector = 'collector="kubernetes"'
          expect((await page())('ephemeral_port_scrape_collector_success', collector)).toEqual([
            { labels: collector, value: 1 },
          ])
        },
        ({ pid }, rendered) => {
          writeAccount(account, rendered, fake)
          writeFileSync(`${root}${path}/cgroup.procs`, String(pid))
          const [host, port] = ['127.0.0.1', String(fake.port)]
          const environment = { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port }
          return { account, environment }
        },
      )
    })
    const selectors = fake.requests.map(({ url }) =>
      new URL(url, 'https://fake').searchParams.get('fieldSelector'),
    )
    expect(new Set(selectors)).toEqual(new Set(['spec.nodeName=node']))
  } finally {
    await fake.close()
    rmSync(account, { recursive: true })
  }
}
