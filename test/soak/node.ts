// A node of a cluster for the soak: an API server that fails in the ways of one, the account that every pod has, and pods that
// come and go.

import { randomUUID } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findCgroupRoot } from '../../src/owners/cgroup-root.ts'
import { withCgroups } from '../owners/cgroup-holder.ts'
import { withContainers } from '../support/cluster/containers.ts'
import {
  answer,
  type FakeApiServer,
  type Handler,
  podObject,
  refuse,
  startFakeApiServer,
} from '../support/cluster/fake-api-server.ts'
import { IN_A_POD } from '../support/cluster/pod-node.ts'
import { randomId } from '../support/netns/fresh-ids.ts'

export interface SoakNode {
  /** Runs what follows as in a pod of the node, as the same process. */
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly api: Pick<FakeApiServer, 'trouble'>
  /** Starts a pod that the API knows. */
  readonly startPod: () => Promise<SoakPod>
}

export interface SoakPod {
  /** Of its network namespace. */
  readonly inode: number
  /** What that may be called: by its UID, and by its name. */
  readonly names: readonly [uid: string, name: string]
  end(): Promise<void>
}

/** Ways in which an API server fails. */
export const troubles: Readonly<Record<string, Handler>> = {
  down: (request) => request.socket.destroy(),
  silent: () => {},
  broken: refuse(500, 'etcdserver: request timed out'),
  forbidden: refuse(403, 'pods is forbidden'),
  'no API at all': answer(200, '<html>Sign in</html>', { 'content-type': 'text/html' }),
  'a list that is cut': answer(200, '{"kind":"PodList","items":[{"metadata":{"uid":"'),
  'a list of nonsense': answer(200, {
    kind: 'PodList',
    items: [{}, { metadata: { uid: 7 } }, null],
  }),
}

export async function withSoakNode(use: (node: SoakNode) => Promise<void>): Promise<void> {
  const root = findCgroupRoot(readFileSync('/proc/self/mountinfo', 'utf8'))
  if (root === undefined) throw new Error('It needs a cgroup v2 tree')
  const account = mkdtempSync(join(tmpdir(), 'service-account-'))
  const fake = await startFakeApiServer()
  try {
    writeFileSync(`${account}/token`, `${fake.token}\n`)
    writeFileSync(`${account}/ca.crt`, fake.ca)
    await withCgroups(root, (cgroups) =>
      withContainers(root, (containers) =>
        use({
          command: ['unshare', '--mount', 'sh', '-c', IN_A_POD, account],
          env: environmentOf(fake),
          api: fake,
          async startPod() {
            const uid = randomUUID()
            const path = `/soak-${process.pid}/kubepods/pod${uid}`
            const inner = `${path}/${randomId()}`
            cgroups.make(inner)
            fake.pods.push(podObject({ uid }))
            const container = await containers.start(inner)
            return {
              inode: container.inode,
              names: [`pod/${uid}`, `pod/shop/pod-${uid}`],
              end: async () => {
                fake.pods = fake.pods.filter((pod) => !JSON.stringify(pod).includes(uid))
                await containers.end(container)
              },
            }
          },
        }),
      ),
    )
  } finally {
    await fake.close()
    rmSync(account, { recursive: true })
  }
}

function environmentOf({ port }: FakeApiServer) {
  return {
    KUBERNETES_SERVICE_HOST: '127.0.0.1',
    KUBERNETES_SERVICE_PORT: String(port),
    NODE_NAME: 'node-1',
  }
}
