// Every panel of both dashboards against the running exporter: a Prometheus server with the rules scrapes it in a namespace with real
// sockets, of which one destination is exhausted, and each query returns data.

import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { stringify } from 'yaml'
import { readTarget } from '../../grafana/preview/answers.ts'
import {
  DASHBOARDS,
  type DashboardFile,
  listPanels,
  readDashboard,
} from '../../grafana/preview/model.ts'
import type { Choice } from '../../grafana/preview/variables.ts'
import { type Netns, withNetns } from '../support/netns/actor.ts'
import { parsePage } from '../support/netns/actor-page.ts'
import { whyNotExact } from '../support/netns/live.ts'
import { hasProgram } from '../support/program/tools.ts'
import {
  type PrometheusServer,
  withPrometheusServer,
} from '../support/prometheus/prometheus-server.ts'
import { parseQuery } from '../support/prometheus/promql.ts'
import { makeFaster } from '../support/prometheus/rules-faster.ts'
import { readRuleFile } from '../support/prometheus/rules-files.ts'

const RANGE = { first: 40_000, last: 40_299 }
const FULL = { address: '127.0.0.1', port: 8001 }
const OTHER = { address: '127.0.0.1', port: 8002 }
/** What the kernel or the rights of this machine may keep from the exporter: no series of it, no data of the panel. */
const NOT_EVERYWHERE: Readonly<Record<string, string>> = {
  ephemeral_port_allocation_failures_total: 'tracefs cannot be read',
  'instance_pool:ephemeral_port_allocation_failures:rate5m': 'tracefs cannot be read',
  ephemeral_port_destination_allocation_failures_total: 'tracefs cannot be read, or nothing failed',
  ephemeral_port_probe_success: 'the collector is off unless asked for',
  ephemeral_port_probe_duration_seconds: 'the collector is off unless asked for',
  ephemeral_port_conntrack_entries: 'the namespace has no conntrack',
  ephemeral_port_conntrack_limit_entries: 'the namespace has no conntrack',
  ephemeral_port_nat_collisions_total: 'the namespace has no conntrack',
  ephemeral_port_nat_insert_failed_total: 'the namespace has no conntrack',
  ephemeral_port_nat_dropped_total: 'the namespace has no conntrack',
  ephemeral_port_nat_clashes_resolved_total: 'the namespace has no conntrack',
  ephemeral_port_nat_failure_probability_ratio: 'nothing is translated',
  ephemeral_port_nat_destination_used_ports: 'nothing is translated',
  ephemeral_port_nat_client_used_ports: 'nothing is translated',
  ephemeral_port_tcp_tw_reuse_delay_seconds: 'the kernel has no such setting before 6.14',
}

/** Of both dashboards: fewer, and some were not found. */
const QUERIES = expect.toSatisfy((count: number) => count > 90)

/** No cluster, as on a single host; the links of the overview then say so. */
const choices: Readonly<Record<DashboardFile, Choice>> = {
  'ephemeral-port-overview.json': {},
  'ephemeral-port-netns.json': { cluster: '', instance: '127.0.0.1:10132', netns: 'self' },
}

async function openSockets(netns: Netns): Promise<void> {
  await netns.call('setSysctls', {
    'net.ipv4.ip_local_port_range': `${RANGE.first} ${RANGE.last}`,
    'net.ipv4.tcp_tw_reuse': 0,
  })
  const open = (request: Parameters<typeof netns.call<'open'>>[1]) => netns.call('open', request)
  const { sockets: listeners } = await open({ bind: FULL, listen: 1000 })
  await open({ bind: OTHER, listen: 1000 })
  await open({ bind: { address: '127.0.0.1', port: RANGE.first + 7 }, listen: 10 })
  await open({ bind: { address: '127.0.0.1', port: 0 }, count: 5 })
  await open({ protocol: 'udp', bind: { address: '127.0.0.1', port: 0 }, count: 20 })
  await open({ connect: OTHER, count: 30 })
  // Some in TIME_WAIT, some in CLOSE_WAIT at the other side, and then all that is left.
  const churn = await open({ connect: FULL, count: 40 })
  const accepted = await netns.call('accept', {
    listener: listeners[0] ?? -1,
    peers: churn.locals,
  })
  await netns.call('close', { sockets: churn.sockets })
  await netns.call('close', { sockets: accepted })
}

