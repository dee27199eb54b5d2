// One incident in reality, from its onset to its end: connections to one destination leak until none can be opened, and are closed.
// The exporter, Prometheus with the committed rules and Alertmanager with the committed routes run in one namespace; all their
// durations are divided by twenty. Whatever reaches a receiver is asserted, in order and with its text.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { withNetns } from '../support/netns/actor.ts'
import { whyNotExact } from '../support/netns/live.ts'
import { hasProgram } from '../support/program/tools.ts'
import {
  ALERTMANAGER,
  type AlertmanagerConfig,
  alertmanagerProgram,
  listenFaster,
  type Notification,
  withAlertmanager,
} from '../support/prometheus/alertmanager.ts'
import { makeFaster } from '../support/prometheus/rules-faster.ts'
import { RULES, readRuleFile } from '../support/prometheus/rules-files.ts'
import { withRulesServer } from '../support/prometheus/rules-server.ts'

const FACTOR = 20
const PORTS = 100
/** So many are taken when the page of what is expected must have come. */
const EXPECTED = 92
const FULL = { address: '127.0.0.1', port: 8001 }
/** Without failures, so that what can be seen depends on no right of this machine. */
const flags = [
  '--netns=self',
  '--sample.interval=1s',
  '--sample.peak-window=4s',
  '--sample.cpu-budget=1',
  '--no-collector.failures',
]
const PATIENCE = { timeout: 60_000, interval: 200 }
const at = 'tcp_connect of network namespace self on 127.0.0.1:10132'

/** As `pages: firing EphemeralPortExhausted critical: text`. */
function tell({ receiver, alerts }: Notification): readonly string[] {
  return alerts.map(
    ({ status, labels, annotations }) =>
      `${receiver}: ${status} ${labels.alertname} ${labels.severity}: ${annotations.description}`,
  )
}

test('An incident is two pages, each in time and with what is so, and their ends, and nothing else', {
  timeout: 300_000,
}, async (ctx) => {
  const isMissing =
    alertmanagerProgram === undefined || !hasProgram('prometheus') || !hasProgram('nsenter')
  if (isMissing && process.env.CI !== 'true')
    ctx.skip('needs prometheus, prometheus-alertmanager and nsenter')
  const reason = whyNotExact()
  if (reason !== undefined) ctx.skip(reason)
  const ruleFiles = ['alerts.yaml', 'recording.yaml'].map((name) =>
    makeFaster(readRuleFile(name), FACTOR),
  )
  const config = parse(readFileSync(join(RULES, 'alertmanager-inhibit.yaml'), 'utf8'))
  await withNetns(async (netns) => {
    const last = 40_000 + PORTS - 1
    await netns.call('setSysctls', { 'net.ipv4.ip_local_port_range': `40000 ${last}` })
    await netns.call('open', { bind: FULL, listen: 1000 })
    await netns.call('startExporter', { flags })
    const configuration = listenFaster(config as AlertmanagerConfig, FACTOR)
    await withAlertmanager(netns, configuration, async (notifications) => {
      const options = { ruleFiles, targetLabels: {}, alertmanager: ALERTMANAGER }
      await withRulesServer(netns, options, async (server) => {
        await expect.poll(() => server.query('up == 1'), PATIENCE).toHaveLength(1)
        await delay(15_000)
        expect(notifications).toEqual([])

        // The onset: two connections a second, so that the forecast has something to see. It waits for the first page before the
        // last ports go: on a busy machine the page of what is expected would come when it has happened, and say so.
        const leaked: number[] = []
        while (leaked.length < PORTS) {
          if (leaked.length === EXPECTED) {
            await expect.poll(() => notifications.length, PATIENCE).toBeGreaterThan(0)
          }
          const { sockets } = await netns.call('open', { connect: FULL, count: 2 })
          leaked.push(...sockets)
          await delay(1000)
        }
        const { refusal } = await netns.call('open', { connect: FULL })
        expect(refusal).toBe('EADDRNOTAVAIL')
        const refusedAtMs = Date.now()
        await expect.poll(() => notifications.length, PATIENCE).toBeGreaterThan(1)
        expect((notifications[1]?.atMs ?? 0) - refusedAtMs).toBeLessThan(15_000)
        await delay(20_000)

        await netns.call('close', { sockets: leaked, how: 'rst' })
        const curedAtMs = Date.now()
        await expect.poll(() => notifications.flatMap(tell).length, PATIENCE).toBe(4)
        await delay(20_000)
        const told = notifications.flatMap(tell)
        const cause =
          'Cause: (open leak|many connections)\\. Worst destination: 127\\.0\\.0\\.1:8001 from 127\\.0\\.0\\.1\\.'
        const predicted = new RegExp(
          `^pages: firing EphemeralPortExhaustionPredicted critical: Pool ${at} fails an allocation within the horizon of the forecast with a probability of [\\d.]+%\\. ` +
            // As Prometheus writes durations: below a minute with a fraction.
            `It is expected to be exhausted in (\\d+m \\d+s|\\d+(\\.\\d+)?s)\\. Ports left: [1-9]\\d*\\. ${cause}`,
        )
        const exhausted = new RegExp(
          `^pages: firing EphemeralPortExhausted critical: Pool ${at} had no port left within the last minutes: a program that asks for one gets an error\\. Ports left: 0\\. ${cause}`,
        )
        expect(told[0]).toMatch(predicted)
        expect(told[1]).toMatch(exhausted)
        // Each page is a group of its own: of two that end at once either may come first.
        expect(
          told
            .slice(2)
            .map((text) => text.replace(/critical:.*/, ''))
            .sort(),
        ).toEqual([
          'pages: resolved EphemeralPortExhausted ',
          'pages: resolved EphemeralPortExhaustionPredicted ',
        ])
        expect(told).toHaveLength(4)
        // The next evaluation, and the interval of a group.
        for (const { atMs } of notifications.slice(2)) expect(atMs - curedAtMs).toBeLessThan(12_000)
        expect(await server.listRuleFailures()).toEqual([])
      })
    })
  })
})
