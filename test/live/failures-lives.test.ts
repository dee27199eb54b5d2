// The failures collector over the lives of worker and program: what a death costs, what an exit leaves behind, and what
// others on the node notice.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { removeInstance } from '../../src/failures/instance.ts'
import { type Clients, compileClient, createClients } from '../support/failures/client.ts'
import {
  afterSamples,
  BY_DESTINATION,
  exhaust,
  hearOwn,
  instancesOf,
  keepHistory,
  nameOf,
  pairsOf,
  pathOf,
  TOTAL,
  totalOf,
  untilCounting,
  untilInstance,
  withFailureExporter,
} from '../support/failures/failure-scene.ts'
import { listenToOwn, v4 } from '../support/failures/own-destinations.ts'
import { openTracefs, type TracefsPlace, whyNotTraced } from '../support/failures/tracefs-place.ts'
import { type Netns, withNetns } from '../support/netns/actor.ts'
import { whyNotLive } from '../support/netns/live.ts'
import type { NodeExporter } from '../support/program/node-page.ts'

const KILLER = fileURLToPath(new URL('../support/program/worker-killer.cjs', import.meta.url))

const program = compileClient()
const skipReason = whyNotTraced() ?? (program ? undefined : 'needs a C compiler')
let tracefs: TracefsPlace
let clients: Clients

const place = () => tracefs.place
const startClient = (netns: Netns, attempts: number) =>
  clients.start({ netnsPath: pathOf(netns), kind: 'tcp', to: v4, attempts })
const fail = (netns: Netns, attempts: number) => startClient(netns, attempts).attempt()

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

async function endBy(signal: NodeJS.Signals, { program: { child, ended } }: NodeExporter) {
  child.kill(signal)
  return (await ended()).status
}

/** A program that is held up for 1.5 s ends all the same and leaves to the next one what hangs: that says nothing here. */
const UNDISTURBED_MS = 1400
const MOST_TRIES = 3

/** How a program ends once it is `ready`, and what it leaves behind. Asks another when the machine stood still meanwhile. */
async function endAnother(
  signal: NodeJS.Signals,
  ready: (exporter: NodeExporter) => Promise<unknown>,
  tries = MOST_TRIES,
): Promise<{ status: number | string | null; left: readonly string[] }> {
  const { afterMs, ...end } = await withFailureExporter({ place: place() }, async (exporter) => {
    await ready(exporter)
    const startMs = performance.now()
    const status = await endBy(signal, exporter)
    const afterMs = performance.now() - startMs
    return { status, afterMs, left: instancesOf(place(), exporter.program.child.pid) }
  })
  return afterMs < UNDISTURBED_MS || tries === 1 ? end : endAnother(signal, ready, tries - 1)
}

