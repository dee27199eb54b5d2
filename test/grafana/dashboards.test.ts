// The committed dashboards: as their source makes them, asking only for what exists, and within the linter's rules.

import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { renderDashboards } from '../../grafana/dashboards.ts'
import { RUNBOOKS, TAG } from '../../grafana/links.ts'
import { lintDashboard } from '../../grafana/preview/lint.ts'
import {
  DASHBOARDS,
  type Dashboard,
  GRAFANA,
  listPanels,
  listQueries,
  type Panel,
  readDashboard,
} from '../../grafana/preview/model.ts'
import { families } from '../../src/metrics/families.ts'
import { createProcessMetrics } from '../../src/metrics/process.ts'
import { parseQuery } from '../support/prometheus/promql.ts'
import { listAlerts, listRecordings } from '../support/prometheus/rules-files.ts'

/** Of every series that Prometheus scrapes, or its operator adds. */
const TARGET_LABELS = ['cluster', 'job', 'instance']

/** Mean width of a letter of a title, in pixels: Inter, 14 pixels, medium. */
const CHARACTER = 7.4
/** Its last two columns have to be scrolled to; what names the culprit is before them. */
const WIDER = 'Worst pools now'

/** Labels by metric: what the exporter exports, what the recording rules record, and what Prometheus makes of itself. */
async function listMetrics(): Promise<ReadonlyMap<string, readonly string[]>> {
  const own = families.map(({ name, labels }) => [name, labels] as const)
  const process = (await createProcessMetrics()()).map(({ name }) => [name, []] as const)
  const recorded = listRecordings().map(
    ({ record, expr }) =>
      [record, /^\w+ by \(([^)]+)\)/.exec(expr)?.[1]?.split(', ') ?? []] as const,
  )
  const alerts = ['alertname', 'alertstate', 'severity', 'netns', 'pool', 'namespace', 'pod']
  return new Map([...own, ...process, ...recorded, ['up', []], ['ALERTS', alerts]])
}

