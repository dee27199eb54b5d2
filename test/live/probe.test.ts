// The probe collector through the running program: what it says, and that nobody notices it.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { openLibc } from '../../src/kernel/libc.ts'
import { type Clients, compileClient, createClients } from '../support/failures/client.ts'
import {
  afterSamples,
  exhaust,
  hearOwn,
  keepHistory,
  nameOf,
  pathOf,
  TOTAL,
  totalOf,
  untilCounting,
  withFailureExporter,
} from '../support/failures/failure-scene.ts'
import { v4 } from '../support/failures/own-destinations.ts'
import { createViewer } from '../support/failures/socket-rows.ts'
import { openTracefs, type TracefsPlace, whyNotTraced } from '../support/failures/tracefs-place.ts'
import { type Netns, withNetns } from '../support/netns/actor.ts'
import type { Page } from '../support/netns/actor-page.ts'
import { whyNotExact, whyNotLive } from '../support/netns/live.ts'
import { depth } from '../support/program/depth.ts'

const KILLER = fileURLToPath(new URL('../support/program/worker-killer.cjs', import.meta.url))
const SUCCESS = 'ephemeral_port_probe_success'
const DURATION = 'ephemeral_port_probe_duration_seconds'
const OPENED = 'ephemeral_port_connections_opened_total'
/** Ports are tested however few of them are in use, and nothing but a test tells of them. */
const PROBE = ['--collector.probe', '--no-collector.buckets', '--detail.min-utilization=0']
const range = { 'net.ipv4.ip_local_port_range': '40000 40039', 'net.ipv4.tcp_tw_reuse': 0 }
const any = { address: '0.0.0.0', port: 0 }

const program = compileClient()
const skipReason = whyNotExact() ?? whyNotTraced() ?? (program ? undefined : 'needs a C compiler')
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

async function countOpens({ call }: Netns): Promise<number> {
  const [names = '', values = ''] = (await call('readFile', { path: '/proc/net/snmp' }))
    .split('\n')
    .filter((line) => line.startsWith('Tcp:'))
  return Number(values.split(' ')[names.split(' ').indexOf('ActiveOpens')])
}

/** The kernel's own counts of this namespace; the rest of that file is of the whole machine. */
async function readSockstat({ call }: Netns): Promise<string[]> {
  const text = await call('readFile', { path: '/proc/net/sockstat' })
  return [/TCP: inuse \d+/, / tw \d+/, /UDP: inuse \d+/].map((one) => one.exec(text)?.[0] ?? text)
}

