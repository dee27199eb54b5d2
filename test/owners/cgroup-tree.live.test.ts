// From sockets that the kernel lists to the names of those who hold them, with real cgroups and processes in them.

import { expect, type TestContext, test } from 'vitest'
import { readCgroupPath } from '../../src/failures/traced-threads.ts'
import { probeCapabilities } from '../../src/kernel/capabilities.ts'
import { createDumpBatch, dumpSockets, openDiagChannel } from '../../src/kernel/diag-channel.ts'
import { AF_INET, ALL_STATES } from '../../src/kernel/diag-request.ts'
import { type Libc, openLibc } from '../../src/kernel/libc.ts'
import { STATE } from '../../src/observation.ts'
import { parseCgroupPath } from '../../src/owners/cgroup-path.ts'
import { type CgroupTree, createCgroupTree } from '../../src/owners/cgroup-tree.ts'
import { nameOwner } from '../../src/owners/owner.ts'
import { withCgroupTree } from '../support/cluster/cgroup-tree.ts'
import { type Cgroups, type Holder, withCgroups } from './cgroup-holder.ts'

// The self-test of the kernel needs a port outside of it to bind.
const RANGE = { first: 10_000, last: 65535 }
const TOP = `/ports-test-${process.pid}`
/** A machine with much else to do takes longer for a walk than a sample has. */
const UNHURRIED_MS = Number.POSITIVE_INFINITY
const ID = 'c0ffee123456'.padEnd(64, '7')
const POD = 'e8f4e951-6367-4c5b-ad38-6f67cb4b6bbf'

interface Row {
  readonly protocol: string
  readonly state: number
  readonly localPort: number
  readonly cgroupId: number
}

function readRows(libc: Libc, { address }: Holder): Row[] {
  const wanted = address.split('.').reduce((word, octet) => word * 256 + Number(octet), 0)
  const rows: Row[] = []
  const channel = openDiagChannel(libc)
  try {
    for (const protocol of ['tcp', 'udp'] as const) {
      const question = { kind: 'family', family: AF_INET, protocol } as const
      const filter = { range: RANGE, choice: 'any', states: ALL_STATES } as const
      for (const batch of dumpSockets(channel, question, filter, createDumpBatch())) {
        for (let row = 0; row < batch.length; row++) {
          if (batch.localAddress[4 * row + 3] !== wanted) continue
          const [localPort = 0, state = 0] = [batch.localPort[row], batch.state[row]]
          rows.push({ protocol, state, localPort, cgroupId: batch.cgroupId[row] ?? 0 })
        }
      }
    }
  } finally {
    channel.close()
  }
  return rows
}

const idsOf = (rows: readonly Row[]) => new Set(rows.map(({ cgroupId }) => cgroupId))

function ownersOf(tree: CgroupTree, rows: readonly Row[]) {
  const paths = [...idsOf(rows)].map((id) => tree.resolve(id))
  const containerNames = new Map<string, string>()
  return paths.map((path) => path && nameOwner(parseCgroupPath(path), { containerNames }))
}

async function liveTest(
  ctx: TestContext,
  use: (cgroups: Cgroups, machine: { root: string; libc: Libc }) => Promise<void>,
): Promise<void> {
  await withCgroupTree(ctx, async (root) => {
    const libc = await openLibc()
    const { cgroupId } = probeCapabilities(libc, RANGE)
    ctx.skip(!cgroupId, 'needs a kernel that tells cgroups of sockets')
    await withCgroups(root, (cgroups) => use(cgroups, { root, libc }))
  })
}

test.for([
  {
    path: `${TOP}.slice/nginx.service`,
    owner: { owner: 'nginx.service', ownerKind: 'unit' },
  },
  {
    path: `${TOP}/kubepods/burstable/pod${POD}/${ID}`,
    owner: { owner: 'c0ffee123456', ownerKind: 'container' },
  },
  {
    path: `${TOP}/kubepods/burstable/pod${POD}`,
    owner: { owner: POD, ownerKind: 'pod' },
  },
  {
    path: `${TOP}.slice/user-1000.slice/user@1000.service/app.slice/kubepods-pod${POD}.slice/docker-${ID}.scope`,
    owner: { owner: 'user@1000.service/c0ffee123456', ownerKind: 'container' },
  },
  {
    path: `${TOP}.slice/ci.service/kubepods/pod${POD}`,
    owner: { owner: 'ci.service', ownerKind: 'unit' },
  },
  { path: TOP, owner: { owner: TOP, ownerKind: 'cgroup' } },
  { path: `${TOP}/größe`, owner: { owner: `${TOP}/größe`, ownerKind: 'cgroup' } },
] as const)(
  'every socket leads to the $owner.ownerKind $owner.owner',
  async ({ path, owner }, ctx) => {
    await liveTest(ctx, async (cgroups, { root, libc }) => {
      const id = cgroups.make(path)
      const holder = await cgroups.start(path)
      await holder.open()
      const rows = readRows(libc, holder)
      expect(rows.map(({ protocol, state }) => `${protocol} ${state}`).sort()).toEqual([
        `tcp ${STATE.established}`,
        `tcp ${STATE.established}`,
        `tcp ${STATE.listen}`,
        `udp ${STATE.bound}`,
      ])
      expect(idsOf(rows)).toEqual(new Set([id]))

      const tree = createCgroupTree({ root, sliceMs: UNHURRIED_MS })
      expect(tree.refresh(idsOf(rows))).toBe('complete')
      expect(tree.resolve(id)).toBe(path)
      expect(ownersOf(tree, rows)).toEqual([owner])
      // The kernel tells the same of the process, as failures are named.
      expect(readCgroupPath('/proc', holder.pid)).toBe(path)
    })
  },
)

