// Failed allocations as the running program counts them, against clients that were told EADDRNOTAVAIL and against all that
// looks similar.

import { closeSync, fstatSync, openSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { openLibc } from '../../src/kernel/libc.ts'
import { type Clients, compileClient, createClients, makeUnit } from '../support/failures/client.ts'
import {
  afterSamples,
  BY_DESTINATION,
  exhaust,
  hearOwn,
  keepHistory,
  nameOf,
  ownerOf,
  pairsOf,
  pathOf,
  TOTAL,
  totalOf,
  untilCounting,
  untilInstance,
  untilPairs,
  withFailureExporter,
} from '../support/failures/failure-scene.ts'
import { CLOSED_PORT, listenToOwn, mapped, v4, v6 } from '../support/failures/own-destinations.ts'
import { openTracefs, type TracefsPlace, whyNotTraced } from '../support/failures/tracefs-place.ts'
import { openLibc as openTestLibc } from '../support/kernel/libc.ts'
import { withNetns } from '../support/netns/actor.ts'
import { inNetnsOf } from '../support/netns/in-netns.ts'
import { bringUp, removeAddress, unshareNetns } from '../support/netns/netns.ts'

const program = compileClient()
const skipReason = whyNotTraced() ?? (program ? undefined : 'needs a C compiler')
let tracefs: TracefsPlace
let clients: Clients

beforeAll(() => {
  if (skipReason !== undefined || program === undefined) return
  tracefs = openTracefs()
  clients = createClients(program.path)
})
afterEach(async () => {
  if (skipReason === undefined) await clients.close()
})
afterAll(() => {
  program?.remove()
  tracefs?.close()
})

// A few namespaces and a program take seconds, a machine that is busy with other things multiplies them.
describe('--collector.failures', () => {
  test('names number, destination and owner of every client, in three namespaces at once', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    const units = ['shop', 'mail', 'backup'].map((unit) => makeUnit(`ephemeral-live-${unit}`))
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
            await Promise.all(spaces.map((netns) => exhaust(netns, v4, v6)))
            const options = { place: tracefs.place, holdSeconds: 5 }
            await withFailureExporter(options, async (exporter) => {
              await untilCounting(exporter, spaces.map(nameOf))
              const unknownOf = await hearOwn(exporter, tracefs.place)
              const before = await exporter.read()
              expect(spaces.flatMap((netns) => [...pairsOf(before, nameOf(netns))])).toEqual([])
              const history = await keepHistory(exporter)

              const wanted = spaces.map(() => new Map<string, number>())
              const attempts = spaces.flatMap((netns, index) =>
                cases.slice(index).map(async ([kind, to, count]) => {
                  const attempts = count + 10 * index
                  const client = clients.start({ netnsPath: pathOf(netns), kind, to, attempts })
                  const unit = units[index]
                  unit?.add(client.pid)
                  const owner = unit?.name ?? ownerOf(client.pid)
                  expect(await client.attempt()).toEqual({
                    withoutPort: attempts,
                    connected: 0,
                    other: 0,
                  })
                  const address = to === v6 ? '[::1]' : '127.0.0.1'
                  const pair = `${address}:${to.port} ${owner}`
                  wanted[index]?.set(pair, (wanted[index].get(pair) ?? 0) + attempts)
                }),
              )
              await Promise.all(attempts)
              for (const [index, netns] of spaces.map(nameOf).entries()) {
                await untilPairs(exporter, netns, wanted[index] ?? new Map())
              }
              const page = await exporter.read()
              const seen = await history.stop()

              for (const [index, netns] of spaces.map(nameOf).entries()) {
                const pairs = wanted[index] ?? new Map()
                const sum = [...pairs.values()].reduce((total, count) => total + count, 0)
                expect(totalOf(page, netns)).toBe(sum)
                // Nothing that increase() would miss: 0 was on a page before.
                expect(seen.get(`${TOTAL} ${netns} tcp_connect`)?.[0]).toBe(0)
                for (const pair of pairs.keys()) {
                  expect(seen.get(`${BY_DESTINATION} ${netns} ${pair}`)?.[0], pair).toBe(0)
                }
              }
              expect(unknownOf(page)).toBe(0)
              // Of others a name may come to mean the next namespace, which begins at 0.
              const own = ['unknown', ...spaces.map(nameOf)]
              for (const [series, values] of seen) {
                const [, netns = ''] = series.split(' ')
                if (own.includes(netns)) expect(values).toEqual(ascending(values))
              }

              // Who comes later begins at 0 as well, whatever others have counted.
              await withNetns(async (late) => {
                // A namespace that has just ended may have had this inode, and its name until a sample misses it.
                await afterSamples(exporter, 2)
                await untilCounting(exporter, [nameOf(late)])
              })
            })
          }),
        ),
      )
    } finally {
      await clients.close()
      for (const unit of units) await unit?.remove()
    }
  })

  test('does not count refused connects, time-outs, and a ::1 that is not there', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    const testLibc = openTestLibc()
    const bare = inNetnsOf(await openLibc(), process.pid, () => {
      unshareNetns(testLibc)
      bringUp(testLibc, 'lo')
      removeAddress(testLibc, 'lo', '::1', 128)
      return openSync('/proc/thread-self/ns/net', 'r')
    })
    try {
      await withNetns(async (netns) => {
        await exhaust(netns, v4)
        await netns.call('setSysctls', { 'net.ipv4.tcp_syn_retries': 1 })
        const start = (to: typeof v4, attempts: number, netnsPath = pathOf(netns)) =>
          clients.start({ netnsPath, kind: 'tcp', to, attempts })
        const absent = start(v6, 20, `/proc/${process.pid}/fd/${bare}`)
        const names = [nameOf(netns), `inode/${fstatSync(bare).ino}`]

        await withFailureExporter({ place: tracefs.place }, async (exporter) => {
          await untilCounting(exporter, names)
          const unknownOf = await hearOwn(exporter, tracefs.place)
          const nobody = { address: '10.9.0.200', port: v4.port }
          const slow = [1, 2].map(() => start(nobody, 1).attempt())
          for (const to of [v4, v6].map((one) => ({ ...one, port: CLOSED_PORT }))) {
            const refused = await start(to, 100).attempt()
            expect(refused).toEqual({ withoutPort: 0, connected: 0, other: 100 })
          }
          expect(await absent.attempt()).toEqual({ withoutPort: 20, connected: 0, other: 0 })
          expect(await Promise.all(slow)).toEqual(
            slow.map(() => ({ withoutPort: 0, connected: 0, other: 1 })),
          )
          const page = await afterSamples(exporter, 2)
          for (const netns of names) {
            expect(pairsOf(page, netns)).toEqual(new Map())
            expect(totalOf(page, netns)).toBe(0)
          }
          expect(unknownOf(page)).toBe(0)

          // It would have seen them.
          await start(v4, 3).attempt()
          const after = await afterSamples(exporter, 3)
          expect(names.map((name) => totalOf(after, name))).toEqual([3, 0])
          expect(unknownOf(after)).toBe(0)
        })
      })
    } finally {
      closeSync(bare)
    }
  })

  test('counts 5,000 failures between two samples, of which the rings keep a part', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    await withNetns(async (netns) => {
      await exhaust(netns, v4)
      const name = nameOf(netns)
      const options = { place: tracefs.place, intervalMs: 10_000 }
      await withFailureExporter(options, async (exporter) => {
        await untilCounting(exporter, [name])
        const history = await keepHistory(exporter)
        const client = clients.start({
          netnsPath: pathOf(netns),
          kind: 'tcp',
          to: v4,
          attempts: 5000,
        })
        const unknownOf = await hearOwn(exporter, tracefs.place, 1)
        expect(await client.attempt()).toEqual({ withoutPort: 5000, connected: 0, other: 0 })
        const page = await afterSamples(exporter, 2)
        expect([totalOf(page, name), unknownOf(page)]).toEqual([5000, 0])

        const pairs = pairsOf(page, name)
        const named = `127.0.0.1:${v4.port} ${ownerOf(client.pid)}`
        expect([...pairs.keys()].sort()).toEqual([named, 'other other'])
        expect(pairs.get(named)).toBeGreaterThan(0)
        expect([...pairs.values()].reduce((sum, count) => sum + count, 0)).toBe(5000)
        // All of them in one step: there was no sample in between.
        const seen = await history.stop()
        expect(seen.get(`${TOTAL} ${name} tcp_connect`)).toEqual([0, 5000])
      })
    })
  })

  test('books what an ended process left in the one namespace that can have refused it', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    await withNetns(async (netns) => {
      await exhaust(netns, v4)
      const name = nameOf(netns)
      await withFailureExporter({ place: tracefs.place, intervalMs: 5000 }, async (exporter) => {
        await untilCounting(exporter, [name])
        const client = clients.start({ netnsPath: pathOf(netns), kind: 'tcp', to: v4, attempts: 7 })
        // A sample between its attempts and its end would know whose they were.
        const unknownOf = await hearOwn(exporter, tracefs.place, 1)
        await client.attempt()
        await client.end()
        const pairs = new Map([[`127.0.0.1:${v4.port} unknown`, 7]])
        const page = await untilPairs(exporter, name, pairs)
        expect([totalOf(page, name), unknownOf(page)]).toEqual([7, 0])
      })
    })
  })

  test('names the destination in a namespace of which hardly any port is in use', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    await withNetns(async (netns) => {
      const { call, pid } = netns
      await call('setSysctls', { 'net.ipv4.ip_local_port_range': '40000 40999' })
      await call('open', { bind: v4, listen: 100 })
      const name = nameOf(netns)
      await withFailureExporter({ place: tracefs.place, holdSeconds: 5 }, async (exporter) => {
        await untilCounting(exporter, [name])
        await hearOwn(exporter, tracefs.place)
        const history = await keepHistory(exporter)
        // A program that keeps to ten ports of its own.
        const slice = { connect: v4, localPortRange: { first: 40_500, last: 40_509 } }
        expect((await call('open', { ...slice, count: 10 })).locals).toHaveLength(10)
        // At once, so that no sample comes between the first and the last.
        expect(await call('fill', { ...slice, refusals: 7 })).toEqual({
          count: 0,
          refusal: 'EADDRNOTAVAIL',
        })
        const pair = `127.0.0.1:${v4.port} ${ownerOf(pid)}`
        await untilPairs(exporter, name, new Map([[pair, 7]]))
        // The history has seen it by then, and a quiet namespace is read when it is its turn.
        const page = await afterSamples(exporter, 2)
        expect(totalOf(page, name)).toBe(7)
        const used = 'ephemeral_port_pool_utilization_ratio'
        const pool = { netns: name, pool: 'tcp_connect' }
        expect(await exporter.until((now) => now.find(used, pool) || undefined)).toBeCloseTo(0.01)
        const seen = await history.stop()
        expect(seen.get(`${BY_DESTINATION} ${name} ${pair}`)).toEqual([0, 7])
      })
    })
  })

  test('with --netns=self counts what happens there, and nothing of others', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    await withNetns((other) =>
      withNetns(async (netns) => {
        await Promise.all([exhaust(netns, v4), exhaust(other, v4)])
        const flags = ['--sample.interval=500ms', '--sample.cpu-budget=1']
        const { pid } = await netns.call('startExporter', {
          flags: [...flags, `--path.tracefs=${tracefs.place}`],
        })
        const read = async () => (await netns.call('get', { path: '/metrics' })).body
        const lines = async () =>
          (await read()).split('\n').filter((line) => line.startsWith(TOTAL))
        const line = (count: number) => [`${TOTAL}{netns="self",pool="tcp_connect"} ${count}`]
        await expect.poll(lines, { timeout: 120_000 }).toEqual(line(0))
        listenToOwn(await untilInstance(tracefs.place, pid), false)
        const start = (where: typeof netns, attempts: number) =>
          clients.start({ netnsPath: pathOf(where), kind: 'tcp', to: v4, attempts }).attempt()
        await start(other, 40)
        await start(netns, 9)
        await expect.poll(lines, { timeout: 120_000 }).toEqual(line(9))
        await start(other, 40)
        await start(netns, 1)
        await expect.poll(lines, { timeout: 120_000 }).toEqual(line(10))
      }),
    )
  })
})

const ascending = (values: readonly number[]) => values.toSorted((a, b) => a - b)
