// The kernel's record of failed allocations against clients that were told EADDRNOTAVAIL, and against all that look similar.

import { closeSync, fstatSync, openSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createInstanceName, removeInstance } from '../../src/failures/instance.ts'
import { openRecorder, type Recorder } from '../../src/failures/recorder.ts'
import { readCgroupPath, readNetnsInode } from '../../src/failures/traced-threads.ts'
import { openLibc } from '../../src/kernel/libc.ts'
import {
  advanceLedger,
  emptyLedger,
  type FailureLedger,
  renderFailures,
  renderUnknownFailures,
} from '../../src/ledger/ledger.ts'
import { parseCgroupPath } from '../../src/owners/cgroup-path.ts'
import { probePorts } from '../../src/probes/port.ts'
import {
  type ClientKind,
  type Clients,
  compileClient,
  createClients,
  makeUnit,
} from '../support/failures/client.ts'
import { exhaust as exhaustPorts, PORTS, range } from '../support/failures/failure-scene.ts'
import { CLOSED_PORT, listenToOwn, mapped, v4, v6 } from '../support/failures/own-destinations.ts'
import { openTracefs, type TracefsPlace, whyNotTraced } from '../support/failures/tracefs-place.ts'
import { type Endpoint, openLibc as openTestLibc } from '../support/kernel/libc.ts'
import { type Netns, withNetns } from '../support/netns/actor.ts'
import { inNetnsOf } from '../support/netns/in-netns.ts'
import { bringUp, removeAddress, unshareNetns } from '../support/netns/netns.ts'

const program = compileClient()
const skipReason = whyNotTraced() ?? (program ? undefined : 'needs a C compiler')

let tracefs: TracefsPlace
let clients: Clients
let recorder: Recorder
let name: string

/** Reads into the ledger; `keys` are inodes of namespaces. Once more with nothing, so that everything is published. */
function account(ledger: FailureLedger, keys: readonly number[]): FailureLedger {
  const present = keys.map(String)
  const resolvers = {
    netnsOf: (pid: number) => readNetnsInode('/proc', pid)?.toString(),
    ownerOf: (pid: number) => parseCgroupPath(readCgroupPath('/proc', pid) ?? '').name,
  }
  const reading = recorder.read(resolvers)
  expect(reading.problem).toBeUndefined()
  const idle = { rings: [], events: [], problem: undefined }
  return [reading, idle].reduce<FailureLedger>((state, one) => {
    const clock = { atSeconds: (state.atSeconds ?? 0) + 1, holdSeconds: 1 }
    return advanceLedger(state, { ...clock, reading: one, present, published: present })
  }, ledger)
}

/** What others have left in the rings before they were ours alone. */
let foreign = 0

function open(keys: readonly number[]): FailureLedger {
  const ledger = account(account(emptyLedger, keys), keys)
  foreign = renderUnknownFailures(ledger)?.pools[0]?.total ?? 0
  return ledger
}

/** Where probes go others may fail as well: one test alone hears of them. */
function reopenRecorder(probesToo = false): void {
  recorder = openRecorder({ places: [tracefs.place], name })
  listenToOwn(recorder.instancePath, probesToo)
}

const totalOf = (ledger: FailureLedger, key: number) =>
  renderFailures(ledger, `${key}`)?.pools[0]?.total
const unknownOf = (ledger: FailureLedger) =>
  (renderUnknownFailures(ledger)?.pools[0]?.total ?? Number.NaN) - foreign

/** Exhausts the pool to each of these, and gives the key of the namespace. */
async function exhaust(netns: Netns, ...destinations: Endpoint[]): Promise<number> {
  await exhaustPorts(netns, ...destinations)
  return readNetnsInode('/proc', netns.pid) ?? 0
}

const startClient = (netns: Netns, kind: ClientKind, to: Endpoint, attempts: number) =>
  clients.start({ netnsPath: `/proc/${netns.pid}/ns/net`, kind, to, attempts })

beforeAll(() => {
  if (skipReason !== undefined || program === undefined) return
  tracefs = openTracefs()
  clients = createClients(program.path)
})
beforeEach(() => {
  if (skipReason !== undefined) return
  name = createInstanceName(process.pid)
  reopenRecorder()
})
afterEach(async () => {
  if (skipReason !== undefined) return
  await clients.close()
  recorder.close()
  expect(removeInstance(recorder.instancePath)).toBe(true)
})
afterAll(() => {
  program?.remove()
  tracefs?.close()
})

