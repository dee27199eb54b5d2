// What people call a namespace, through the running program: with real cgroup v2 directories and processes in them.

import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { liveTest } from '../support/cluster/cgroup-machine.ts'
import type { Container } from '../support/cluster/containers.ts'
import type { Page } from '../support/netns/actor-page.ts'
import { freshIds, randomId } from '../support/netns/fresh-ids.ts'
import { withNodeExporter } from '../support/program/node-page.ts'

const FLAGS = [
  '--sample.interval=250ms',
  '--sample.cpu-budget=1',
  '--detail.min-utilization=0',
  '--top=1000',
]
/** What lies in it reads as if it lay at the root: a slice is no unit's end. */
const TOP = `/names-test-${process.pid}.slice`
const info = 'ephemeral_port_netns_info'

interface RecordedPath {
  readonly quirk: string
  readonly path: string
  readonly containerId?: string
  readonly podUid?: string
}
const readPaths = (): readonly RecordedPath[] =>
  JSON.parse(readFileSync('test/fixtures/cgroup-paths/paths.json', 'utf8'))

/**
 * The recorded paths of pods and of containers with an id of 64 digits, each with ids of its own, so that each is another's.
 * Containers with names are told by their path from the root on, where this test makes nothing.
 */
function takeContainerPaths(): readonly RecordedPath[] {
  const hasId = ({ containerId, podUid }: RecordedPath) =>
    podUid !== undefined || containerId?.length === 64
  return readPaths()
    .filter((recorded) => !recorded.path.startsWith('/..') && hasId(recorded))
    .map((recorded) => JSON.parse(freshIds(JSON.stringify(recorded))))
}

const nameOf = ({ podUid, containerId = '' }: RecordedPath) =>
  podUid === undefined ? `container/${containerId.slice(0, 12)}` : `pod/${podUid}`
const kindsOf = (page: Page, netns: string) =>
  page.list(info, { netns }).map(({ labels }) => labels.netns_kind)
const isShown = (page: Page, netns: string) => page.find(info, { netns }) !== undefined
const namesOf = (page: Page) => page.list(info).map(({ labels }) => labels.netns ?? '')

describe('names of namespaces', () => {
  test('come from the recorded paths of every runtime', async (ctx) => {
    await liveTest(ctx, ({ start }) =>
      withNodeExporter(FLAGS, async ({ until, readSnapshot }) => {
        const recorded = takeContainerPaths()
        expect(recorded.length).toBeGreaterThan(40)
        const started = new Map<RecordedPath, Container>()
        for (const one of recorded) started.set(one, await start(`${TOP}${one.path}`))
        await until((page) => recorded.every((one) => isShown(page, nameOf(one))) || undefined)
        const { namespaces } = await readSnapshot()
        for (const [one, { inode }] of started) {
          const netns = nameOf(one)
          const seen = namespaces.find((namespace) => namespace.inode === inode)
          expect(seen, one.quirk).toMatchObject({
            netns,
            netnsKind: netns.split('/')[0],
            ...(one.containerId && { containerId: one.containerId }),
            ...(one.podUid && { podUid: one.podUid }),
          })
        }
      }),
    )
  })

  test('are that of the pod for its pause process and its containers alike', async (ctx) => {
    await liveTest(ctx, ({ start }) =>
      withNodeExporter(FLAGS, async ({ until, read }) => {
        const podUid = randomUUID()
        const pod = `${TOP}/kubepods/burstable/pod${podUid}`
        const pause = await start(`${pod}/${randomId()}`)
        await until((page) => isShown(page, `pod/${podUid}`) || undefined)
        const app = await start(`${pod}/${randomId()}`, pause)
        expect(app.inode).toBe(pause.inode)
        const page = await read()
        expect(page.list(info, { netns: `pod/${podUid}` })).toEqual([
          {
            labels: { netns: `pod/${podUid}`, netns_kind: 'pod', namespace: '', pod: '' },
            value: 1,
          },
        ])
        expect(namesOf(page).filter((netns) => netns.startsWith(`pod/${podUid}`))).toHaveLength(1)
      }),
    )
  })

  test('stay as they are, whoever joins, moves or leaves', async (ctx) => {
    await liveTest(ctx, ({ start, move, containers }) =>
      withNodeExporter(FLAGS, async ({ until, readFreshOf }) => {
        const [ours, others, elsewhere] = [randomId(), randomId(), randomId()]
        const netns = `container/${ours.slice(0, 12)}`
        const pathOf = (id: string) => `${TOP}/docker/${id}`
        const first = await start(pathOf(ours))
        await until((page) => isShown(page, netns) || undefined)
        const only = async () => {
          const page = await readFreshOf(netns)
          expect(kindsOf(page, netns)).toEqual(['container'])
          const names = await until((one) => namesOf(one))
          const given = (id: string) => names.filter((name) => name.includes(id.slice(0, 12)))
          expect([ours, others, elsewhere].flatMap(given)).toEqual([netns])
        }

        const second = await start(pathOf(others), first)
        await only()
        move(first, pathOf(elsewhere))
        await only()
        await containers.end(first)
        await only()
        await containers.end(second)
        await until((page) => !isShown(page, netns) || undefined)
      }),
    )
  })

  test('are never given twice: the younger is ~2, also when it is left alone', async (ctx) => {
    await liveTest(ctx, ({ start, containers }) =>
      withNodeExporter(FLAGS, async ({ until, readFreshOf }) => {
        const id = randomId()
        const path = `${TOP}/system.slice/docker-${id}.scope`
        const netns = `container/${id.slice(0, 12)}`
        const older = await start(path)
        await until((page) => isShown(page, netns) || undefined)
        const younger = await start(path)
        await until((page) => isShown(page, `${netns}~2`) || undefined)
        expect(younger.inode).not.toBe(older.inode)

        await containers.end(older)
        await until((page) => !isShown(page, netns) || undefined)
        expect(isShown(await readFreshOf(`${netns}~2`), `${netns}~2`)).toBe(true)
        await start(path)
        await until((page) => (isShown(page, netns) && isShown(page, `${netns}~2`)) || undefined)
      }),
    )
  })
})
