// The committed rules against what the exporter publishes, and against what everybody who copies them relies on.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { families } from '../../../src/metrics/families.ts'
import { parseQuery } from '../../support/prometheus/promql.ts'
import {
  listAlerts,
  listRecordings,
  listRuleTests,
  listThresholds,
  RULES,
  readRuleFile,
} from '../../support/prometheus/rules-files.ts'

const RUNBOOKS =
  'https://github.com/ephemeral-port-exporter/ephemeral-port-exporter/blob/main/deploy/prometheus/runbooks/'
const JOIN =
  /\* on \(cluster, job, instance, netns\) group_left \(namespace, pod\)\s+(?:\(\s+max by \(cluster, job, instance, netns, namespace, pod\) \()?ephemeral_port_netns_info/
/** Labels that Prometheus adds. */
const TARGET = ['cluster', 'job', 'instance']

const alerts = listAlerts()
const recordings = listRecordings()
const labelsOf = new Map<string, readonly string[]>([
  ...families.map(({ name, labels }) => [name, labels] as const),
  ...recordings.map(({ record, expr }) => [record, parseQuery(expr).labels] as const),
  ['up', []],
  ['ALERTS', ['alertname', 'alertstate', 'severity']],
])
const allLabels = new Set([...[...labelsOf.values()].flat(), ...TARGET])
const named = alerts.map((rule) => [`${rule.alert} (${rule.labels.severity})`, rule] as const)

/** What a template asks: its `query` texts, with something for %s, which is matchers, and for %q. */
function queriesIn(template: string): readonly string[] {
  return [...template.matchAll(/printf `([^`]*)` [^`]*\| query/g)].map(([, text = '']) =>
    text.replaceAll('%s', 'cluster="",job="",instance="",netns=""').replaceAll('%q', '""'),
  )
}

function firstLabels(expr: string): readonly string[] {
  return labelsOf.get(parseQuery(expr).selectors[0]?.metric ?? '') ?? []
}

describe.each(named)('%s', (_, { alert, labels, annotations, expr, for: wait, ...rule }) => {
  test('has all that a rule of ours has', () => {
    expect(alert).toMatch(/^EphemeralPort[A-Z]\w+$/)
    expect(labels.severity).toMatch(/^(critical|warning|info)$/)
    // What takes the mean of some minutes has waited.
    if (expr.includes('avg_over_time(')) expect(wait).toBeUndefined()
    else expect(wait).toMatch(/^\d+[mh]$/)
    // Prometheus freezes the text of what it keeps firing.
    expect(rule).not.toHaveProperty('keep_firing_for')
    expect(annotations.summary).toMatch(/^[A-Z][^{}]*\.$/)
    expect(annotations.description).toContain('{{ $labels.')
    expect(annotations.runbook_url).toBe(`${RUNBOOKS}${alert}.md`)
  })

  test('names only metrics and labels that exist', () => {
    const texts = [expr, ...queriesIn(annotations.description ?? '')]
    for (const { metric, matchers } of texts.flatMap((text) => parseQuery(text).selectors)) {
      expect([...labelsOf.keys()]).toContain(metric)
      const known = [...TARGET, ...(labelsOf.get(metric) ?? [])]
      expect(known, metric).toEqual(expect.arrayContaining(matchers.map(({ label }) => label)))
    }
    expect([...allLabels]).toEqual(expect.arrayContaining([...parseQuery(expr).labels]))
  })

  test('describes itself with labels that it has', () => {
    const used = [...(annotations.description ?? '').matchAll(/\$labels\.(\w+)/g)]
    const known = [...TARGET, ...firstLabels(expr)]
    for (const [, label = ''] of used) expect(known).toContain(label)
  })

  test('carries the victim where it is about a namespace', () => {
    const isAboutNamespace = firstLabels(expr).includes('netns')
    expect(JOIN.test(expr)).toBe(isAboutNamespace)
    if (isAboutNamespace) expect(expr).toContain('max without (namespace, pod) (')
  })
})

test('A page needs a counted failure, exhaustion, or risk with ETA, and nothing looks at the utilization of the range', () => {
  const pages = alerts.filter(({ labels }) => labels.severity === 'critical')
  expect(pages.map(({ alert }) => alert)).toEqual([
    'EphemeralPortAllocationsFailing',
    'EphemeralPortExhausted',
    'EphemeralPortExhaustionPredicted',
    'EphemeralPortNatPortsExhausted',
  ])
  const [failing, exhausted, predicted] = pages.map(({ expr }) => expr)
  expect(failing).toContain('ephemeral_port_allocation_failures_total')
  expect(exhausted).toContain('ephemeral_port_pool_utilization_peak_ratio >= 1')
  expect(exhausted).toContain('{pool=~"tcp_connect|udp"}')
  expect(exhausted).toContain('ephemeral_port_blocked_ports{holder="bound"}')
  expect(predicted).toContain('ephemeral_port_exhaustion_risk_ratio{pool=~"tcp_connect|udp"}')
  expect(predicted).toContain('ephemeral_port_exhaustion_eta_seconds')
  for (const { expr } of alerts) expect(expr).not.toContain('range_utilization')
})