describe.each(DASHBOARDS)('%s', (file) => {
  const dashboard = readDashboard(file)

  test('is what its source makes: run npm run dashboards', () => {
    expect(readFileSync(`${GRAFANA}${file}`, 'utf8')).toBe(renderDashboards()[file])
  })

  test('is within the rules of the dashboard linter', () => {
    expect(lintDashboard(dashboard)).toEqual([])
  })

  test('names only metrics and labels that exist', async () => {
    const metrics = await listMetrics()
    const problems: string[] = []
    const texts = [
      ...listQueries(dashboard).map(({ name, target }) => [name, target.expr] as const),
      ...dashboard.annotations.list.map(({ name, expr }) => [name, expr] as const),
      ...dashboard.templating.list
        .filter(({ type }) => type === 'query')
        .map(({ name, query }) => [name, query] as const),
    ]
    for (const [name, text] of texts) {
      const isVariable = text.startsWith('label_values(')
      const variable = /^label_values\((.*), (\w+)\)$/.exec(text)
      const query = parseQuery(isVariable ? (variable?.[1] ?? '') : text)
      const known = new Set([...TARGET_LABELS, ...query.madeLabels])
      for (const { metric, matchers } of query.selectors) {
        const labels = metrics.get(metric)
        if (labels === undefined) problems.push(`${name}: no metric ${metric}`)
        const own = new Set([...TARGET_LABELS, ...(labels ?? [])])
        for (const label of own) known.add(label)
        for (const { label } of matchers) {
          if (!own.has(label)) problems.push(`${name}: ${metric} has no label ${label}`)
        }
      }
      const named = [...query.labels, ...(isVariable ? [variable?.[2] ?? ''] : [])]
      for (const label of named) {
        if (!known.has(label)) problems.push(`${name}: no label ${label}`)
      }
    }
    expect(texts.length).toBeGreaterThan(30)
    expect(problems).toEqual([])
  })

  test('has legends and columns only of labels that its queries leave', () => {
    const problems = listPanels(dashboard).flatMap((panel) =>
      missingLabels(panel).map((label) => `${panel.title}: ${label}`),
    )
    expect(problems).toEqual([])
  })

  test('numbers its panels, and lays them side by side', () => {
    const all = dashboard.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])])
    expect(new Set(all.map(({ id }) => id)).size).toBe(all.length)
    expect(all.every(({ id }) => id > 0)).toBe(true)
    expect(overlaps(dashboard.panels)).toEqual([])
    for (const { panels = [] } of dashboard.panels) expect(overlaps(panels)).toEqual([])
    expect(all.filter(({ gridPos: { x, w } }) => x + w > 24)).toEqual([])
  })

  test('has room for its titles and the heads of its columns on a screen of 1,366 pixels', () => {
    const problems = listPanels(dashboard).flatMap((panel) => {
      const inside = (panel.gridPos.w * (1366 - 32)) / 24 - 24
      // Beside it the marks for the description and for links.
      const title = panel.title.length * CHARACTER + 24 * (panel.links === undefined ? 1 : 2)
      const columns = panel.type === 'table' ? (panel.fieldConfig?.overrides ?? []) : []
      const heads = columns.flatMap(({ matcher, properties }) => {
        const width = properties.find(({ id }) => /^custom\.(?:minW|w)idth$/.test(id))?.value
        // Beside it the marks for sorting and filtering.
        return Number(width) < matcher.options.length * CHARACTER + 36
          ? [`${panel.title}: ${matcher.options} needs ${matcher.options.length * CHARACTER + 36}`]
          : []
      })
      const shown = columns.filter(
        ({ properties }) => !properties.some(({ id }) => id === 'custom.hidden'),
      )
      const widths = shown.map(({ matcher, properties }) => {
        const width = properties.find(({ id }) => /^custom\.(?:minW|w)idth$/.test(id))?.value
        return Number(width ?? matcher.options.length * CHARACTER + 36)
      })
      const all = widths.reduce((sum, width) => sum + width, 0)
      if (all > inside && panel.title !== WIDER) heads.push(`${panel.title}: ${all} of ${inside}`)
      return title > inside ? [`${panel.title}: ${title} of ${inside}`, ...heads] : heads
    })
    expect(problems).toEqual([])
  })

  test('is what Grafana 10 to 13 can provision', () => {
    expect(dashboard.uid).toBe(file.replace('.json', ''))
    expect(dashboard.uid.length).toBeLessThanOrEqual(40)
    expect(dashboard).toMatchObject({
      schemaVersion: 39,
      refresh: '1m',
      timezone: 'browser',
      tags: [TAG],
      editable: false,
    })
    // What `kubectl apply` notes on an object must fit into 256 KiB.
    expect(JSON.stringify(dashboard).length).toBeLessThan(200_000)
  })

  test('leads to runbooks of alerts that exist', () => {
    const alerts = new Set(listAlerts().map(({ alert }) => alert))
    const pages = new Set(
      readdirSync(new URL('../../deploy/prometheus/runbooks/', import.meta.url)),
    )
    const links = listPanels(dashboard).flatMap(({ links: own = [] }) => own)
    const names = links.map(({ url = '' }) => url.replace(RUNBOOKS, '').replace('.md', ''))
    expect(names.length).toBeGreaterThan(5)
    expect(names.filter((name) => !alerts.has(name) || !pages.has(`${name}.md`))).toEqual([])
  })

  test('marks the firing alerts', () => {
    const [annotation] = dashboard.annotations.list
    expect(annotation?.expr).toContain('ALERTS{')
    expect(annotation?.expr).toContain('alertstate="firing"')
  })
})

test('every dashboard that is made is committed, and no other', () => {
  expect(Object.keys(renderDashboards()).sort()).toEqual([...DASHBOARDS].sort())
  expect(
    readdirSync(GRAFANA)
      .filter((name) => name.endsWith('.json'))
      .sort(),
  ).toEqual([...DASHBOARDS].sort())
})

