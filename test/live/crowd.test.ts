// A user without any right makes namespaces: what the page says of them, and of all others.

import { spawn, spawnSync } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { chownSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { liveTest } from '../support/cluster/cgroup-machine.ts'
import type { Container } from '../support/cluster/containers.ts'
import type { Labels, Page } from '../support/netns/actor-page.ts'
import { whyNotLive } from '../support/netns/live.ts'
import { withNetnsCrowd } from '../support/netns/netns-crowd.ts'
import { depth } from '../support/program/depth.ts'
import { type NodeExporter, withNodeExporter } from '../support/program/node-page.ts'
import type { ProgramOptions } from '../support/program/program.ts'

const NOBODY = 65_534
const COUNT = depth(150, 60)
/** Of 500, which leave room for those of other tests: what a user may have, and what a user calls containers. */
const PLACES = 10
const CONTAINER_PLACES = 50
const FLAGS = ['--sample.interval=500ms', '--sample.cpu-budget=1']
const SERIES_EACH = 30

const leftOut = (page: Page) =>
  page.find('ephemeral_port_truncated_series', { netns: '', family: 'namespaces' }) ?? 0

interface CrowdScript {
  /** What it runs before. */
  readonly first?: string
  /** What the shell runs for the namespace of number $i, and ends as a process called sleep. */
  readonly one?: string
  /** $0 and so on. */
  readonly args?: readonly string[]
  /** The directory of a cgroup that the shell is moved to. */
  readonly cgroup?: string
  /** Whose the shell is. */
  readonly uid?: number
}

/** Calls `use` with the names of the namespaces of a user, by default an ordinary one; nothing is left of them. */
async function withCrowdOf<T>(
  use: (names: readonly string[]) => Promise<T>,
  { first = ':', one = 'unshare -rn sleep 600', args = [], cgroup, uid = NOBODY }: CrowdScript = {},
): Promise<T> {
  const own = nameOf('self')
  const script = `${first}; for i in $(seq ${COUNT}); do ${one} & done; wait`
  const shell = spawn('sh', ['-c', script, ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
    uid,
    gid: uid,
    // A group of its own, which ends as one.
    detached: true,
  })
  const exited = once(shell, 'exit')
  const group = shell.pid ?? 0
  if (cgroup !== undefined) writeFileSync(`${cgroup}/cgroup.procs`, String(group))
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

test('empty namespaces without end of an ordinary user take a fiftieth of the page, and nobody else loses a place', async (ctx) => {
  const skipReason = whyNotLive()
  if (skipReason !== undefined) return ctx.skip(skipReason)
  await withNetnsCrowd(async (crowd) => {
    const ofRoot = await crowd.create({ count: 20, rangePorts: 1000 })
    const isWhole = (page: Page) =>
      ofRoot.every(({ inode }) =>
        page.find('ephemeral_port_usable_ports', { netns: `inode/${inode}` }),
      )
    await withCrowdOf((names) =>
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

/** Puts itself into a cgroup like that of a pod's container, below the directory $0; the first takes the UID of pod $1. */
const FORGE = `(
  uid=$(cat /proc/sys/kernel/random/uuid); test $i = 1 && uid=$2
  at="$1$0/kubepods/pod$uid/$(printf %064x $i)"
  mkdir -p "$at" && exec sh -c 'echo $$ > "$0/cgroup.procs" && exec unshare -rn sleep 600' "$at"
)`
/** The shell waits until it has been moved. */
const WAIT = 'until grep -q "$0" /proc/self/cgroup; do sleep 0.1; done'

/** Whoever was killed a moment ago may still be in it. */
async function removeCgroups(path: string): Promise<void> {
  const remove = () =>
    spawnSync('find', [path, '-mindepth', '1', '-depth', '-type', 'd', '-delete'])
  await expect.poll(() => remove().status, { timeout: 30_000 }).toBe(0)
}

/** As the chart runs it by default: nobody tells it who made a namespace, and it believes the cgroups of users less. */
const WITHOUT_RIGHTS = {
  command: [
    ...['setpriv', '--reuid=65532', '--regid=65532', '--clear-groups', '--bounding-set=-all'],
    ...['--no-new-privs', process.execPath, 'dist/main.js'],
  ],
}

test.for<readonly [string, string, ProgramOptions]>([
  ['an exporter that sees who made them', 'slice', {}],
  ['one without any right', `slice/user@${NOBODY}.service`, WITHOUT_RIGHTS],
])(
  'to %s, those in cgroups that an ordinary user names like those of pods cost no pod its place or its name',
  ([_who, kind, options], ctx) =>
    liveTest(ctx, async ({ root, cgroups, start }) => {
      const delegated = `/crowd-test-${process.pid}.${kind}`
      cgroups.make(delegated)
      for (const file of ['', '/cgroup.procs']) chownSync(root + delegated + file, NOBODY, NOBODY)
      const uids = Array.from({ length: 5 }, () => randomUUID())
      const isInfo = (page: Page, netns: string) =>
        page.find('ephemeral_port_netns_info', { netns }) !== undefined
      const crowd = {
        first: WAIT,
        one: FORGE,
        args: [delegated, root, ...uids],
        cgroup: root + delegated,
      }
      try {
        await withCrowdOf(async (names) => {
          // The pods are younger than all of the others.
          const pods = new Map<string, Container>()
          for (const uid of uids) {
            const path = `/kubepods-${process.pid}/pod${uid}/${randomBytes(32).toString('hex')}`
            pods.set(`pod/${uid}`, await start(path))
          }
          const whole = async ({ until, readSnapshot }: NodeExporter) => {
            const isDone = (page: Page) =>
              [...pods.keys()].every((netns) => isInfo(page, netns)) &&
              page.list('ephemeral_port_netns_info').filter(isForged).length === CONTAINER_PLACES
            const page = await until((one) => (isDone(one) ? one : undefined))
            expect(page.text).not.toContain(`pod/${uids[0]}~2`)
            const { namespaces } = await readSnapshot()
            for (const [netns, { inode }] of pods) {
              const one = namespaces.find((known) => known.netns === netns)
              expect(one).toBeDefined()
              // Without rights it is not known.
              if (options !== WITHOUT_RIGHTS) expect(one?.inode).toBe(inode)
            }
            expect(names).toHaveLength(COUNT)
          }
          await withNodeExporter(FLAGS, whole, options)
        }, crowd)
      } finally {
        await removeCgroups(root + delegated)
      }
    }),
)

test('the users that root in one pod becomes have a tenth of the places together, and no pod loses its place', async (ctx) => {
  await liveTest(ctx, async ({ root, cgroups, start }) => {
    const pathOf = (uid: string, id: string) => `/kubepods-${process.pid}/pod${uid}/${id}`
    const id = randomBytes(32).toString('hex')
    const path = pathOf(randomUUID(), id)
    cgroups.make(path)
    const one = 'exec setpriv --reuid $((2000 + i)) --clear-groups unshare -rn sleep 600'
    const crowd = { first: WAIT, one, args: [path], cgroup: root + path, uid: 0 }
    await withCrowdOf(async () => {
      const uids = Array.from({ length: 5 }, () => randomUUID())
      for (const uid of uids) await start(pathOf(uid, randomBytes(32).toString('hex')))
      await withNodeExporter(FLAGS, async ({ until }) => {
        const isOfRoot = ({ labels: { netns = '' } }: { readonly labels: Labels }) =>
          netns.startsWith(`container/${id.slice(0, 12)}`)
        await until((page) => {
          const shown = page.list('ephemeral_port_netns_info')
          const pods = uids.filter((uid) =>
            shown.some(({ labels }) => labels.netns === `pod/${uid}`),
          )
          const isDone =
            pods.length === uids.length &&
            leftOut(page) >= COUNT - CONTAINER_PLACES &&
            shown.filter(isOfRoot).length === CONTAINER_PLACES
          return isDone || undefined
        })
      })
    }, crowd)
  })
})

/** Their ids are their numbers. */
function isForged({ labels: { netns = '' } }: { readonly labels: Labels }): boolean {
  return netns.startsWith('container/000000000')
}
