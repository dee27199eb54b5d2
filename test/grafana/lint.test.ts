// The checks of the dashboards find what they are for.

import { describe, expect, test } from 'vitest'
import { lintDashboard } from '../../grafana/preview/lint.ts'
import { type Dashboard, readDashboard } from '../../grafana/preview/model.ts'
import { parseQuery } from '../support/prometheus/promql.ts'

const good = readDashboard('ephemeral-port-netns.json')

/** The dashboard with one text replaced wherever it stands in its JSON. */
function spoil(from: string, to: string): Dashboard {
  const text = JSON.stringify(good)
  expect(text).toContain(from)
  return JSON.parse(text.replaceAll(from, to)) as Dashboard
}

describe('lintDashboard()', () => {
  test.each([
    ['template-datasource-rule', '"label":"Data source"', '"label":"Prometheus"'],
    ['template-job-rule', '"label":"Job"', '"label":"job"'],
    ['template-instance-rule', '"label":"Instance"', '"label":"Node"'],
    ['template-label-promql-rule', '"query":"label_values(', '"query":"values('],
    ['template-on-time-change-reload-rule', '"refresh":2', '"refresh":1'],
    ['panel-title-description-rule', '"title":"Memory"', '"title":""'],
    ['panel-units-rule', '"unit":"percentunit"', '"unit":"ratio"'],
    ['panel-no-targets-rule', '"targets":[', '"targets":[],"was":['],
    ['target-promql-rule', 'sum by (state) (', 'sum by (state) (('],
    ['target-rate-interval-rule', '[$__rate_interval]', '[5m]'],
    ['target-job-rule', 'job=~\\"$job\\"', 'job=\\"$job\\"'],
    ['target-instance-rule', 'instance=~\\"$instance\\", netns', 'netns'],
    ['target-counter-agg-rule', 'sum(rate(', 'sum(max_over_time('],
    ['any-job-rule', 'ephemeral_port_exporter_build_info{', 'ephemeral_port_netns_info{'],
    ['uneditable-dashboard-rule', '"editable":false', '"editable":true'],
  ])('finds a breach of %s', (rule, from, to) => {
    const problems = lintDashboard(spoil(from, to))
    expect(problems.filter((problem) => problem.includes(rule))).not.toEqual([])
    expect(problems.filter((problem) => !problem.includes(rule))).toEqual([])
  })
})

test('lintDashboard() finds panels and queries that ask another data source', () => {
  const problems = lintDashboard(spoil('"uid":"$datasource"', '"uid":"prometheus-1"'))
  const found = problems.filter((problem) => problem.endsWith('panel-datasource-rule'))
  expect(found).toContain('Memory: panel-datasource-rule')
  expect(found).toContain('Memory: A: panel-datasource-rule')
})

describe('parseQuery()', () => {
  test('finds selectors with matchers, range and call, and labels of groupings', () => {
    const query = parseQuery(
      'topk(3, sum by (a, b) (rate(x_total{job=~"$job", c!="}"}[$__rate_interval])) > 0) and on (b) y:z:max{d="e"} @ end()',
    )
    expect(query).toEqual({
      selectors: [
        {
          metric: 'x_total',
          matchers: [
            { label: 'job', operator: '=~', value: '$job' },
            { label: 'c', operator: '!=', value: '}' },
          ],
          range: '$__rate_interval',
          call: 'rate',
        },
        {
          metric: 'y:z:max',
          matchers: [{ label: 'd', operator: '=', value: 'e' }],
          range: undefined,
          call: undefined,
        },
      ],
      labels: ['a', 'b', 'b'],
      madeLabels: [],
    })
  })

  test('names the label that label_replace() makes, and none of its other texts', () => {
    const { madeLabels } = parseQuery('label_replace(x{a="b"}, "made", "v-$1", "from", "(.*)")')
    expect(madeLabels).toEqual(['made'])
  })

  test.each(['sum(x', 'sum(x))', '{a="b"}', 'x{a="b}'])('refuses %s', (text) => {
    expect(() => parseQuery(text)).toThrow(/.+/)
  })
})
