// Outages that no counter of sockets shows by itself, through the rules in reality: clients that bind before they connect to
// many destinations, and TIME_WAITs of peers without TCP timestamps. A Prometheus server with all rules scrapes the running
// exporter; the durations of the rules are divided by thirty.

import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, onTestFinished, type TestContext, test } from 'vitest'
import { openTracefs, whyNotTraced } from '../support/failures/tracefs-place.ts'
import { type Netns, withNetns } from '../support/netns/actor.ts'
import { whyNotExact } from '../support/netns/live.ts'
import { hasProgram } from '../support/program/tools.ts'
import { makeFaster } from '../support/prometheus/rules-faster.ts'
import { readRuleFile } from '../support/prometheus/rules-files.ts'
import { type RulesServer, withRulesServer } from '../support/prometheus/rules-server.ts'

const FACTOR = 30
const RANGE = '40000 40099'
const server = { address: '127.0.0.1', port: 8001 }
const anyPort = { address: '127.0.0.1', port: 0 }
const FLAGS = [
  '--netns=self',
  '--sample.interval=1s',
  '--sample.peak-window=4s',
  '--sample.cpu-budget=1',
]
/** Without the rights to read bind buckets and to count failures. */
const BLIND = ['--no-collector.buckets', '--no-collector.failures']
const OFTEN = { interval: 500 }

function skipWithout(ctx: TestContext, reason: string | undefined): void {
  const isMissing = !hasProgram('prometheus') || !hasProgram('nsenter')
  if (isMissing && process.env.CI !== 'true') ctx.skip('needs prometheus and nsenter')
  if (reason !== undefined) ctx.skip(reason)
}

interface Scene {
  readonly netns: Netns
  readonly rules: RulesServer
}

/** A namespace with a hundred ports, in which `prepare` has been, and a Prometheus that has scraped it. */
async function withScene(
  {
    flags,
    prepare,
  }: { readonly flags: readonly string[]; readonly prepare: (netns: Netns) => Promise<void> },
  use: (scene: Scene) => Promise<void>,
): Promise<void> {
  const ruleFiles = ['alerts.yaml', 'recording.yaml'].map((name) =>
    makeFaster(readRuleFile(name), FACTOR),
  )
  await withNetns(async (netns) => {
    await netns.call('setSysctls', { 'net.ipv4.ip_local_port_range': RANGE })
    await prepare(netns)
    await netns.call('startExporter', { flags: [...FLAGS, ...flags] })
    await withRulesServer(netns, { ruleFiles, targetLabels: {} }, async (rules) => {
      await expect.poll(() => rules.query('up == 1'), OFTEN).toHaveLength(1)
      await use({ netns, rules })
    })
  })
}

/** Waits for the page about a pool; returns its text. */
async function untilPaged(rules: RulesServer, pool: string): Promise<string> {
  let text: string | undefined
  const look = async () => {
    const alerts = await rules.listAlerts()
    const page = alerts.find(
      ({ labels, state }) =>
        labels.alertname === 'EphemeralPortExhausted' &&
        labels.severity === 'critical' &&
        labels.pool === pool &&
        state === 'firing',
    )
    text = page?.annotations.description
    return text
  }
  await expect.poll(look, OFTEN).toBeDefined()
  return text ?? ''
}

describe('a page is sent', () => {
  test('of clients that bind and connect in one go to ten destinations', async (ctx) => {
    skipWithout(ctx, whyNotExact())
    const targets = Array.from({ length: 10 }, (_, at) => ({ ...server, port: 8010 + at }))
    const prepare = async ({ call }: Netns) => {
      for (const bind of targets) await call('open', { bind, listen: 100 })
    }
    await withScene({ flags: BLIND, prepare }, async ({ netns, rules }) => {
      await delay(5000)
      expect(await rules.query('ALERTS{netns="self",alertstate="firing"}')).toEqual([])
      let held = 0
      for (const connect of targets) {
        const { sockets } = await netns.call('open', { bind: anyPort, connect, count: 10 })
        held += sockets.length
      }
      // Prometheus needs ports as well.
      expect(held).toBeGreaterThan(90)
      const refused = await netns.call('open', { bind: anyPort, connect: server })
      expect(refused.refusal).toBe('EADDRINUSE')
      expect(await untilPaged(rules, 'tcp_bind')).toContain('Cause: bind before connect.')
    })
  })

  /** Closes connections on our side, so that their TIME_WAITs are here. */
  async function endConnections({ call }: Netns, listener: number, count: number): Promise<void> {
    const { sockets, locals } = await call('open', { connect: server, count })
    const accepted = await call('accept', { listener, peers: locals })
    await call('close', { sockets })
    await call('close', { sockets: accepted })
  }

  /** Our TIME_WAITs cannot be recycled, although all settings allow it. */
  async function fillWithTimeWaits(netns: Netns, { live }: { live: number }): Promise<void> {
    const { call } = netns
    await call('setSysctls', { 'net.ipv4.tcp_tw_reuse': 1, 'net.ipv4.tcp_timestamps': 0 })
    const { sockets } = await call('open', { bind: server, listen: 65_535 })
    await endConnections(netns, sockets[0] ?? -1, 100 - live)
    await call('open', { connect: server, count: live })
    await call('setSysctls', { 'net.ipv4.tcp_timestamps': 1 })
  }

  test('of TIME_WAITs of a peer that live connections show to have no timestamps', async (ctx) => {
    skipWithout(ctx, whyNotExact())
    const prepare = (netns: Netns) => fillWithTimeWaits(netns, { live: 2 })
    await withScene({ flags: BLIND, prepare }, async ({ netns, rules }) => {
      const { refusal } = await netns.call('open', { connect: server })
      expect(refusal).toBe('EADDRNOTAVAIL')
      expect(await untilPaged(rules, 'tcp_connect')).toContain(
        'Worst destination: 127.0.0.1:8001 from 127.0.0.1.',
      )
    })
  })

  test('of TIME_WAITs of a peer without timestamps that only the refused connections tell of', async (ctx) => {
    skipWithout(ctx, whyNotExact() ?? whyNotTraced())
    const tracefs = openTracefs()
    onTestFinished(() => tracefs.close())
    const flags = [`--path.tracefs=${tracefs.place}`]
    const prepare = (netns: Netns) => fillWithTimeWaits(netns, { live: 0 })
    await withScene({ flags, prepare }, async ({ netns, rules }) => {
      const isOver = new AbortController()
      const client = (async () => {
        while (!isOver.signal.aborted) {
          const { refusal } = await netns.call('open', { connect: server })
          expect(refusal).toBe('EADDRNOTAVAIL')
          await delay(500)
        }
      })()
      try {
        await Promise.race([untilPaged(rules, 'tcp_connect'), client])
      } finally {
        isOver.abort()
        await client
      }
    })
  })
})