/** Takes the ports that are left; those in TIME_WAIT come free within a minute, and a busy machine needs longer than that. */
async function exhaust(netns: Netns): Promise<void> {
  const { refusal } = await netns.call('open', { connect: FULL, count: 1000 })
  expect(refusal).toBe('EADDRNOTAVAIL')
}

function configuration(ruleFiles: readonly string[]): string {
  return stringify({
    global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
    rule_files: ruleFiles,
    scrape_configs: [
      {
        job_name: 'ephemeral-port-exporter',
        honor_labels: true,
        static_configs: [{ targets: ['127.0.0.1:10132'] }],
      },
    ],
  })
}

interface Outcomes {
  readonly queries: number
  /** Without data, and nothing excuses it. */
  readonly empty: readonly string[]
  /** Excused, and yet with data. */
  readonly needless: readonly string[]
}

async function askEverything(server: PrometheusServer, netns: Netns): Promise<Outcomes> {
  const endSeconds = Math.floor(Date.now() / 1000)
  const time = {
    // A subquery by the minute has a value only where a full minute of the clock lies within.
    span: { startSeconds: endSeconds - 60, endSeconds, stepSeconds: 1 },
    scrapeSeconds: 1,
  }
  const page = parsePage((await netns.call('get', { path: '/metrics' })).body)
  const recorded = await server.query('{__name__=~"instance.+"}', { atSeconds: endSeconds })
  const published = (metric: string) =>
    page.list(metric).length > 0 || recorded.some(({ metric: own }) => own.__name__ === metric)
  const outcomes = { queries: 0, empty: [] as string[], needless: [] as string[] }
  for (const file of DASHBOARDS) {
    const dashboard = readDashboard(file)
    for (const panel of listPanels(dashboard)) {
      for (const target of panel.targets ?? []) {
        const question = { choice: choices[file], time }
        const answer = await readTarget(server, dashboard, { panel, target }, question)
        // What a number stands for that nothing is measured by: "not observed".
        const hasData = answer.some(({ points }) => points.some(([, value]) => value !== '-1'))
        const metrics = parseQuery(target.expr).selectors.map(({ metric }) => metric)
        const missing = metrics.find((metric) => metric in NOT_EVERYWHERE && !published(metric))
        const query = `${file} ${panel.title} ${target.refId}`
        outcomes.queries++
        if (!hasData && missing === undefined) outcomes.empty.push(query)
        if (hasData && missing !== undefined) {
          outcomes.needless.push(`${query}: ${NOT_EVERYWHERE[missing]}`)
        }
      }
    }
  }
  return outcomes
}

test('every panel shows data of a running exporter, but for what this machine keeps from it', async (ctx) => {
  const isMissing = !hasProgram('prometheus') || !hasProgram('nsenter')
  if (isMissing && process.env.CI !== 'true') ctx.skip('needs prometheus and nsenter')
  const reason = whyNotExact()
  if (reason !== undefined) ctx.skip(reason)
  await withNetns(async (netns) => {
    await netns.call('startExporter', {
      // Of a destination that was refused Prometheus sees 0 as long as the peak window is, and only then the refusal.
      flags: [
        '--netns=self',
        '--sample.interval=1s',
        '--sample.peak-window=5s',
        '--sample.cpu-budget=1',
      ],
    })
    const rules = ['recording.yaml', 'alerts.yaml'].map((name) =>
      stringify(makeFaster(readRuleFile(name), 60)),
    )
    const options = { configuration, rules, netns }
    await withPrometheusServer(options, async (server) => {
      await expect
        .poll(() => server.query('up == 1', { atSeconds: Date.now() / 1000 }))
        .toHaveLength(1)
      // The failures are counted from the first sample on.
      await delay(2000)
      await openSockets(netns)
      await exhaust(netns)
      // The forecast needs ten seconds, a rate four scrapes, an alert its turn; and one scrape in vain empties what asks for
      // a single moment.
      await expect
        .poll(
          async () => {
            await exhaust(netns)
            return askEverything(server, netns)
          },
          { timeout: 120_000, interval: 2000 },
        )
        .toEqual({ queries: QUERIES, empty: [], needless: [] })
    })
  })
})
