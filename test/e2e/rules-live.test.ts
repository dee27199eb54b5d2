// The rules in reality: a Prometheus server with all of them scrapes the running exporter in a namespace whose small range is
// really used up towards one destination, and given back. The durations of the rules are divided by thirty, so that a minute
// takes two seconds, and so is the time over which the exporter keeps peaks.

import { setTimeout as delay } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { openTracefs, whyNotTraced } from '../support/failures/tracefs-place.ts'
import { type Netns, withNetns } from '../support/netns/actor.ts'
import { whyNotExact } from '../support/netns/live.ts'
import { hasProgram } from '../support/program/tools.ts'
import { makeFaster } from '../support/prometheus/rules-faster.ts'
import { listRecordings, readRuleFile } from '../support/prometheus/rules-files.ts'
import {
  type RulesServer,
  type Sample,
  withRulesServer,
} from '../support/prometheus/rules-server.ts'

const FACTOR = 30
const RANGE = { first: 40_000, ports: 100 }
const FULL = { address: '127.0.0.1', port: 8001 }
const OTHER = { address: '127.0.0.1', port: 8002 }
/** Of the exporter's own pod: no alert about a namespace may carry them. */
const targetLabels = { namespace: 'monitoring', pod: 'exporter-x' }
// A second between samples: with less, a stall of the machine is soon longer than what the exporter gives an answer to come.
const flags = [
  '--netns=self',
  '--sample.interval=1s',
  '--sample.peak-window=4s',
  '--sample.cpu-budget=1',
]
const OFTEN = { interval: 500 }
/** What begins to wait at once where the machine stands still for seconds. */
const NOT_OF_STALLS =
  'alertname!~"EphemeralPort(ExporterDown|NamespaceUnreadable|CollectorFailing)"'
/** That of counted failures is over before the slower ones begin. */
const LASTING =
  'ALERTS{alertstate="firing",netns=~"self|",alertname!="EphemeralPortAllocationsFailing"}'

const tcpConnect = [
  ['EphemeralPortExhausted', 'critical'],
  ['EphemeralPortExhaustionPredicted', 'critical'],
  ['EphemeralPortExhaustionPredicted', 'warning'],
  ['EphemeralPortPoolAlmostFull', 'warning'],
  ['EphemeralPortPoolUtilizationHigh', 'warning'],
  ['EphemeralPortConnectSlowPath', 'warning'],
].map(([alertname, severity]) => labelsOf({ alertname, severity, pool: 'tcp_connect' }))
// The page about what is predicted waits for nothing.
const atOnce = labelsOf({
  alertname: 'EphemeralPortExhaustionPredicted',
  severity: 'critical',
  pool: 'tcp_connect',
})
// Nobody binds, so that the wildcard's ports, which are all in use, are no reason for a warning.
const tcpBind = ['EphemeralPortPoolAlmostFull', 'EphemeralPortPoolUtilizationHigh'].map(
  (alertname) => labelsOf({ alertname, severity: 'info', pool: 'tcp_bind' }),
)

// The kernel's own record of the one refusal.
const counted = labelsOf({
  alertname: 'EphemeralPortAllocationsFailing',
  severity: 'critical',
  pool: 'tcp_connect',
})

/** All labels of an alert, `namespace`, `pod` and `cluster` not among them. */
function labelsOf(labels: Readonly<Record<string, string | undefined>>) {
  const target = { job: 'ephemeral-port-exporter', instance: '127.0.0.1:10132' }
  return { ...target, netns: 'self', ...labels }
}

function sortedLabels(rows: readonly { readonly metric: Sample['metric'] }[]): readonly string[] {
  return rows.map(({ metric }) => nameOf(metric)).sort()
}

function nameOf(labels: Readonly<Record<string, string | undefined>>): string {
  const { __name__, alertstate, ...rest } = labels
  return JSON.stringify(Object.entries(rest).sort())
}

async function untilFiring(server: RulesServer, expected: readonly string[]): Promise<void> {
  await expect.poll(async () => sortedLabels(await server.query(LASTING)), OFTEN).toEqual(expected)
}

