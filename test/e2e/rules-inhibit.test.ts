// A real Alertmanager with the committed inhibit rules is told of every alert of an exhausted pool at once: one page is left.

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { findFreePort } from '../support/program/free-port.ts'
import { waitFor } from '../support/program/program.ts'
import { hasProgram } from '../support/program/tools.ts'
import { listAlerts, RULES } from '../support/prometheus/rules-files.ts'

/** Debian's name, and that of the project. */
const program = ['prometheus-alertmanager', 'alertmanager'].find(hasProgram)

type Labels = Readonly<Record<string, string>>
interface Known {
  readonly labels: Labels
  readonly status: { readonly state: string }
}

/**
 * Proves which of them reach somebody, everything but what another alert inhibits, each as `describe` names it.
 * Alertmanager hears of alerts before it knows what they inhibit, so that the answer is asked for until it is the right
 * one, and once more when everything has been told.
 */
async function expectNotified(
  alerts: readonly Labels[],
  describe: (labels: Labels) => string,
  expected: readonly string[],
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'alertmanager-'))
  const url = `http://127.0.0.1:${await findFreePort()}`
  const child = spawn(
    program ?? '',
    [
      `--config.file=${join(RULES, 'alertmanager-inhibit.yaml')}`,
      `--storage.path=${directory}`,
      `--web.listen-address=${url.replace('http://', '')}`,
      '--cluster.listen-address=',
    ],
    { stdio: 'ignore' },
  )
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  try {
    await waitFor(async () => (await fetch(`${url}/-/ready`)).ok || undefined)
    const sent = await fetch(`${url}/api/v2/alerts`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(alerts.map((labels) => ({ labels }))),
    })
    expect(sent.status).toBe(200)
    const listNotified = async () => {
      const known = (await (await fetch(`${url}/api/v2/alerts`)).json()) as Known[]
      const isJudged = known.every(({ status }) => status.state !== 'unprocessed')
      if (known.length !== alerts.length || !isJudged) return 'not all judged yet'
      const active = known.filter(({ status }) => status.state === 'active')
      return active.map(({ labels }) => describe(labels)).sort()
    }
    await expect.poll(listNotified).toEqual(expected)
    await delay(1000)
    expect(await listNotified()).toEqual(expected)
  } finally {
    child.kill('SIGKILL')
    await ended
    rmSync(directory, { recursive: true, force: true })
  }
}

const target = { job: 'j', instance: 'i', namespace: 'shop', pod: 'cart' }
const rows = listAlerts().map(({ alert, labels }) => ({
  alertname: alert,
  severity: labels.severity ?? '',
}))
/** Every alert about the pools of sockets, of one pool of one namespace. */
function allOf(netns: string, pool: string): Labels[] {
  const aboutPools = rows.filter(({ alertname }) =>
    /Failing$|Exhaust|Pool|SlowPath/.test(alertname.replace(/CollectorFailing|Nat.*/, '')),
  )
  return aboutPools.map((row) => ({ ...target, ...row, netns, pool }))
}

test('The inhibit rules leave one page for each exhausted pool, and hide nothing of other pools', async (ctx) => {
  if (program === undefined && process.env.CI !== 'true')
    ctx.skip('needs Alertmanager (Debian: apt-get install prometheus-alertmanager)')
  const full = allOf('host', 'tcp_connect')
  expect(full.length).toBeGreaterThan(10)
  const udp = allOf('host', 'udp').filter(({ alertname }) => !alertname?.endsWith('sFailing'))
  const high = allOf('pod/shop/cart', 'tcp_connect').filter(
    ({ severity, alertname }) =>
      severity === 'warning' && /AlmostFull|UtilizationHigh/.test(alertname ?? ''),
  )
  const cause = { ...target, alertname: 'EphemeralPortCloseWaitLeak', severity: 'warning' }
  const leak = { ...cause, netns: 'host', state: 'close_wait' }
  const describe = (one: Labels) => `${one.alertname} ${one.severity} ${one.netns} ${one.pool}`
  await expectNotified([...full, ...udp, ...high, leak], describe, [
    'EphemeralPortAllocationsFailing critical host tcp_connect',
    'EphemeralPortCloseWaitLeak warning host undefined',
    'EphemeralPortExhausted critical host udp',
    'EphemeralPortPoolAlmostFull warning pod/shop/cart tcp_connect',
  ])
})

test('Failures of unknown namespaces are no second page beside an exhausted pool of the exporter', async (ctx) => {
  if (program === undefined && process.env.CI !== 'true')
    ctx.skip('needs Alertmanager (Debian: apt-get install prometheus-alertmanager)')
  const critical = { severity: 'critical', job: 'j', pool: 'tcp_connect' }
  const failing = { ...critical, alertname: 'EphemeralPortAllocationsFailing' }
  const exhausted = { ...critical, alertname: 'EphemeralPortExhausted' }
  const alerts = [
    { ...exhausted, instance: 'i', netns: 'pod/shop/cart' },
    { ...failing, instance: 'i', netns: 'unknown' },
    { ...failing, instance: 'i', netns: 'pod/shop/web' },
    // Of another pool, and only a warning: neither explains a failure of connect().
    { ...exhausted, instance: 'udp', netns: 'host', pool: 'udp' },
    { ...failing, instance: 'udp', netns: 'unknown' },
    { ...exhausted, instance: 'warning', netns: 'host', severity: 'warning' },
    { ...failing, instance: 'warning', netns: 'unknown' },
    { ...failing, instance: 'k', netns: 'unknown' },
  ]
  await expectNotified(alerts, (one) => `${one.instance} ${one.alertname} ${one.netns}`, [
    'i EphemeralPortAllocationsFailing pod/shop/web',
    'i EphemeralPortExhausted pod/shop/cart',
    'k EphemeralPortAllocationsFailing unknown',
    'udp EphemeralPortAllocationsFailing unknown',
    'udp EphemeralPortExhausted host',
    'warning EphemeralPortAllocationsFailing unknown',
    'warning EphemeralPortExhausted host',
  ])
})

test('An exporter that does not answer is one alert, and others go on', async (ctx) => {
  if (program === undefined && process.env.CI !== 'true')
    ctx.skip('needs Alertmanager (Debian: apt-get install prometheus-alertmanager)')
  const aboutExporter = rows.filter(({ alertname }) =>
    /ExporterDown|SamplesStale|Unreadable|CollectorFailing/.test(alertname),
  )
  const here = aboutExporter.map((row) => ({ ...target, ...row, netns: 'host' }))
  const there = { ...target, alertname: 'EphemeralPortSamplesStale', severity: 'warning' }
  const alerts = [...here, { ...there, instance: 'k' }]
  await expectNotified(alerts, ({ alertname, instance }) => `${alertname} ${instance}`, [
    'EphemeralPortExporterDown i',
    'EphemeralPortSamplesStale k',
  ])
})
