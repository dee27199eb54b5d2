// The rules of Grafana's dashboard linter (github.com/grafana/dashboard-linter, its index of rules), under their names, and some of our
// own: dashboard -> what is wrong with it.

import { parseQuery, type Selector } from '../../test/support/prometheus/promql.ts'
import {
  type Dashboard,
  listPanels,
  listQueries,
  type NamedQuery,
  type Panel,
  type Variable,
} from './model.ts'

/** Of Grafana's valueFormats, as far as they fit what we measure. */
const UNITS = new Set([
  'none',
  'string',
  'short',
  'locale',
  'percentunit',
  's',
  'bytes',
  'cps',
  'bool_yes_no',
  'dateTimeAsIso',
])
/** What Prometheus says of every target, and what many a program says of itself. */
const OF_ANY_JOB = /^(?:up$|process_|nodejs_)/
const EXPORTERS = 'ephemeral_port_exporter_build_info'
const RATES = new Set(['rate', 'irate'])
const COUNTER_CALLS = new Set(['rate', 'irate', 'increase'])

export function lintDashboard(dashboard: Dashboard): readonly string[] {
  return [
    ...lintVariables(dashboard),
    ...listPanels(dashboard).flatMap((panel) =>
      lintPanel(panel).map((problem) => `${panel.title || panel.id}: ${problem}`),
    ),
    ...listQueries(dashboard).flatMap((query) =>
      lintQuery(query).map((problem) => `${query.name}: ${problem}`),
    ),
    ...(dashboard.editable ? ['uneditable-dashboard-rule: is editable'] : []),
  ]
}

function lintVariables({ templating: { list } }: Dashboard): readonly string[] {
  const problems: string[] = []
  const sources = list.filter(({ type }) => type === 'datasource')
  const [source] = sources
  if (
    sources.length !== 1 ||
    source?.name !== 'datasource' ||
    source.label !== 'Data source' ||
    source.query !== 'prometheus'
  ) {
    problems.push('template-datasource-rule: not one variable datasource, "Data source"')
  }
  for (const [name, label] of [
    ['job', 'Job'],
    ['instance', 'Instance'],
  ] as const) {
    const variable = list.find((one) => one.name === name)
    if (!isTarget(variable, label))
      problems.push(`template-${name}-rule: ${JSON.stringify(variable)}`)
  }
  for (const { name, query, refresh, type } of list) {
    if (type !== 'query') continue
    if (!/^label_values\(.+\)$/.test(query)) {
      problems.push(`template-label-promql-rule: $${name} asks ${query}`)
    }
    if (refresh !== 2) problems.push(`template-on-time-change-reload-rule: $${name}`)
  }
  return problems
}

function isTarget(variable: Variable | undefined, label: string): boolean {
  return (
    variable?.type === 'query' &&
    variable.datasource?.uid === '$datasource' &&
    variable.label === label &&
    variable.multi === true &&
    variable.allValue === '.+'
  )
}

function lintPanel(panel: Panel): readonly string[] {
  const problems: string[] = []
  const { title, description = '', fieldConfig, targets = [] } = panel
  if (panel.datasource?.uid !== '$datasource') problems.push('panel-datasource-rule')
  if (title === '' || !/\.$/.test(description)) problems.push('panel-title-description-rule')
  const units = [
    fieldConfig?.defaults.unit,
    ...(fieldConfig?.overrides ?? []).flatMap(({ properties }) =>
      properties.filter(({ id }) => id === 'unit').map(({ value }) => value as string),
    ),
  ]
  for (const unit of units) {
    if (!UNITS.has(unit ?? '')) problems.push(`panel-units-rule: ${unit}`)
  }
  if (targets.length === 0) problems.push('panel-no-targets-rule')
  return problems
}

function lintQuery({ target }: NamedQuery): readonly string[] {
  const problems: string[] = []
  if (target.datasource?.uid !== '$datasource') problems.push('panel-datasource-rule')
  let selectors: readonly Selector[]
  try {
    selectors = parseQuery(target.expr).selectors
  } catch (error) {
    return [`target-promql-rule: ${error}`]
  }
  if (selectors.length === 0) problems.push('target-promql-rule: asks for nothing')
  const isOfExporters = selectors.some(({ metric }) => metric === EXPORTERS)
  for (const selector of selectors) {
    const { metric, range, call = '' } = selector
    if (OF_ANY_JOB.test(metric) && !isOfExporters) problems.push(`any-job-rule: ${metric}`)
    for (const name of ['job', 'instance']) {
      const isThere = selector.matchers.some(
        ({ label, operator, value }) => label === name && operator === '=~' && value === `$${name}`,
      )
      if (!isThere) problems.push(`target-${name}-rule: ${metric}`)
    }
    if (RATES.has(call) && range !== '$__rate_interval') {
      problems.push(`target-rate-interval-rule: ${metric}[${range}]`)
    }
    if (metric.endsWith('_total') && (range === undefined || !COUNTER_CALLS.has(call))) {
      problems.push(`target-counter-agg-rule: ${metric}`)
    }
  }
  return problems
}
