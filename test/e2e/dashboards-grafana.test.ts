// Grafana's own library, in 10.4 and in 13.2, makes of the committed dashboards and of real answers what they are meant to show:
// the text and color of what is missing, whose style a name gets, the columns of tables, and where links lead.

import { isDeepStrictEqual } from 'node:util'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { readAnswers } from '../../grafana/preview/answers.ts'
import { spanOf, withBackfilledServer } from '../../grafana/preview/backfill.ts'
import { HOUR, netnsName, SEED, SHOWN, target } from '../../grafana/preview/backfill-fleet.ts'
import {
  DASHBOARDS,
  type DashboardFile,
  listPanels,
  type Panel,
  readDashboard,
} from '../../grafana/preview/model.ts'
import { type Choice, substitute } from '../../grafana/preview/variables.ts'
import { GREY, POOL_COLORS } from '../../grafana/scales.ts'
import { applyPanel, isInstalled, VERSIONS } from '../grafana/library.ts'
import { hasProgram } from '../support/program/tools.ts'
import type { Series } from '../support/prometheus/prometheus-server.ts'

/** So many that those in trouble are among them, and each answer has its rows. */
const SIZE = { nodes: 64, namespacesPerNode: 13 }
const choices: Readonly<Record<DashboardFile, Choice>> = {
  'ephemeral-port-overview.json': {},
  'ephemeral-port-netns.json': {
    ...target(SHOWN.node),
    netns: netnsName(SHOWN.node, SHOWN.number),
  },
}
const isMissing = !isInstalled || !hasProgram('prometheus')
const panels = DASHBOARDS.flatMap((file) =>
  listPanels(readDashboard(file)).map((panel) => ({
    file,
    panel,
    name: `${file}: ${panel.title}`,
  })),
)
const tables = panels.filter(({ panel }) => panel.type === 'table')
const graphs = panels.filter(({ panel }) => panel.type === 'timeseries')
const numbers = panels.filter(({ panel }) => /^(stat|bargauge)$/.test(panel.type))
const answers = new Map<string, readonly (readonly Series[])[]>()
/** The alerts that either page marks. */
const marked: (readonly Series[])[] = []

beforeAll(async () => {
  if (isMissing) return
  const backfill = { size: SIZE, steps: HOUR, seed: SEED }
  await withBackfilledServer(backfill, console.log, async (server) => {
    const time = { span: spanOf(HOUR), scrapeSeconds: HOUR.stepSeconds }
    for (const file of DASHBOARDS) {
      const question = { choice: choices[file], time }
      const found = await readAnswers(server, readDashboard(file), question)
      for (const [id, series] of found) answers.set(`${file} ${id}`, series)
      const { annotations, templating } = readDashboard(file)
      const expr = annotations.list[0]?.expr ?? ''
      marked.push(
        await server.query(substitute(expr, templating.list, choices[file], time), time.span),
      )
    }
  })
}, 120_000)

const pools = Object.keys(POOL_COLORS)
const shownTime = { from: 'now-1h', to: 'now' }

function parseLink(href = ''): Readonly<Record<string, string>> {
  const { pathname, searchParams } = new URL(href, 'http://grafana')
  return { page: pathname, ...Object.fromEntries(searchParams) }
}

function answersOf(one: { readonly file: string; readonly panel: Panel } | undefined) {
  return answers.get(`${one?.file} ${one?.panel.id}`) ?? []
}

/** Of the overview. */
function find(title: string): Panel {
  const found = panels.find(({ panel }) => panel.title === title)
  if (found === undefined) throw new Error(`No panel ${title}`)
  return found.panel
}

test('alerts are marked on the page of a namespace that are its own or its exporter’s, and no others', (context) => {
  if (isMissing && process.env.CI !== 'true') context.skip('needs prometheus')
  const [all, own] = marked.map((series) => series.map(({ metric }) => metric.netns ?? ''))
  const { netns } = choices['ephemeral-port-netns.json']
  expect(all?.length).toBeGreaterThan((own ?? []).length)
  expect(new Set(all?.filter((one) => one !== '')).size).toBeGreaterThan(3)
  expect(new Set(own)).toEqual(new Set([netns]))
})