test('a socket that outlives its cgroup keeps the name until it is gone', async (ctx) => {
  await liveTest(ctx, async (cgroups, { root, libc }) => {
    const path = `${TOP}.slice/short.service`
    const id = cgroups.make(path)
    const holder = await cgroups.start(path)
    await holder.open()
    const clock = { ms: 0 }
    const tree = createCgroupTree({ root, monotonicMs: () => clock.ms })
    expect(tree.refresh(idsOf(readRows(libc, holder)))).toBe('complete')

    cgroups.move(holder, '/')
    cgroups.remove(path)
    // What they carry is where they were made, not where the process is, and not whether that is there.
    const rows = readRows(libc, holder)
    expect(idsOf(rows)).toEqual(new Set([id]))
    // A walk that no longer finds it, since another unknown id made it necessary.
    clock.ms += 60_000
    const other = cgroups.make(`${TOP}.slice/other.service`)
    expect(tree.refresh([...idsOf(rows), other])).toBe('complete')
    tree.retain(idsOf(rows))
    expect(ownersOf(tree, rows)).toEqual([{ owner: 'short.service', ownerKind: 'unit' }])

    tree.retain(new Set([other]))
    expect(tree.resolve(id)).toBeUndefined()
    clock.ms += 60_000
    expect(tree.refresh([id])).toBe('complete')
    expect(tree.resolve(id)).toBeUndefined()
    expect(tree.resolve(other)).toBe(`${TOP}.slice/other.service`)
  })
})

test('TIME_WAIT carries no cgroup, and what is made in the root none with a name', async (ctx) => {
  await liveTest(ctx, async (cgroups, { root, libc }) => {
    const path = `${TOP}.slice/storm.service`
    const id = cgroups.make(path)
    const storm = await cgroups.start(path)
    const rooted = await cgroups.start('/')
    const { clientPort } = await storm.open()
    await storm.hangUp()
    const rows = readRows(libc, storm)
    expect(rows.filter(({ state }) => state === STATE.timeWait)).toEqual([
      { protocol: 'tcp', state: STATE.timeWait, localPort: clientPort, cgroupId: 0 },
    ])
    expect(rows.filter(({ cgroupId }) => cgroupId === id)).toHaveLength(2)

    await rooted.open()
    const rootedRows = readRows(libc, rooted)
    expect(rootedRows).toHaveLength(4)
    const tree = createCgroupTree({ root })
    tree.refresh([...idsOf(rows), ...idsOf(rootedRows)])
    expect(tree.resolve(0)).toBeUndefined()
    // Of a mount that shows the whole tree; seen from a container the root has a number of its own.
    ctx.skip(!idsOf(rootedRows).has(1), 'needs the root of the whole tree')
    expect(idsOf(rootedRows)).toEqual(new Set([1]))
    expect(tree.resolve(1)).toBeUndefined()
  })
})

test('directories that come and go during the walk cost nothing but themselves', async (ctx) => {
  await liveTest(ctx, async (cgroups, { root }) => {
    const stay = Array.from({ length: 40 }, (_, i) => `${TOP}/stay${i}/leaf`)
    const ids = stay.map((path) => cgroups.make(path))
    const go = Array.from({ length: 40 }, (_, i) => `${TOP}/go${i}`)
    for (const path of go) cgroups.make(path)
    let looks = 0
    const tree = createCgroupTree({
      root,
      monotonicMs: () => {
        const path = go.pop()
        if (path !== undefined && looks++ > 5) {
          cgroups.remove(path)
          cgroups.make(`${TOP}/new${looks}/leaf`)
        }
        return 0
      },
    })
    expect(tree.refresh(ids)).toBe('complete')
    expect(looks).toBe(40)
    expect(ids.map((id) => tree.resolve(id))).toEqual(stay)
  })
})
