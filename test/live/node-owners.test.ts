// Who holds the ports, through the running program: with real cgroup v2 directories and processes in them.

import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { liveTest, type Machine } from '../support/cluster/cgroup-machine.ts'
import { type Netns, withNetns } from '../support/netns/actor.ts'
import type { Page } from '../support/netns/actor-page.ts'
import { randomId } from '../support/netns/fresh-ids.ts'
import { type NodeExporter, withNodeExporter } from '../support/program/node-page.ts'

const FLAGS = [
  '--sample.interval=250ms',
  '--sample.cpu-budget=1',
  '--detail.min-utilization=0',
  '--top=1000',
]
/** What lies in it reads as if it lay at the root: a slice is no unit's end. */
const TOP = `/owners-test-${process.pid}.slice`
const SERVER = { address: '127.0.0.1', port: 8001 }
const OTHER_SERVER = { address: '127.0.0.1', port: 8002 }
/** In the default range: it counts among the ports in use. */
const LISTENER = { address: '127.0.0.1', port: 40_000 }

/** Owners of a protocol's ports as `kind name`. */
function ownersOf(page: Page, netns: string, protocol = 'tcp'): Record<string, number> {
  const rows = page.list('ephemeral_port_owner_used_ports', { netns, protocol })
  return Object.fromEntries(
    rows.map(({ labels, value }) => [`${labels.owner_kind} ${labels.owner}`, value]),
  )
}

/** Connections of which the kernel chose the port. */
async function connect(netns: Netns, count: number, to = SERVER) {
  const opened = await netns.call('open', { connect: to, count })
  expect(opened.refusal).toBeUndefined()
  return opened
}

async function listen(netns: Netns, bind = SERVER): Promise<number> {
  const request = { bind, listen: 1000, reuseAddress: true }
  const { sockets, refusal } = await netns.call('open', request)
  const [socket] = sockets
  if (socket === undefined) throw new Error(`Cannot listen on ${bind.port}: ${refusal}`)
  return socket
}

/** Closes connections from the client's side first, so that each leaves a TIME_WAIT on the client's port. */
async function hangUp(
  netns: Netns,
  listener: number,
  { sockets, locals }: Awaited<ReturnType<typeof connect>>,
): Promise<void> {
  const accepted = await netns.call('accept', { listener, peers: locals })
  await netns.call('close', { sockets })
  await netns.call('close', { sockets: accepted })
}

const unit = (name: string) => `${TOP}/${name}.service`

