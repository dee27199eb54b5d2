// Every panel of both dashboards against a Prometheus server with an hour of 200 nodes x 100 namespaces: it answers in time, with data,
// and never with more than can be looked at.

import { expect, test } from 'vitest'
import { readTarget } from '../../grafana/preview/answers.ts'
import { endOf, spanOf, withBackfilledServer } from '../../grafana/preview/backfill.ts'
import {
  FLEET,
  HOUR,
  netnsName,
  SEED,
  SHOWN,
  target,
} from '../../grafana/preview/backfill-fleet.ts'
import {
  DASHBOARDS,
  type DashboardFile,
  listPanels,
  readDashboard,
} from '../../grafana/preview/model.ts'
import { type Choice, substitute } from '../../grafana/preview/variables.ts'
import { hasProgram } from '../support/program/tools.ts'
import type { PrometheusServer, Series } from '../support/prometheus/prometheus-server.ts'

const RUNS = 5
const LIMIT_SECONDS = 2
/** Lines in a graph, rows in a table. */
const MOST_SERIES = 100
const SERIES_PER_NAMESPACE = 30
const MEBIBYTE = 2 ** 20

const choices: Readonly<Record<DashboardFile, Choice>> = {
  'ephemeral-port-overview.json': {},
  'ephemeral-port-netns.json': {
    cluster: target(SHOWN.node).cluster,
    // All jobs: another one of the same instance must not show.
    instance: target(SHOWN.node).instance,
    netns: netnsName(SHOWN.node, SHOWN.number),
  },
}
const time = { span: spanOf(HOUR), scrapeSeconds: HOUR.stepSeconds }

interface Timed {
  readonly query: string
  readonly series: readonly Series[]
  /** The 95th percentile of all runs, of what counts: the clock, or the CPU time of the server where that is less. */
  readonly p95Seconds: number
  /** The same of either. */
  readonly wallSeconds: number
  readonly cpuSeconds: number
}

/**
 * How long the server works for an answer: by the clock, or by its CPU time where that is less, since the machine may be
 * busy with something else.
 */
async function takeTime(
  server: PrometheusServer,
  ask: () => Promise<readonly Series[]>,
): Promise<Omit<Timed, 'query'>> {
  const runs: { wall: number; cpu: number }[] = []
  let series: readonly Series[] = []
  for (let run = 0; run < RUNS; run++) {
    const start = { clock: performance.now(), cpu: server.cpuSeconds() }
    series = await ask()
    const wall = (performance.now() - start.clock) / 1000
    runs.push({ wall, cpu: server.cpuSeconds() - start.cpu })
  }
  return {
    series,
    p95Seconds: p95(runs.map(({ wall, cpu }) => Math.min(wall, cpu))),
    wallSeconds: p95(runs.map(({ wall }) => wall)),
    cpuSeconds: p95(runs.map(({ cpu }) => cpu)),
  }
}

function p95(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.ceil(0.95 * values.length) - 1] ?? Number.NaN
}

/** The last values of a query, of all its series. */
function lastOf(answers: readonly Timed[], name: string): readonly number[] {
  const found = answers.find(({ query }) => query.endsWith(name))
  return (found?.series ?? []).map(({ points }) => Number(points.at(-1)?.[1]))
}

/** One exporter is lost, and what another job of the fleet is and does shows nowhere. */
function expectExportersOnly(answers: readonly Timed[]): void {
  expect(lastOf(answers, 'Exporters (stat) B')).toEqual([1])
  expect(lastOf(answers, 'Exporters (timeseries) A')).toEqual([FLEET.nodes - 1])
  expect(lastOf(answers, 'Exporters (timeseries) B')).toEqual([1])
  for (const [panel, most] of [
    ['overview.json CPU of the exporters (timeseries) A', 0.1],
    ['overview.json CPU of the exporters (timeseries) B', 0.1],
    ['overview.json Memory of the exporters (timeseries) A', 200 * MEBIBYTE],
    ['overview.json Memory of the exporters (timeseries) B', 200 * MEBIBYTE],
    ['netns.json CPU (timeseries) A', 0.1],
    ['netns.json Memory (timeseries) A', 200 * MEBIBYTE],
    ['netns.json Memory (timeseries) B', 200 * MEBIBYTE],
  ] as const) {
    const [value] = lastOf(answers, panel)
    expect(value, panel).toBeGreaterThan(0)
    expect(value, panel).toBeLessThan(most)
  }
}