test('A threshold has one number, wherever it stands, and a line of its own', () => {
  const expressions = [...alerts, ...recordings].map(({ expr }) => expr)
  const values = new Map<string, Set<string>>()
  for (const [name, value] of expressions.flatMap(listThresholds)) {
    values.set(name, (values.get(name) ?? new Set()).add(value))
  }
  expect(values.size).toBeGreaterThan(14)
  for (const [name, numbers] of values) expect([...numbers], name).toHaveLength(1)
  for (const expr of expressions) {
    const comments = expr.match(/#/g)?.length ?? 0
    expect(listThresholds(expr)).toHaveLength(comments)
  }
})

test('The job of the exporter is a regular expression on a line that says so', () => {
  const down = alerts.find(({ alert }) => alert === 'EphemeralPortExporterDown')
  expect(down?.expr).toMatch(/^up\{job=~"[^"]+"\} == 0 # threshold: job$/m)
})

test('Recording rules are named level:metric:operation, and aggregate by the labels that the level says', () => {
  const levels: Readonly<Record<string, readonly string[]>> = {
    netns: ['cluster', 'job', 'instance', 'netns'],
    instance: ['cluster', 'job', 'instance'],
    cluster: ['cluster'],
  }
  for (const { record, expr } of recordings) {
    const match =
      /^(netns|instance|cluster)(?:_(pool|protocol))?:(ephemeral_port_\w+):([a-z_0-9]+)$/.exec(
        record,
      )
    expect(match, record).not.toBeNull()
    const [, level = '', detail, metric = ''] = match ?? []
    expect(labelsOf.has(metric) || labelsOf.has(`${metric}_total`), metric).toBe(true)
    const [first] = expr.matchAll(/\bby \(([^)]*)\)/g)
    const wanted = [...(levels[level] ?? []), ...(detail === undefined ? [] : [detail])]
    expect(first?.[1]?.split(', '), record).toEqual(wanted)
    for (const { metric: read, matchers } of parseQuery(expr).selectors) {
      expect([...labelsOf.keys()]).toContain(read)
      const matched = matchers.map(({ label }) => label)
      expect(labelsOf.get(read), read).toEqual(expect.arrayContaining(matched))
    }
  }
})

test('Every alert of every severity has a unit test in which it fires, text and all', () => {
  interface Expected {
    readonly alertname: string
    readonly exp_alerts: readonly { readonly exp_labels: { readonly severity: string } }[]
  }
  const tests = listRuleTests().flatMap(
    (path) =>
      (parse(readFileSync(path, 'utf8')) as { tests: { alert_rule_test?: Expected[] }[] }).tests,
  )
  const fired = tests
    .flatMap((one) => one.alert_rule_test ?? [])
    .flatMap(({ alertname, exp_alerts }) =>
      exp_alerts.map(({ exp_labels }) => `${alertname} (${exp_labels.severity})`),
    )
  // Same text as its critical sibling; that it fires is in promql_expr_test.
  const sameText = ['EphemeralPortExhausted (warning)']
  expect([...new Set([...fired, ...sameText])].sort()).toEqual(named.map(([name]) => name).sort())
})

test('Rule files have groups with names of their own', () => {
  const names = ['alerts.yaml', 'recording.yaml'].flatMap((file) =>
    readRuleFile(file).groups.map(({ name }) => name),
  )
  expect(new Set(names).size).toBe(names.length)
})

test('The inhibit rules name alerts that exist, and compare labels of a pool or of an exporter', () => {
  interface Inhibition {
    readonly source_matchers: readonly string[]
    readonly target_matchers: readonly string[]
    readonly equal: readonly string[]
  }
  const { inhibit_rules } = parse(
    readFileSync(join(RULES, 'alertmanager-inhibit.yaml'), 'utf8'),
  ) as { inhibit_rules: readonly Inhibition[] }
  const known = new Set(alerts.map(({ alert }) => alert))
  for (const { source_matchers, target_matchers, equal } of inhibit_rules) {
    for (const matcher of [...source_matchers, ...target_matchers]) {
      const [, text = ''] =
        /^alertname =~? "(.*)"$/.exec(matcher) ?? /alertname =~ (.*)$/.exec(matcher) ?? []
      if (text === '' || text === 'EphemeralPort.+') continue
      const [, list = text.slice('EphemeralPort'.length)] = /\((.*)\)/.exec(text) ?? []
      for (const name of list.replace(/"$/, '').split('|')) {
        expect([...known]).toContain(`EphemeralPort${name}`)
      }
    }
    expect(equal).toEqual(expect.arrayContaining(TARGET))
    const aboutExporter = /ExporterDown|SamplesStale/.test(source_matchers.join())
    const aboutUnknown = target_matchers.includes('netns = "unknown"')
    const aboutBind = [...source_matchers, ...target_matchers].includes('pool = "tcp_bind"')
    expect(equal.includes('pool')).toBe(!aboutExporter && !aboutBind)
    expect(equal.includes('netns')).toBe(!aboutExporter && !aboutUnknown)
  }
})

test('README and the page about alerts count them, and that page has a row for each', () => {
  const read = (name: string) => readFileSync(join(RULES, '../..', name), 'utf8')
  const names = [...new Set(alerts.map(({ alert }) => alert))]
  const page = read('docs/scraping-and-alerts.md')
  const rows = [...page.matchAll(/^\| (EphemeralPort\w+) \|/gm)].map(([, name]) => name)
  expect(rows.toSorted()).toEqual(names.toSorted())
  expect(page).toMatch(new RegExp(`\\[${names.length}\\s+alerts\\]`))
  expect(read('README.md')).toContain(`${names.length} alerts`)
})