describe('owners of ports', () => {
  test('are the units, containers, pods and cgroups that opened the sockets', async (ctx) => {
    await liveTest(ctx, ({ move, cgroups }) =>
      withNetns(async (actor) => {
        const [id, podUid] = [randomId(), randomUUID()]
        const netns = `container/${id.slice(0, 12)}`
        const paths = {
          container: `${TOP}/libpod_parent/libpod-${id}`,
          pod: `${TOP}/kubepods.slice/kubepods-pod${podUid.replaceAll('-', '_')}.slice`,
          cgroup: `${TOP}/batch`,
        }
        // The program looks for directories when it sees the first socket of one, and then not for some seconds.
        for (const path of [unit('web'), unit('short'), paths.pod, paths.cgroup]) cgroups.make(path)
        // Before anybody looks, so that it is a service at once.
        move(actor, unit('web'))
        await listen(actor, LISTENER)
        move(actor, paths.container)
        await withNodeExporter(FLAGS, async ({ readFreshOf, readSnapshot }) => {
          await readFreshOf(netns)
          const listener = await listen(actor)
          const hold = async (path: string, count: number) => {
            move(actor, path)
            return connect(actor, count)
          }
          move(actor, unit('web'))
          const ofUnit = await connect(actor, 20)
          await actor.call('open', { protocol: 'udp', bind: { ...SERVER, port: 0 }, count: 4 })
          await hold(unit('short'), 3)
          const ofContainer = await hold(paths.container, 10)
          await hold(paths.pod, 7)
          await hold(paths.cgroup, 5)
          const expected = {
            'unit web.service': 21,
            [`container ${id.slice(0, 12)}`]: 10,
            [`pod ${podUid}`]: 7,
            [`cgroup ${paths.cgroup}`]: 5,
            'unit short.service': 3,
          }
          const page = await readFreshOf(netns)
          expect(ownersOf(page, netns)).toEqual(expected)
          expect(ownersOf(page, netns, 'udp')).toEqual({ 'unit web.service': 4 })
          expect(page.value('ephemeral_port_used_ports', { netns, protocol: 'tcp' })).toBe(46)
          expect(page.list('ephemeral_port_listener_info', { netns })).toEqual([
            {
              labels: { netns, protocol: 'tcp', port: '40000', owner: 'web.service' },
              value: 1,
            },
          ])

          // The kernel gives TIME_WAIT no owner, and a directory may be removed before the sockets are.
          await hangUp(actor, listener, ofUnit)
          await hangUp(actor, listener, ofContainer)
          cgroups.remove(unit('short'))
          const later = await readFreshOf(netns)
          const states = { netns, protocol: 'tcp', state: 'time_wait' }
          expect(later.value('ephemeral_port_sockets', states)).toBe(30)
          expect(ownersOf(later, netns)).toEqual(expected)

          const { namespaces } = await readSnapshot()
          const rows = namespaces.find((one) => one.netns === netns)?.state?.owners
          expect(rows).toContainEqual({
            protocol: 'tcp',
            owner: 'web.service',
            ownerKind: 'unit',
            usedPorts: 21,
          })
        })
      }),
    )
  })

  test('are users for what is in the root cgroup', async (ctx) => {
    await liveTest(ctx, ({ root, move }) =>
      withNetns(async (actor) => {
        const id = randomId()
        const netns = `container/${id.slice(0, 12)}`
        writeFileSync(`${root}/cgroup.procs`, String(actor.pid))
        await listen(actor)
        await connect(actor, 3)
        await actor.call('actAs', 65_534)
        await connect(actor, 5)
        move(actor, `${TOP}/docker/${id}`)
        await withNodeExporter(FLAGS, async ({ readFreshOf }) => {
          const page = await readFreshOf(netns)
          expect(ownersOf(page, netns)).toEqual({ 'user nobody': 5, 'user root': 3 })
        })
      }),
    )
  })

  test('are none and unknown where nobody was ever seen', async (ctx) => {
    await liveTest(ctx, ({ move, cgroups }) =>
      withNetns(async (actor) => {
        const id = randomId()
        const netns = `container/${id.slice(0, 12)}`
        await listen(actor)
        const other = await listen(actor, OTHER_SERVER)
        move(actor, unit('gone'))
        const choosePorts = (range: string) =>
          actor.call('setSysctls', { 'net.ipv4.ip_local_port_range': range })
        // Connections to different servers may otherwise have a port in common.
        await choosePorts('32768 45000')
        await connect(actor, 4)
        await choosePorts('45001 60999')
        await hangUp(actor, other, await connect(actor, 6, OTHER_SERVER))
        await choosePorts('32768 60999')
        move(actor, `${TOP}/docker/${id}`)
        cgroups.remove(unit('gone'))
        await withNodeExporter(FLAGS, async ({ readFreshOf }) => {
          const page = await readFreshOf(netns)
          expect(ownersOf(page, netns)).toEqual({ 'unknown unknown': 4, 'none none': 6 })
        })
      }),
    )
  })

  test('are containers however many mounts come before that of the cgroup v2', async (ctx) => {
    await liveTest(ctx, ({ move }) =>
      withTwoUsers(move, ['sh', '-c', `${MANY_MOUNTS} && exec "$@"`, 'sh'], FLAGS, {
        async use({ readFreshOf }, netns) {
          const owners = ownersOf(await readFreshOf(netns), netns)
          expect(owners).toEqual({ [netns.replace('/', ' ')]: 8 })
        },
      }),
    )
  })

  test('are users where the machine has no cgroup v2', async (ctx) => {
    await liveTest(ctx, ({ move }) =>
      withTwoUsers(move, ['sh', '-c', 'umount -a -t cgroup2 && exec "$@"', 'sh'], FLAGS, {
        async use({ readFreshOf }, netns) {
          const page = await readFreshOf(netns)
          expect(ownersOf(page, netns)).toEqual({ 'user nobody': 5, 'user root': 3 })
          expect(page.value('ephemeral_port_scrape_collector_success', ofOwners)).toBe(1)
        },
      }),
    )
  })

  test('are users, which is no failure, where --path.cgroup has cgroup v1 alone', async (ctx) => {
    const older = mkdtempSync(join(tmpdir(), 'cgroup-v1-'))
    const name = `epe-${process.pid}`
    const mounts = [
      'mount -t tmpfs tmpfs "$0" && mkdir "$0/systemd"',
      `mount -t cgroup -o none,name=${name} cgroup "$0/systemd"`,
      'umount -a -t cgroup2 && exec "$@"',
    ]
    const command = ['sh', '-c', mounts.join(' && '), older]
    try {
      await liveTest(ctx, ({ move }) =>
        withTwoUsers(move, command, [...FLAGS, `--path.cgroup=${older}`], {
          async use({ readFreshOf }, netns) {
            const page = await readFreshOf(netns)
            expect(ownersOf(page, netns)).toEqual({ 'user nobody': 5, 'user root': 3 })
            expect(page.value('ephemeral_port_scrape_collector_success', ofOwners)).toBe(1)
          },
        }),
      )
    } finally {
      rmSync(older, { recursive: true })
    }
  })

  test('are users, and the collector says why, where --path.cgroup is no cgroup v2', async (ctx) => {
    await liveTest(ctx, ({ move }) =>
      withTwoUsers(move, [], [...FLAGS, '--path.cgroup=/proc'], {
        async use({ readFreshOf, program }, netns) {
          const page = await readFreshOf(netns)
          expect(ownersOf(page, netns)).toEqual({ 'user nobody': 5, 'user root': 3 })
          expect(page.value('ephemeral_port_scrape_collector_success', ofOwners)).toBe(0)
          expect(page.value('ephemeral_port_netns_success', { netns })).toBe(1)
          expect(program.stderr()).toMatch(/level=warn .*collector=owners .*cgroup v2 tree.*\/proc/)
        },
      }),
    )
  })
})

/** One read(2) of mountinfo shows some sixty; without umount the machine's own cgroup v2 would come before them. */
const MANY_MOUNTS = [
  'umount -a -t cgroup2',
  'for i in $(seq 100); do mount -t tmpfs tmpfs /sys/fs/cgroup; done',
  'mount -t cgroup2 cgroup2 /sys/fs/cgroup',
].join(' && ')
const ofOwners = { collector: 'owners' }

/** A namespace with five connections of nobody's and three of root's, and the program started by that command. */
async function withTwoUsers(
  move: Machine['move'],
  command: readonly string[],
  flags: readonly string[],
  { use }: { readonly use: (exporter: NodeExporter, netns: string) => Promise<void> },
): Promise<void> {
  await withNetns(async (actor) => {
    const id = randomId()
    move(actor, `${TOP}/docker/${id}`)
    await listen(actor)
    await actor.call('actAs', 65_534)
    await connect(actor, 5)
    await actor.call('actAs', 0)
    await connect(actor, 3)
    const apart = command.length === 0 ? [] : ['unshare', '--mount', ...command]
    await withNodeExporter(flags, (exporter) => use(exporter, `container/${id.slice(0, 12)}`), {
      command: [...apart, process.execPath, 'dist/main.js'],
    })
  })
}