test('the runbooks of the dashboards are those of the alerts', () => {
  for (const { alert, annotations } of listAlerts()) {
    expect(annotations.runbook_url).toBe(`${RUNBOOKS}${alert}.md`)
  }
})

test('every alert can be reached from a panel', () => {
  const urls = DASHBOARDS.flatMap((name) => listPanels(readDashboard(name))).flatMap(
    ({ links = [] }) => links.map(({ url }) => url),
  )
  for (const { alert } of listAlerts()) expect(urls).toContain(`${RUNBOOKS}${alert}.md`)
})

test('the page of a namespace can be reached from each table of the overview that names one', () => {
  const overview = readDashboard('ephemeral-port-overview.json')
  const linked = listPanels(overview).filter((panel) =>
    JSON.stringify(panel.fieldConfig?.overrides ?? []).includes('{__data.fields.page}?'),
  )
  expect(linked.map(({ title }) => title)).toEqual([
    'Worst pools now',
    'Worst pools in the time shown',
    'Firing alerts',
    'Who was refused',
    'NAT destinations of the fleet',
    'NAT clients of the fleet',
  ])
  for (const panel of linked) {
    for (const label of ['job', 'instance', 'netns', 'var_cluster', 'page']) {
      expect(labelsOf(panel, 0), `${panel.title} and its link`).toContain(label)
    }
  }
  const variables = readDashboard('ephemeral-port-netns.json').templating.list
  expect(variables.map(({ name }) => name)).toEqual([
    'datasource',
    'cluster',
    'job',
    'instance',
    'namespace',
    'netns',
  ])
})

test('an empty cluster is no obstacle: "All" matches series without the label', () => {
  for (const file of DASHBOARDS) {
    const cluster = readDashboard(file).templating.list.find(({ name }) => name === 'cluster')
    expect(cluster).toMatchObject({ allValue: '.*', includeAll: true })
  }
})

/** The labels that the answer of one query has: those of its outermost aggregation, or of its metric. */
function labelsOf(panel: Panel, index: number): readonly string[] {
  const expr = panel.targets?.[index]?.expr ?? ''
  const query = parseQuery(expr)
  const metric = query.selectors[0]?.metric
  const own = families.find(({ name }) => name === metric)?.labels ?? []
  const recorded = metric?.includes(':') ? ['pool', 'protocol'] : []
  const isAggregated = query.labels.length > 0
  return [
    ...(isAggregated ? query.labels : [...TARGET_LABELS, ...own, ...recorded]),
    ...query.madeLabels,
  ]
}

function missingLabels(panel: Panel): readonly string[] {
  const missing = (panel.targets ?? []).flatMap(({ legendFormat = '' }, index) => {
    const labels = labelsOf(panel, index)
    return [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)]
      .map(([, label]) => label ?? '')
      .filter((label) => !labels.includes(label))
  })
  if (panel.type !== 'table') return missing
  const all = (panel.targets ?? []).flatMap((_, index) => labelsOf(panel, index))
  const organize = panel.transformations?.find(({ id }) => id === 'organize')?.options as {
    indexByName: Record<string, number>
  }
  const columns = Object.keys(organize.indexByName).filter((name) => !name.startsWith('Value'))
  return [...missing, ...columns.filter((label) => !all.includes(label))]
}

function overlaps(panels: Dashboard['panels']): readonly string[] {
  return panels.flatMap((a, index) =>
    panels
      .slice(index + 1)
      .filter((b) => {
        const [one, other] = [a.gridPos, b.gridPos]
        return (
          one.x < other.x + other.w &&
          other.x < one.x + one.w &&
          one.y < other.y + other.h &&
          other.y < one.y + one.h
        )
      })
      .map((b) => `${a.title} and ${b.title}`),
  )
}
