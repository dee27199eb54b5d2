// Grafana's own library, in 10.4 and in 13.2, makes of the committed dashboards and of real answers what they are meant to show:
// the text and color of what is missing, whose style a name gets, the columns of tables, and where links lead.

import { isDeepStrictEqual } from 'node:util'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { HOUR } from '../../grafana/preview/backfill-fleet.ts'
import { GREY, POOL_COLORS } from '../../grafana/scales.ts'
import {
  type Answers,
  askBackfilledServer,
  choices,
  findPanel,
  panels,
  parseLink,
} from '../grafana/backfilled-answers.ts'
import { applyPanel, isInstalled, VERSIONS } from '../grafana/library.ts'
import { hasProgram } from '../support/program/tools.ts'
import type { Series } from '../support/prometheus/prometheus-server.ts'

const isMissing = !isInstalled || !hasProgram('prometheus')
const tables = panels.filter(({ panel }) => panel.type === 'table')
const graphs = panels.filter(({ panel }) => panel.type === 'timeseries')
const numbers = panels.filter(({ panel }) => /^(stat|bargauge)$/.test(panel.type))
let answers: Answers = { of: () => [], marked: [] }

beforeAll(async () => {
  if (!isMissing) answers = await askBackfilledServer()
}, 120_000)

const pools = Object.keys(POOL_COLORS)
const shownTime = { from: 'now-1h', to: 'now' }

test('alerts are marked on the page of a namespace that are its own or its exporter’s, and no others', (context) => {
  if (isMissing && process.env.CI !== 'true') context.skip('needs prometheus')
  const [all, own] = answers.marked.map((series) => series.map(({ metric }) => metric.netns ?? ''))
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
      for (const nothing of [[], [[nan]]]) {
        const { numbers: shown } = await applyPanel(version, panel, nothing)
        expect([name, shown]).toEqual([name, [{ text, color: GREY }]])
      }
    }
  })

  test('it would be red or green without the mapping, which the test notices', async () => {
    const soonest = findPanel('Soonest').panel
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
      const { numbers: shown } = await applyPanel(version, findPanel('Soonest').panel, [[series]])
      texts.push(shown[0]?.text)
    }
    expect(texts).toEqual(['none ahead', 'not yet known', '2 mins'])
  })

  test('every override by a regular expression styles some line, and a pool has its color in all graphs', async () => {
    let styled = 0
    for (const one of graphs) {
      const { panel, name } = one
      // Failures and probes know of fewer pools than there are colors.
      const series = answers
        .of(one)
        .map((rows) => [
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
      const { frames, nameOf } = await applyPanel(version, panel, answers.of(one))
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
    const { frames, nameOf } = await applyPanel(version, findPanel('Worst pools now').panel, [
      ...answers.of(findPanel('Worst pools now')),
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
      const [rows = [], ...others] = answers.of(one)
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
      const withUnknown = [[...rows, ...unknown], ...others]
      const { frames } = await applyPanel(version, one.panel, withUnknown)
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
    const one = findPanel('What this namespace is')
    const { frames } = await applyPanel(version, one.panel, answers.of(one))
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
})