describe('--collector.probe', () => {
  test('says of each namespace whether bind(0) finds a port, and how long that took', async (context) => {
    const reason = whyNotLive()
    if (reason !== undefined) return context.skip(reason)
    await withNetns((roomy) =>
      withNetns(async (full) => {
        const bind = (protocol: 'tcp' | 'udp') =>
          full.call('open', { protocol, bind: any, count: 40 })
        await full.call('setSysctls', range)
        const tcp = await bind('tcp')
        const options = { place: '/nowhere', flags: PROBE }
        await withFailureExporter(options, async (exporter) => {
          const answers = (page: Page) =>
            [roomy, full].map((netns) =>
              ['tcp_bind', 'udp'].map((pool) => page.find(SUCCESS, { netns: nameOf(netns), pool })),
            )
          const until = (wanted: readonly (readonly number[])[]) =>
            expect
              .poll(async () => answers(await exporter.read()), { timeout: 120_000 })
              .toEqual(wanted)
          await until([
            [1, 1],
            [0, 1],
          ])
          await bind('udp')
          await until([
            [1, 1],
            [0, 0],
          ])
          await full.call('close', { sockets: tcp.sockets })
          await until([
            [1, 1],
            [1, 0],
          ])
          const page = await exporter.read()
          for (const netns of [nameOf(roomy), nameOf(full)]) {
            const rows = page.list(DURATION, { netns })
            // A connect() over loopback says nothing about another destination.
            expect(rows.map(({ labels }) => labels.pool)).toEqual(['tcp_bind', 'udp'])
            for (const { value } of rows) {
              expect(value).toBeGreaterThan(0)
              expect(value).toBeLessThan(1)
            }
          }
          const collector = { collector: 'probe' }
          expect(page.value('ephemeral_port_scrape_collector_success', collector)).toBe(1)
        })
      }),
    )
  })

  test('tells nothing and tries nothing unless it is asked for', async (context) => {
    const reason = whyNotLive()
    if (reason !== undefined) return context.skip(reason)
    await withNetns(async (netns) => {
      const { call } = netns
      await call('open', { bind: v4, listen: 100 })
      await call('open', { bind: { ...v4, port: 0 }, connect: v4, count: 10 })
      const before = await countOpens(netns)
      const options = { place: '/nowhere', flags: ['--detail.min-utilization=0'] }
      await withFailureExporter(options, async (exporter) => {
        await exporter.until((page) => page.find(OPENED, { netns: nameOf(netns) }))
        const page = await afterSamples(exporter, 5)
        for (const name of [SUCCESS, DURATION]) expect(page.list(name)).toEqual([])
        expect(page.text).not.toContain('collector="probe"')
        expect(await countOpens(netns)).toBe(before)
      })
    })
  })

  test('changes no socket, no count and no counter, while it finds the ports that are closed', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    const view = await createViewer(await openLibc())
    await withNetns(async (netns) => {
      const { call, pid } = netns
      await call('setSysctls', range)
      const listener = await call('open', { bind: v4, listen: 100 })
      await call('open', { connect: v4, count: 12 })
      const hidden = { bind: { ...v4, port: 0 }, connect: v4 }
      await call('open', { ...hidden, count: 8 })
      const { sockets, locals } = await call('open', { connect: v4, count: 5 })
      const accepted = await call('accept', { listener: listener.sockets[0] ?? 0, peers: locals })
      await call('close', { sockets })
      await call('close', { sockets: accepted })
      const name = nameOf(netns)
      const before = { rows: view(pid).rows, stat: await readSockstat(netns) }
      expect(before.rows.filter((row) => row.includes(' time_wait '))).toHaveLength(5)
      const opensBefore = await countOpens(netns)

      const quick = { place: tracefs.place, intervalMs: 200 }
      await withFailureExporter({ ...quick, flags: PROBE }, (prober) =>
        withFailureExporter(quick, async (other) => {
          await Promise.all([prober, other].map((exporter) => untilCounting(exporter, [name])))
          const history = await keepHistory(prober, [TOTAL, OPENED])
          const closed = (page: Page) =>
            page.find('ephemeral_port_blocked_ports', { netns: name, holder: 'bound' })
          await prober.until((page) => closed(page) === 8 || undefined)
          // Not many more: all of this has to end before the TIME_WAITs do.
          const page = await afterSamples(prober, 6)
          expect(closed(page)).toBe(8)
          const pool = { netns: name, pool: 'tcp_connect' }
          expect(page.value('ephemeral_port_pool_available_ports', pool)).toBe(40 - 25)

          // It has connected some hundred times by now.
          expect(await countOpens(netns)).toBeGreaterThan(opensBefore + 100)
          const now = async () => ({ rows: view(pid).rows, stat: await readSockstat(netns) })
          await expect.poll(now, { timeout: 120_000, interval: 37 }).toEqual(before)
          const seen = await history.stop()
          expect(seen.get(`${OPENED} ${name}`)).toEqual([opensBefore])
          expect(seen.get(`${TOTAL} ${name} tcp_connect`)).toEqual([0])
          expect(totalOf(await other.read(), name)).toBe(0)

          // What is real is counted, and there were as many ports as it said.
          const client = {
            netnsPath: pathOf(netns),
            kind: 'tcp',
            to: v4,
            attempts: 15 + 3,
          } as const
          const outcome = await clients.start(client).attempt()
          expect(outcome).toEqual({ withoutPort: 3, connected: 15, other: 0 })
          for (const exporter of [prober, other]) {
            expect(totalOf(await afterSamples(exporter, 3), name)).toBe(3)
          }
          expect((await prober.read()).value(OPENED, { netns: name })).toBe(opensBefore + 15)
        }),
      )
    })
  })

  test('estimates what it had no time to test yet, and is exact once all is tested', async (context) => {
    const reason = whyNotExact()
    if (reason !== undefined) return context.skip(reason)
    await withNetns(async (netns) => {
      const { call } = netns
      await call('setSysctls', { ...range, 'net.ipv4.ip_local_port_range': '40000 40999' })
      const other = { ...v4, port: 8002 }
      for (const bind of [v4, other]) await call('open', { bind, listen: 1000 })
      await call('open', { connect: v4, count: 250 })
      await call('open', { bind: { ...v4, port: 0 }, connect: other, count: 250 })
      const name = nameOf(netns)
      // Of a host that uses fewer ports nothing is tested, which would take its share.
      const flags = ['--collector.probe', '--no-collector.buckets', '--detail.min-utilization=0.1']
      await withFailureExporter({ place: '/nowhere', flags }, async (exporter) => {
        const blocked = 'ephemeral_port_blocked_ports'
        const history = await keepHistory(exporter, [blocked])
        const bound = { netns: name, holder: 'bound' }
        await exporter.until((page) => page.find(blocked, bound) === 250 || undefined)
        // The first estimate may be right by chance.
        const page = await afterSamples(exporter, depth(20, 6))
        expect(page.find(blocked, bound)).toBe(250)
        const pool = { netns: name, pool: 'tcp_connect' }
        expect(page.value('ephemeral_port_pool_available_ports', pool)).toBe(500)
        expect((await call('fill', { connect: v4 })).count).toBe(500)

        // Of the 500 at most 200 were tested at first, by chance about half of them closed: with 200, ten standard deviations
        // around it. Where neighbours took most of the tests, what fewer than 30 found is no estimate yet.
        const seen = (await history.stop()).get(`${blocked} ${name} bound`) ?? []
        const estimates = seen.filter((value) => value >= 30)
        expect(estimates.length).toBeGreaterThan(0)
        expect(Math.min(...estimates)).toBeGreaterThan(110)
        expect(Math.max(...estimates)).toBeLessThan(390)
      })
    })
  })

  test('leaves its own connections out when the worker has died as well', async (context) => {
    const reason = whyNotExact()
    if (reason !== undefined) return context.skip(reason)
    const directory = mkdtempSync(join(tmpdir(), 'killer-'))
    const file = join(directory, 'die')
    const env = { NODE_OPTIONS: `--require ${KILLER}`, FILE_THAT_KILLS: file }
    try {
      await withNetns(async (netns) => {
        const { call } = netns
        await call('setSysctls', range)
        await call('open', { bind: v4, listen: 100 })
        await call('open', { connect: v4, count: 12 })
        const before = await countOpens(netns)
        const name = nameOf(netns)
        const options = { place: '/nowhere', intervalMs: 200, flags: PROBE, env }
        await withFailureExporter(options, async (exporter) => {
          const restarts = 'ephemeral_port_worker_restarts_total'
          await exporter.until((page) => page.find(OPENED, { netns: name }))
          const history = await keepHistory(exporter, [OPENED])
          for (let turn = 1; turn <= depth(2, 1); turn++) {
            await afterSamples(exporter, 5)
            writeFileSync(file, '')
            await exporter.until((page) => page.find(restarts) === turn || undefined)
            await afterSamples(exporter, 3)
          }
          expect(await countOpens(netns)).toBeGreaterThan(before + 40)
          expect((await history.stop()).get(`${OPENED} ${name}`)).toEqual([before])
        })
      })
    } finally {
      rmSync(directory, { recursive: true })
    }
  })

  test('is never refused a port for others to see, in a namespace that has none left', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    await withNetns(async (netns) => {
      await exhaust(netns, v4)
      // Bind history on every port: each test is refused.
      const { call } = netns
      await call('setSysctls', { 'net.ipv4.ip_local_port_range': '41000 41019' })
      await call('open', { bind: { ...v4, port: 0 }, connect: v4, count: 20 })
      const name = nameOf(netns)
      const quick = { place: tracefs.place, intervalMs: 200 }
      await withFailureExporter({ ...quick, flags: PROBE }, (prober) =>
        withFailureExporter(quick, async (other) => {
          const both = [prober, other]
          await Promise.all(both.map((exporter) => untilCounting(exporter, [name])))
          const unknownOf = await Promise.all(
            both.map((exporter) => hearOwn(exporter, tracefs.place, 2, true)),
          )
          const closed = { netns: name, holder: 'bound' }
          await prober.until(
            (page) => page.find('ephemeral_port_blocked_ports', closed) === 20 || undefined,
          )
          for (const [index, exporter] of both.entries()) {
            const page = await afterSamples(exporter, depth(10, 3))
            expect([totalOf(page, name), unknownOf[index]?.(page)]).toEqual([0, 0])
          }
        }),
      )
    })
  })
})