async function openNamespace(netns: Netns, tracefs: string): Promise<void> {
  const last = RANGE.first + RANGE.ports - 1
  await netns.call('setSysctls', { 'net.ipv4.ip_local_port_range': `${RANGE.first} ${last}` })
  await netns.call('open', { bind: FULL, listen: 1000 })
  await netns.call('open', { bind: OTHER, listen: 1000 })
  await netns.call('startExporter', { flags: [...flags, `--path.tracefs=${tracefs}`] })
}

test('A destination that is really exhausted makes the right alerts pending, firing and resolved, and no others', async (ctx) => {
  const isMissing = !hasProgram('prometheus') || !hasProgram('nsenter')
  if (isMissing && process.env.CI !== 'true') ctx.skip('needs prometheus and nsenter')
  const reason = whyNotExact() ?? whyNotTraced()
  if (reason !== undefined) ctx.skip(reason)
  const ruleFiles = ['alerts.yaml', 'recording.yaml'].map((name) =>
    makeFaster(readRuleFile(name), FACTOR),
  )
  const tracefs = openTracefs()
  onTestFinished(() => tracefs.close())
  await withNetns(async (netns) => {
    await openNamespace(netns, tracefs.place)
    await withRulesServer(netns, { ruleFiles, targetLabels }, async (server) => {
      const { query } = server
      await expect.poll(() => query('up == 1'), OFTEN).toMatchObject([{ metric: targetLabels }])
      await delay(10_000)
      expect(
        await query(`last_over_time(ALERTS{netns=~"self|",${NOT_OF_STALLS}}[5m])`),
        'all is quiet',
      ).toEqual([])

      const { sockets, refusal } = await netns.call('open', { connect: FULL, count: 101 })
      expect({ opened: sockets.length, refusal }).toEqual({ opened: 100, refusal: 'EADDRNOTAVAIL' })
      const other = await netns.call('fill', { connect: OTHER, limit: 20 })
      expect(other.count, 'the other destinations are well').toBe(20)

      const expected = [...tcpConnect, ...tcpBind].map(nameOf).sort()
      const ever = [...tcpConnect, ...tcpBind, counted].map(nameOf).sort()
      await untilFiring(server, expected)
      expect(
        sortedLabels(
          await query(
            `last_over_time(ALERTS{alertstate="pending",netns="self",${NOT_OF_STALLS}}[5m])`,
          ),
        ),
        'each was pending before',
      ).toEqual(ever.filter((name) => name !== nameOf(atOnce)))
      const describe = async () => {
        const alerts = await server.listAlerts()
        const page = alerts.find(({ labels }) => labels.alertname === 'EphemeralPortExhausted')
        return page?.annotations.description
      }
      await expect
        .poll(describe, OFTEN)
        .toContain('Pool tcp_connect of network namespace self on 127.0.0.1:10132 had no port left')
      await expect
        .poll(describe, OFTEN)
        .toMatch(
          /Ports left: 0\. (Cause: [^.]+\. )?Worst destination: 127\.0\.0\.1:8001 from 127\.0\.0\.1\./,
        )
      const rollUp = 'cluster_pool:ephemeral_port_pool_utilization_ratio:max{pool="tcp_connect"}'
      await expect.poll(async () => (await query(rollUp))[0]?.value[1], OFTEN).toBe('1')

      // A cluster's rules read what the instance's have recorded, so that each shows the other.
      const listRecorded = async () => {
        const rows = await query(
          'count by (__name__) ({__name__=~"(netns|instance|cluster)(_[a-z]+)?:.+"})',
        )
        return rows.map(({ metric }) => metric.__name__).sort()
      }
      await expect.poll(listRecorded, { ...OFTEN, message: 'every rule records' }).toEqual(
        listRecordings()
          .map(({ record }) => record)
          .sort(),
      )

      // Without TIME_WAIT, so that all ports are free at once.
      await netns.call('close', { sockets, how: 'rst' })
      await untilFiring(server, [])
      await expect.poll(() => query('ALERTS{netns="self"}'), OFTEN).toEqual([])
      expect(
        sortedLabels(await query('last_over_time(ALERTS{alertstate="firing",netns=~"self|"}[5m])')),
      ).toEqual(ever)
      expect(await server.listRuleFailures()).toEqual([])
      expect(server.log()).toBe('')
    })
  })
})