/** However much there is for information, every critical and every warning is in the table. */
async function expectSevereFirst(server: PrometheusServer, answers: readonly Timed[]) {
  const count = async (severity: string) => {
    const firing = `ALERTS{alertstate="firing",severity="${severity}"}`
    return Number((await server.query(`count(${firing})`, endOf(HOUR)))[0]?.points[0]?.[1])
  }
  const rows = lastOf(answers, 'Firing alerts (table) A')
  const critical = await count('critical')
  const both =
    'count(ALERTS{alertstate="firing",severity="critical"} and on (alertname, instance, netns, pool) ALERTS{alertstate="firing",severity="warning"})'
  const [alsoWarning] = await server.query(both, endOf(HOUR))
  const warning = (await count('warning')) - Number(alsoWarning?.points[0]?.[1] ?? 0)
  expect(await count('info')).toBeGreaterThan(2 * MOST_SERIES)
  expect(critical).toBeGreaterThan(2)
  expect(warning).toBeGreaterThan(2)
  expect(rows.filter((weight) => weight === 3)).toHaveLength(critical)
  expect(rows.filter((weight) => weight === 2)).toHaveLength(warning)
  expect(rows).toHaveLength(MOST_SERIES)
  const [stat] = lastOf(answers, 'Alerts (stat) A')
  expect(stat).toBe(critical + (await count('warning')))
}

async function askEverything(server: PrometheusServer): Promise<readonly Timed[]> {
  const answers: Timed[] = []
  for (const file of DASHBOARDS) {
    const dashboard = readDashboard(file)
    const question = { choice: choices[file], time }
    for (const panel of listPanels(dashboard)) {
      for (const one of panel.targets ?? []) {
        const ask = () => readTarget(server, dashboard, { panel, target: one }, question)
        const query = `${file} ${panel.title} (${panel.type}) ${one.refId}`
        answers.push({ query, ...(await takeTime(server, ask)) })
      }
    }
    for (const { name, expr } of dashboard.annotations.list) {
      const text = substitute(expr, dashboard.templating.list, choices[file], time)
      const ask = () => server.query(text, time.span)
      answers.push({ query: `${file} ${name}`, ...(await takeTime(server, ask)) })
    }
  }
  return answers
}

test('every panel shows a fleet of 200 nodes with 100 namespaces each within two seconds', {
  timeout: 600_000,
}, async (ctx) => {
  if (!hasProgram('prometheus') && process.env.CI !== 'true') ctx.skip('needs prometheus')
  const backfill = { size: FLEET, steps: HOUR, seed: SEED }
  const log = (line: string) => console.log(`backfill: ${line}`)
  await withBackfilledServer(backfill, log, async (server) => {
    const [count] = await server.query('count({netns!=""})', endOf(HOUR))
    const namespaces = FLEET.nodes * FLEET.namespacesPerNode
    const perNamespace = Number(count?.points[0]?.[1]) / namespaces
    expect(perNamespace).toBeGreaterThan(20)
    expect(perNamespace).toBeLessThanOrEqual(SERIES_PER_NAMESPACE)

    const answers = await askEverything(server)
    expect(answers.length).toBeGreaterThan(90)
    const empty = answers.filter(({ series }) => series.length === 0)
    expect(empty.map(({ query }) => query)).toEqual([])
    const long = answers.filter(({ series }) => series.length > MOST_SERIES)
    expect(long.map(({ query }) => query)).toEqual([])
    const slowest = [...answers].sort((a, b) => b.p95Seconds - a.p95Seconds)
    for (const { query, wallSeconds, cpuSeconds } of slowest.slice(0, 5)) {
      console.log(`p95 ${wallSeconds.toFixed(2)} s, CPU ${cpuSeconds.toFixed(2)} s: ${query}`)
    }
    const slow = slowest.filter(({ p95Seconds }) => !(p95Seconds < LIMIT_SECONDS))
    expect(slow.map(({ query }) => query)).toEqual([])
    expectExportersOnly(answers)
    await expectSevereFirst(server, answers)
  })
})