describe('--collector.failures', () => {
  test('goes on counting when the worker dies, and counts what happens meanwhile once', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    const directory = mkdtempSync(join(tmpdir(), 'killer-'))
    const file = join(directory, 'die')
    const env = { NODE_OPTIONS: `--require ${KILLER}`, FILE_THAT_KILLS: file }
    try {
      await withNetns(async (netns) => {
        await exhaust(netns, v4)
        const name = nameOf(netns)
        await withFailureExporter({ place: place(), env }, async (exporter) => {
          const deaths = () => exporter.program.stderr().split('Sampling worker died').length - 1
          await untilCounting(exporter, [name])
          await hearOwn(exporter, place())
          const history = await keepHistory(exporter)
          await fail(netns, 30)
          expect(totalOf(await afterSamples(exporter, 2), name)).toBe(30)
          const path = await untilInstance(place(), exporter.program.child.pid)

          for (const turn of [1, 2]) {
            // All that takes time comes before: the attempts must be over when the next worker starts.
            const client = startClient(netns, 40)
            writeFileSync(file, '')
            await expect.poll(deaths, { timeout: 120_000, interval: 5 }).toBe(turn)
            await client.attempt()
            // What another exporter tries that starts just now.
            expect(removeInstance(path)).toBe(false)
            expect(exporter.program.stderr().split('Reading sockets')).toHaveLength(turn + 1)
            const page = await afterSamples(exporter, 3)
            // The next worker heard of everybody, whose failures may be of unknown namespaces: none of ours is.
            listenToOwn(path, false)
            expect(page.value('ephemeral_port_worker_restarts_total')).toBe(turn)
            expect(totalOf(page, name)).toBe(30 + 40 * turn)
            const strays = [...pairsOf(page, 'unknown').keys()]
            expect(strays.filter((pair) => pair.includes(`:${v4.port} `))).toEqual([])
          }
          await fail(netns, 5)
          expect(totalOf(await afterSamples(exporter, 2), name)).toBe(115)
          expect(await untilInstance(place(), exporter.program.child.pid)).toBe(path)

          const seen = await history.stop()
          const totals = seen.get(`${TOTAL} ${name} tcp_connect`) ?? []
          expect(totals).toEqual(totals.toSorted((a, b) => a - b))
          expect(totals.at(-1)).toBe(115)
        })
      })
    } finally {
      rmSync(directory, { recursive: true })
    }
  })

  test('clears away after a crash at the next start, and after itself at the end', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    const killed = await withFailureExporter({ place: place() }, async (exporter) => {
      await afterSamples(exporter, 2)
      const path = await untilInstance(place(), exporter.program.child.pid)
      expect(existsSync(path)).toBe(true)
      expect(await endBy('SIGKILL', exporter)).toBe('SIGKILL')
      return path
    })
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const end = await endAnother(signal, async (exporter) => {
        const { pid } = exporter.program.child
        await untilInstance(place(), pid)
        await afterSamples(exporter, 2)
        expect(existsSync(killed)).toBe(false)
        expect(instancesOf(place(), pid)).toHaveLength(1)
      })
      expect(end).toEqual({ status: 0, left: [] })
    }
  })

  test('clears away as well what the worker was making when the end came', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    for (let turn = 0; turn < 3; turn++) {
      const end = await endAnother('SIGTERM', ({ program: { child } }) =>
        expect
          .poll(() => instancesOf(place(), child.pid), { timeout: 120_000, interval: 1 })
          .toHaveLength(1),
      )
      expect(end).toEqual({ status: 0, left: [] })
    }
  })

  test('two programs on one node count everything, each for itself', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    await withNetns(async (netns) => {
      await exhaust(netns, v4)
      const name = nameOf(netns)
      await withFailureExporter({ place: place() }, (one) =>
        withFailureExporter({ place: place() }, async (two) => {
          const both = [one, two]
          await Promise.all(both.map((exporter) => untilCounting(exporter, [name])))
          const unknownOf = await Promise.all(both.map((exporter) => hearOwn(exporter, place())))
          await fail(netns, 21)
          for (const [index, exporter] of both.entries()) {
            const page = await afterSamples(exporter, 2)
            expect([totalOf(page, name), unknownOf[index]?.(page)]).toEqual([21, 0])
          }
          await endBy('SIGTERM', two)
          await fail(netns, 4)
          expect(totalOf(await afterSamples(one, 2), name)).toBe(25)

          // One that crashes, and one that starts, change nothing for the first.
          await withFailureExporter({ place: place() }, async (three) => {
            await untilCounting(three, [name])
            await fail(netns, 2)
            await endBy('SIGKILL', three)
          })
          await withFailureExporter({ place: place() }, async (four) => {
            await untilCounting(four, [name])
            await hearOwn(four, place())
            await fail(netns, 1)
            expect(totalOf(await afterSamples(four, 2), name)).toBe(1)
          })
          expect(totalOf(await afterSamples(one, 2), name)).toBe(28)
        }),
      )
    })
  })

  test.for([
    { flags: ['--log.level=debug'], success: [], level: 'debug' },
    { flags: ['--collector.failures'], success: [0], level: 'warn' },
  ])(
    'without tracefs and with $flags it has no series, says once what to mount, and leaves the rest alone',
    async ({ flags, success: expected, level }, context) => {
      const reason = whyNotLive()
      if (reason !== undefined) return context.skip(reason)
      const options = { place: '/nowhere', intervalMs: 100, flags }
      await withFailureExporter(options, async (exporter) => {
        const page = await afterSamples(exporter, 20)
        for (const name of [TOTAL, BY_DESTINATION]) expect(page.list(name)).toEqual([])
        const success = 'ephemeral_port_scrape_collector_success'
        const failures = page.list(success, { collector: 'failures' }).map(({ value }) => value)
        expect(failures).toEqual(expected)
        expect(page.value(success, { collector: 'sockets' })).toBe(1)
        const [own] = page.list('ephemeral_port_netns_success')
        expect(own?.value).toBe(1)
        expect(page.list('ephemeral_port_pool_utilization_ratio').length).toBeGreaterThan(0)
        const lines = exporter.program
          .stderr()
          .split('\n')
          .filter((line) => /tracefs|failures/.test(line))
        expect(lines).toHaveLength(1)
        expect(lines[0]).toContain(`level=${level} `)
        expect(lines[0]).toContain(
          'there is no tracefs at /nowhere; mount it (mount -t tracefs nodev /sys/kernel/tracing)',
        )
        expect(await endBy('SIGTERM', exporter)).toBe(0)
      })
    },
  )

  test('with --no-collector.failures touches no tracefs and says nothing of it', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    const flags = ['--no-collector.failures']
    await withFailureExporter({ place: place(), flags }, async (exporter) => {
      const page = await afterSamples(exporter, 3)
      for (const name of [TOTAL, BY_DESTINATION]) expect(page.list(name)).toEqual([])
      expect(page.text).not.toContain('collector="failures"')
      expect(instancesOf(place(), exporter.program.child.pid)).toEqual([])
      expect(exporter.program.stderr()).not.toContain('tracefs')
    })
  })
})
