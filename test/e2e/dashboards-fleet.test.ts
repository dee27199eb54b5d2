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
import { type Answer, askAll, type Question } from '../support/prometheus/looks.ts'
import type { PrometheusServer } from '../support/prometheus/prometheus-server.ts'

const LIMIT_LOOKS = 2
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

/** The last values of a query, of all its series. */
function lastOf(answers: readonly Answer[], name: string): readonly number[] {
  const found = answers.find(({ name: asked }) => asked.endsWith(name))
  return (found?.series ?? []).map(({ points }) => Number(points.at(-1)?.[1]))
}

/** One exporter is lost, and what another job of the fleet is and does shows nowhere. */
function expectExportersOnly(answers: readonly Answer[]): void {
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
async function expectSevereFirst(server: PrometheusServer, answers: readonly Answer[]) {
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

function listQuestions(server: PrometheusServer): readonly Question[] {
  return DASHBOARDS.flatMap((file) => {
    const dashboard = readDashboard(file)
    const question = { choice: choices[file], time }
    const ofPanels = listPanels(dashboard).flatMap((panel) =>
      (panel.targets ?? []).map((target) => ({
        name: `${file} ${panel.title} (${panel.type}) ${target.refId}`,
        ask: () => readTarget(server, dashboard, { panel, target }, question),
      })),
    )
    const ofAnnotations = dashboard.annotations.list.map(({ name, expr }) => {
      const text = substitute(expr, dashboard.templating.list, choices[file], time)
      return { name: `${file} ${name}`, ask: () => server.query(text, time.span) }
    })
    return [...ofPanels, ...ofAnnotations]
  })
}

test('every panel shows a fleet of 200 nodes with 100 namespaces each for less than two looks at each pool', {
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

    const answers = await askAll(server, endOf(HOUR), listQuestions(server), LIMIT_LOOKS)
    expect(answers.length).toBeGreaterThan(90)
    const empty = answers.filter(({ series }) => series.length === 0)
    expect(empty.map(({ name }) => name)).toEqual([])
    const long = answers.filter(({ series }) => series.length > MOST_SERIES)
    expect(long.map(({ name }) => name)).toEqual([])
    const slow = answers.filter(({ looks }) => !(looks < LIMIT_LOOKS))
    expect(slow.map(({ text }) => text)).toEqual([])
    expectExportersOnly(answers)
    await expectSevereFirst(server, answers)
  })
})