describe('openRecorder()', () => {
  test('finds number, destination and owner of every client, in each of three namespaces', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    const units = ['shop', 'mail', 'backup'].map((unit) => makeUnit(`ephemeral-test-${unit}`))
    const cases = [
      ['tcp', v4, 11],
      ['tcp', v6, 12],
      ['tcp', mapped, 13],
      ['mptcp', v4, 14],
      ['mptcp', v6, 15],
      ['uring', v4, 16],
      ['uring', v6, 17],
      ['uring-async', v4, 18],
    ] as const
    try {
      await withNetns((one) =>
        withNetns((two) =>
          withNetns(async (three) => {
            const spaces = [one, two, three]
            const keys = await Promise.all(spaces.map((netns) => exhaust(netns, v4, v6)))
            let ledger = open(keys)
            for (const [index, netns] of spaces.entries()) {
              const want = new Map<string, number>()
              for (const [kind, to, attempts] of cases.slice(index)) {
                const client = startClient(netns, kind, to, attempts + index)
                units[index]?.add(client.pid)
                const { withoutPort } = await client.attempt()
                expect(withoutPort, kind).toBe(attempts + index)
                const destination = `${to === v6 ? '[::1]' : '127.0.0.1'}:${to.port}`
                const owner =
                  units[index]?.name ??
                  parseCgroupPath(readCgroupPath('/proc', client.pid) ?? '').name
                const key = `${destination} ${owner}`
                want.set(key, (want.get(key) ?? 0) + withoutPort)
              }
              ledger = account(ledger, keys)
              const failures = renderFailures(ledger, `${keys[index]}`)
              const found = new Map(
                failures?.destinations.map(({ destination, owner, total }) => [
                  `${destination} ${owner}`,
                  total,
                ]),
              )
              expect(found).toEqual(want)
              expect(totalOf(ledger, keys[index] ?? 0)).toBe(
                [...want.values()].reduce((sum, count) => sum + count, 0),
              )
              await clients.close()
            }
            expect(unknownOf(ledger)).toBe(0)
          }),
        ),
      )
    } finally {
      await clients.close()
      for (const unit of units) await unit?.remove()
    }
  })

  test('does not count what fails for another reason', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    await withNetns(async (netns) => {
      const key = readNetnsInode('/proc', netns.pid) ?? 0
      await netns.call('setSysctls', { ...range, 'net.ipv4.tcp_syn_retries': 1 })
      const ledger = open([key])
      const nobody = { address: '10.9.0.200', port: v4.port }
      const slow = [1, 2].map(() => startClient(netns, 'tcp', nobody, 1).attempt())

      for (const to of [
        { ...v4, port: CLOSED_PORT },
        { ...v6, port: CLOSED_PORT },
      ]) {
        const refused = await startClient(netns, 'tcp', to, 100).attempt()
        expect(refused).toEqual({ withoutPort: 0, connected: 0, other: 100 })
      }
      // Connected, reset by the other side, closed in order.
      const listener = await netns.call('open', { bind: v4, listen: 100 })
      for (const how of ['rst', 'fin'] as const) {
        const { sockets } = await netns.call('open', { connect: v4, count: 5 })
        await netns.call('close', { sockets, how })
      }
      await netns.call('close', { sockets: listener.sockets })
      // A port that its owner chose, and that is taken: EADDRNOTAVAIL as well, but nobody's pool is empty.
      await netns.call('open', { bind: v6, listen: 100 })
      const bind = { address: '::1', port: 20_000 }
      await netns.call('open', { bind, connect: v6, reuseAddress: true })
      const clash = await netns.call('open', { bind, connect: v6, reuseAddress: true })
      expect(clash.refusal).toBe('EADDRNOTAVAIL')

      expect(await Promise.all(slow)).toEqual(
        slow.map(() => ({ withoutPort: 0, connected: 0, other: 1 })),
      )
      const after = account(ledger, [key])
      expect([totalOf(after, key), unknownOf(after)]).toEqual([0, 0])
    })
  })

  test('does not count connections to ::1 where there is none, which fail alike', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    const testLibc = openTestLibc()
    const fd = inNetnsOf(await openLibc(), process.pid, () => {
      unshareNetns(testLibc)
      bringUp(testLibc, 'lo')
      removeAddress(testLibc, 'lo', '::1', 128)
      return openSync('/proc/thread-self/ns/net', 'r')
    })
    try {
      const netnsPath = `/proc/${process.pid}/fd/${fd}`
      const key = fstatSync(fd).ino
      const ledger = open([key])
      const client = clients.start({ netnsPath, kind: 'tcp', to: v6, attempts: 20 })
      expect(await client.attempt()).toEqual({ withoutPort: 20, connected: 0, other: 0 })
      const after = account(ledger, [key])
      expect([totalOf(after, key), unknownOf(after)]).toEqual([0, 0])
    } finally {
      closeSync(fd)
    }
  })

  test('counts 5,000 failures between two readings, of which the rings keep a part', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    await withNetns(async (netns) => {
      const key = await exhaust(netns, v4)
      const before = open([key])
      const client = startClient(netns, 'tcp', v4, 5000)
      expect(await client.attempt()).toEqual({ withoutPort: 5000, connected: 0, other: 0 })
      const after = account(before, [key])
      expect([totalOf(after, key), unknownOf(after)]).toEqual([5000, 0])
      const rows = renderFailures(after, `${key}`)?.destinations ?? []
      expect(rows.map(({ destination }) => destination).sort()).toEqual([
        `127.0.0.1:${v4.port}`,
        'other',
      ])
      expect(rows.reduce((sum, { total }) => sum + total, 0)).toBe(5000)
    })
  })

  test('goes on where another thread of the process has stopped, counting nothing twice', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    await withNetns(async (netns) => {
      const key = await exhaust(netns, v4)
      const before = open([key])
      await startClient(netns, 'tcp', v4, 30).attempt()
      const first = account(before, [key])
      expect(totalOf(first, key)).toBe(30)
      await startClient(netns, 'tcp', v4, 40).attempt()
      // Read, and lost with the thread that read it. It is one event for each CPU that the client was on.
      const lost = recorder.read({ netnsOf: () => undefined, ownerOf: () => undefined }).events
      expect(lost.reduce((sum, { count }) => sum + count, 0)).toBe(40)
      recorder.close()
      await startClient(netns, 'tcp', v4, 50).attempt()
      reopenRecorder()
      await startClient(netns, 'tcp', v4, 60).attempt()

      const after = account(first, [key])
      // Of the 40 nothing is known; they are in this namespace where something else of their CPU was.
      expect((totalOf(after, key) ?? 0) + (unknownOf(after) ?? 0)).toBe(180)
      expect(totalOf(after, key)).toBeGreaterThanOrEqual(140)
      expect(totalOf(account(after, [key]), key)).toBe(totalOf(after, key))
    })
  })

  test('books as unknown what a process left that has ended', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    await withNetns(async (netns) => {
      const key = await exhaust(netns, v4)
      const before = open([key])
      const client = startClient(netns, 'tcp', v4, 5)
      await client.attempt()
      await client.end()
      const after = account(before, [key])
      expect([totalOf(after, key), unknownOf(after)]).toEqual([0, 5])
    })
  })

  test('never counts probes, and counts all else that goes where they go', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    const libc = await openLibc()
    await withNetns(async (netns) => {
      const { call, pid } = netns
      await call('setSysctls', range)
      const key = readNetnsInode('/proc', pid) ?? 0
      recorder.close()
      reopenRecorder(true)
      const ledger = open([key])
      await call('open', { bind: { address: '127.0.0.1', port: 0 }, count: PORTS })
      const ports = Array.from({ length: PORTS }, (_, index) => 40_000 + index)
      expect(inNetnsOf(libc, pid, () => probePorts(libc, ports)).closed).toEqual(ports)
      await startClient(netns, 'tcp', { ...v4, port: 9 }, 3).attempt()
      const after = account(ledger, [key])
      expect([totalOf(after, key), unknownOf(after)]).toEqual([3, 0])
    })
  })
})
