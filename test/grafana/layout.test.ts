// How the committed dashboards are laid out: where links lead, what the first screen shows, and what fits on a small one.

import { expect, test } from 'vitest'
import {
  DASHBOARDS,
  type DashboardFile,
  listPanels,
  type Panel,
  readDashboard,
} from '../../grafana/preview/model.ts'

function findPanel(file: DashboardFile, title: string): Panel {
  const found = listPanels(readDashboard(file)).find((panel) => panel.title === title)
  if (found === undefined) throw new Error(`No panel ${title}`)
  return found
}

test('no link in the head of a page brings all instances to the page of one namespace', () => {
  for (const file of DASHBOARDS) {
    const { links } = readDashboard(file)
    const toNamespace = links.filter(({ url = '' }) => url.startsWith('/d/ephemeral-port-netns'))
    expect(toNamespace.map(({ url }) => url)).toEqual([
      `/d/ephemeral-port-netns?${['datasource', 'cluster', 'job'].map((name) => `\${${name}:queryparam}`).join('&')}`,
    ])
    // Those that Grafana finds by a tag would bring every variable: the two pages are not among them.
    const found = links.flatMap(({ tags = [] }) => tags)
    expect(found).toEqual(['kubernetes-mixin', 'node-exporter-mixin'])
  }
})

test('the pools that are worst now have all that names the culprit on a screen of 1,366 pixels', () => {
  const overrides =
    findPanel('ephemeral-port-overview.json', 'Worst pools now').fieldConfig?.overrides ?? []
  const last = overrides.findIndex(({ matcher }) => matcher.options === 'Worst destination')
  const widths = overrides
    .slice(0, last + 1)
    .map(
      ({ properties }) => properties.find(({ id }) => /^custom\.(?:minW|w)idth$/.test(id))?.value,
    )
  expect(overrides.slice(0, last).map(({ matcher }) => matcher.options)).toEqual(
    expect.arrayContaining(['netns', 'instance', 'pool', 'Cause', 'Top owner']),
  )
  const pixels = widths.reduce<number>((sum, width) => sum + Number(width), 0)
  expect(pixels).toBeGreaterThan(1000)
  expect(pixels).toBeLessThanOrEqual(1366 - 32 - 24)
  // A letter is about 7.7 pixels wide, and a cell has 16 beside its text.
  const [ofNetns] = widths
  expect(Number(ofNetns) - 16).toBeGreaterThan('pod/checkout/api-5d8f9c7b64-x2k4p'.length * 7.7)
})

test('graphs of the highest ten have room for ten names, and those of shares have lines where the alerts are', () => {
  const graphs = DASHBOARDS.flatMap((file) => listPanels(readDashboard(file))).filter(
    ({ type }) => type === 'timeseries',
  )
  const ofTen = graphs.filter(({ targets = [] }) =>
    targets.some(({ expr }) => /topk\(10,/.test(expr)),
  )
  expect(ofTen.length).toBeGreaterThan(7)
  for (const { title, options, gridPos } of ofTen) {
    // A head and ten rows of 20 pixels, below a title of 40.
    expect([title, options?.legend]).toEqual([
      title,
      expect.objectContaining({ placement: 'right' }),
    ])
    expect(gridPos.h * 38 - 8 - 40, title).toBeGreaterThanOrEqual(11 * 20)
  }
  const lines = graphs
    .filter(({ fieldConfig }) => fieldConfig?.defaults.custom?.thresholdsStyle?.mode === 'dashed')
    .map(({ title, fieldConfig }) => [
      title,
      fieldConfig?.defaults.thresholds?.steps.map(({ value }) => value).slice(1),
    ])
  expect(Object.fromEntries(lines)).toEqual({
    'Exhaustion risk, highest ten': [0.2, 0.75],
    'Pool utilization, highest ten': [0.8, 0.95],
    'Next connection fails, highest ten': [0.5],
    'Conntrack table, highest ten': [0.9],
    'Utilization and peaks': [0.8, 0.95],
    'Exhaustion risk': [0.2, 0.75],
  })
})

test('every graph leads to its page as it was at that moment, and the lines of instances to their instance as well', () => {
  for (const file of DASHBOARDS) {
    const graphs = listPanels(readDashboard(file)).filter(({ type }) => type === 'timeseries')
    expect(graphs.length).toBeGreaterThan(10)
    for (const { title, fieldConfig } of graphs) {
      const titles = fieldConfig?.defaults.links?.map((link) => link.title)
      const isOfTen = title.endsWith('highest ten') || title.endsWith('oldest ten')
      const other = file === 'ephemeral-port-netns.json' ? ['All of this instance'] : []
      expect([title, titles]).toEqual([
        title,
        [...(isOfTen ? ['Only this instance'] : []), 'This page as it was then', ...other],
      ])
    }
  }
})

test('who holds the ports begins, and what cannot be read stands, on the first screen of 768 pixels', () => {
  // Below the head of Grafana and that of the page, rows of 38 pixels.
  const topOf = ({ gridPos }: Panel) => 150 + gridPos.y * 38
  expect(topOf(findPanel('ephemeral-port-netns.json', 'Owners'))).toBeLessThan(768 - 100)
  const { gridPos, targets } = findPanel('ephemeral-port-overview.json', 'Namespaces')
  expect(gridPos.y).toBe(1)
  expect(targets?.map(({ expr }) => expr).join()).toContain('netns_success:count_failed')
})

test('a Kubernetes namespace can be chosen on both pages', () => {
  for (const file of DASHBOARDS) {
    const { templating } = readDashboard(file)
    expect(templating.list.find(({ name }) => name === 'namespace')).toMatchObject({
      multi: true,
      includeAll: true,
      allValue: '.*',
    })
  }
})