describe.each(VERSIONS)('Grafana %s', (version) => {
  beforeEach((context) => {
    if (isMissing && process.env.CI !== 'true') {
      context.skip('needs prometheus and test/grafana/node_modules (npm ci --prefix test/grafana)')
    }
  })

  const nan: Series = { metric: {}, points: [[HOUR.startSeconds, 'NaN']] }

  test('a number that is missing is grey, and says why', async () => {
    expect(numbers.length).toBeGreaterThan(14)
    for (const { panel, name } of numbers) {
      const text = panel.fieldConfig?.defaults.noValue ?? 'No data'
      for (const answers of [[], [[nan]]]) {
        const { numbers: shown } = await applyPanel(version, panel, answers)
        expect([name, shown]).toEqual([name, [{ text, color: GREY }]])
      }
    }
  })

  test('it would be red or green without the mapping, which the test notices', async () => {
    const soonest = find('Soonest')
    const fieldConfig = {
      defaults: { ...soonest.fieldConfig?.defaults, mappings: [] },
      overrides: [],
    }
    const { numbers: shown } = await applyPanel(version, { ...soonest, fieldConfig }, [])
    expect(shown).toHaveLength(1)
    expect(shown[0]?.color).not.toBe(GREY)
  })

  test('numbers that stand for a text are shown as it', async () => {
    const texts: (string | undefined)[] = []
    for (const value of ['-1', '-2', '125']) {
      const series = { metric: {}, points: [[HOUR.startSeconds, value] as const] }
      const { numbers: shown } = await applyPanel(version, find('Soonest'), [[series]])
      texts.push(shown[0]?.text)
    }
    expect(texts).toEqual(['none ahead', 'not yet known', '2 mins'])
  })

  test('every override by a regular expression styles some line, and a pool has its color in all graphs', async () => {
    let styled = 0
    for (const one of graphs) {
      const { panel, name } = one
      // Failures and probes know of fewer pools than there are colors.
      const series = answersOf(one).map((rows) => [
        ...rows,
        ...(rows.some(({ metric }) => 'pool' in metric)
          ? pools.map((pool) => ({ metric: { pool }, points: rows[0]?.points ?? [] }))
          : []),
      ])
      const { frames } = await applyPanel(version, panel, series)
      const fields = frames.flatMap((frame) => frame.fields.filter(({ type }) => type === 'number'))
      const overrides = panel.fieldConfig?.overrides ?? []
      for (const { matcher, properties } of overrides) {
        if (matcher.id !== 'byRegexp') continue
        styled++
        for (const { id, value } of properties) {
          const key = id.replace('custom.', '')
          const hit = fields.some(({ config }) =>
            isDeepStrictEqual(id === key ? config.color : config.custom?.[key], value),
          )
          expect([name, matcher.options, id, hit]).toEqual([name, matcher.options, id, true])
        }
      }
      if (!overrides.some(({ matcher }) => matcher.options === '/^tcp_connect/')) continue
      for (const { config } of fields) {
        const [pool = ''] = /^\w+/.exec(config.displayNameFromDS ?? '') ?? []
        const color = POOL_COLORS[pool as keyof typeof POOL_COLORS]
        expect([name, pool, config.color?.fixedColor]).toEqual([name, pool, color])
      }
    }
    expect(styled).toBeGreaterThan(30)
  })

  test('tables show their columns and no others, in their order, and sort by them', async () => {
    expect(tables.length).toBeGreaterThan(12)
    for (const one of tables) {
      const { panel, name } = one
      const { frames, nameOf } = await applyPanel(version, panel, answersOf(one))
      expect([name, frames.length]).toEqual([name, 1])
      const shown = frames.flatMap((frame) =>
        frame.fields
          .filter(({ config }) => config.custom?.hidden !== true)
          .map((field) => nameOf(field, frame)),
      )
      const titles = (panel.fieldConfig?.overrides ?? [])
        .filter(({ properties }) => !properties.some(({ id }) => id === 'custom.hidden'))
        .map(({ matcher }) => matcher.options)
      expect([name, shown]).toEqual([name, titles])
      for (const { displayName } of (panel.options?.sortBy ?? []) as { displayName: string }[]) {
        expect([name, shown]).toEqual([name, expect.arrayContaining([displayName])])
      }
    }
  })

  test('a cell that is missing has no color of a threshold', async () => {
    const { frames, nameOf } = await applyPanel(version, find('Worst pools now'), [
      ...answersOf(tables.find(({ panel }) => panel.title === 'Worst pools now')),
    ])
    const [frame] = frames
    const left = frame?.fields.find((field) => nameOf(field, frame) === 'Time left')
    const missing = left?.values.filter((value) => value === null || value === undefined) ?? []
    expect(missing.length).toBeGreaterThan(0)
    expect(missing.length).toBeLessThan(left?.values.length ?? 0)
    expect(left?.display?.(null)).toMatchObject({ text: '–', color: GREY })
    expect(left?.display?.(300).color).not.toBe(GREY)
  })

  test('links of rows lead to the page of their namespace, and those without one to the overview', async () => {
    const linked = tables.filter(({ panel }) =>
      JSON.stringify(panel.fieldConfig).includes('__data.fields.page'),
    )
    expect(linked).toHaveLength(6)
    for (const one of linked) {
      const [rows = [], ...others] = answersOf(one)
      // A failure of a program that nobody saw, on a host without the label cluster.
      const unknown = rows.slice(0, 1).map(({ metric: { cluster: _, ...metric }, points }) => ({
        metric: {
          ...metric,
          netns: 'unknown',
          page: 'ephemeral-port-overview',
          var_cluster: 'var-cluster=',
        },
        points,
      }))
      const answers = [[...rows, ...unknown], ...others]
      const { frames } = await applyPanel(version, one.panel, answers)
      const fields = frames[0]?.fields ?? []
      const valuesOf = (wanted: string) => fields.find(({ name }) => name === wanted)?.values ?? []
      const netns = fields.find(({ name }) => name === 'netns')
      expect(netns?.values.length).toBeGreaterThan(1)
      for (const [row, namespace] of (netns?.values ?? []).entries()) {
        const [link] = netns?.getLinks?.({ valueRowIndex: row }) ?? []
        const isUnknown = namespace === 'unknown'
        const own = (name: string) => `${valuesOf(name)[row]}`
        expect([one.name, parseLink(link?.href)]).toEqual([
          one.name,
          {
            page: `/d/ephemeral-port-${isUnknown ? 'overview' : 'netns'}`,
            'var-datasource': 'prom',
            'var-cluster': isUnknown ? '' : own('cluster'),
            'var-job': own('job'),
            'var-instance': own('instance'),
            'var-netns': own('netns'),
            ...shownTime,
          },
        ])
      }
    }
  })

  test('the pod of a namespace leads to its dashboard in kubernetes-mixin', async () => {
    const one = tables.find(({ panel }) => panel.title === 'What this namespace is')
    const { frames } = await applyPanel(version, find('What this namespace is'), answersOf(one))
    const fields = frames[0]?.fields ?? []
    const [link] = fields.find(({ name }) => name === 'pod')?.getLinks?.({ valueRowIndex: 0 }) ?? []
    const [, namespace, pod] =
      choices['ephemeral-port-netns.json'].netns?.toString().split('/') ?? []
    expect(parseLink(link?.href)).toEqual({
      page: '/d/6581e46e4e5c7ba40a07646395ef7b23',
      'var-datasource': 'prom',
      'var-namespace': namespace,
      'var-pod': pod,
      ...shownTime,
    })
  })

  test('lines of instances lead to that instance in the time shown', async () => {
    const linked = graphs.filter(({ panel }) =>
      JSON.stringify(panel.fieldConfig?.defaults).includes('var-instance='),
    )
    expect(linked.length).toBeGreaterThan(6)
    let followed = 0
    for (const one of linked) {
      const { frames } = await applyPanel(version, one.panel, answersOf(one))
      for (const frame of frames) {
        const [, field] = frame.fields
        const [link] = field?.getLinks?.({ valueRowIndex: 0 }) ?? []
        followed++
        expect([one.name, parseLink(link?.href)]).toEqual([
          one.name,
          {
            page: '/d/ephemeral-port-overview',
            'var-datasource': 'prom',
            'var-cluster': '$__all',
            'var-job': field?.labels?.job,
            'var-instance': field?.labels?.instance,
            ...shownTime,
          },
        ])
      }
    }
    expect(followed).toBeGreaterThan(40)
  })
})
