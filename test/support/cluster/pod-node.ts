// A node of a cluster for live tests: a real HTTPS server that speaks the API, the token and the CA where every pod has them, and
// cgroups as the kubelet makes them.

import { randomUUID } from 'node:crypto'
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'vitest'
import { withCgroups } from '../../owners/cgroup-holder.ts'
import type { Page } from '../netns/actor-page.ts'
import { randomId } from '../netns/fresh-ids.ts'
import { whyNotLive } from '../netns/live.ts'
import { type NodeExporter, withNodeExporter } from '../program/node-page.ts'
import { hasProgram } from '../program/tools.ts'
import { withCgroupTree } from './cgroup-tree.ts'
import { type Container, withContainers } from './containers.ts'
import { type FakeApiServer, startFakeApiServer } from './fake-api-server.ts'

const FLAGS = ['--collector.kubernetes', '--sample.cpu-budget=1', '--detail.min-utilization=0']
export const TOP = `/pods-test-${process.pid}`
export const RANGED = randomUUID()
export const PLAIN = randomUUID()
export const ACCOUNT = '/run/secrets/kubernetes.io/serviceaccount'
export const SERVER = { address: '127.0.0.1', port: 8001 }
/** $0: the directory of the account. Nothing of it is left: the mounts end with the program, whose own namespace they are in. */
export const IN_A_POD = [
  'mount -t tmpfs tmpfs /run',
  `mkdir -p ${ACCOUNT}`,
  `mount --bind "$0" ${ACCOUNT}`,
  'exec "$@"',
].join(' && ')
const NOBODY = ['--reuid=65534', '--regid=65534', '--clear-groups', '--bounding-set=-all']
export const info = 'ephemeral_port_netns_info'
export const success = (page: Page) =>
  page.find('ephemeral_port_scrape_collector_success', { collector: 'kubernetes' })
export const samples = (page: Page) => page.value('ephemeral_port_samples_total')

export interface PodNode {
  readonly fake: FakeApiServer
  /** Gives the account another token, as the kubelet does, and has the server take no other. */
  readonly rotateToken: (token: string) => void
  /** Starts a container of that pod as its kubelet would: its cgroup, then its namespace. */
  readonly start: (podUid: string, containerId?: string) => Promise<Container>
  readonly move: (process: { readonly pid: number }, podUid: string, containerId: string) => void
  /** Runs the program as in a pod of the node. */
  readonly withExporter: (
    use: (exporter: NodeExporter) => Promise<void>,
    options?: { readonly intervalMs?: number; readonly unprivileged?: boolean },
  ) => Promise<void>
}

export async function liveTest(
  ctx: TestContext,
  use: (node: PodNode) => Promise<void>,
): Promise<void> {
  const missing = ['unshare', 'mount', 'setpriv'].find((name) => !hasProgram(name))
  const why =
    whyNotLive() ??
    (missing && `needs ${missing} of util-linux`) ??
    (existsSync('/run') ? undefined : 'needs the directory /run')
  if (why !== undefined) return ctx.skip(why)
  await withCgroupTree(ctx, (root) => withPodNode(root, use), { alone: true })
}

async function withPodNode(root: string, use: (node: PodNode) => Promise<void>): Promise<void> {
  const account = mkdtempSync(join(tmpdir(), 'service-account-'))
  chmodSync(account, 0o755)
  const fake = await startFakeApiServer()
  try {
    writeFileSync(`${account}/token`, `${fake.token}\n`)
    writeFileSync(`${account}/ca.crt`, fake.ca)
    await withCgroups(root, (cgroups) =>
      withContainers(root, (containers) => {
        const pathOf = (podUid: string, containerId: string) => {
          const path = `${TOP}/kubepods/burstable/pod${podUid}/${containerId}`
          cgroups.make(path)
          return path
        }
        return use({
          fake,
          rotateToken(token) {
            fake.token = token
            writeFileSync(`${account}/token`, `${token}\n`)
          },
          start: (podUid, containerId = randomId()) =>
            containers.start(pathOf(podUid, containerId)),
          move: ({ pid }, podUid, containerId) =>
            writeFileSync(`${root}${pathOf(podUid, containerId)}/cgroup.procs`, String(pid)),
          withExporter: (run, { intervalMs = 500, unprivileged = false } = {}) =>
            withNodeExporter([...FLAGS, `--sample.interval=${intervalMs}ms`], run, {
              command: [
                ...['unshare', '--mount', 'sh', '-c', IN_A_POD, account],
                ...(unprivileged ? ['setpriv', ...NOBODY] : []),
                ...[process.execPath, 'dist/main.js'],
              ],
              env: {
                KUBERNETES_SERVICE_HOST: '127.0.0.1',
                KUBERNETES_SERVICE_PORT: String(fake.port),
                NODE_NAME: 'node-1',
              },
            }),
        })
      }),
    )
  } finally {
    await fake.close()
    rmSync(account, { recursive: true })
  }
}
