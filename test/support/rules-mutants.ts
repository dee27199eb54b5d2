// What is wrong with a rule in one place: alerts -> alerts each with one number, duration, join or severity changed. The unit
// tests of the rules must notice every one of them.

import type { Alert } from './rules-files.ts'
import { listThresholds } from './rules-promql.ts'

export interface Mutant {
  readonly what: string
  /** Index of the changed alert in the list. */
  readonly index: number
  readonly rule: Alert
}

const SHARE = 0.12
const OTHER_SEVERITY: Readonly<Record<string, string>> = {
  critical: 'warning',
  warning: 'info',
  info: 'warning',
}

export function* listMutants(alerts: readonly Alert[]): Iterable<Mutant> {
  for (const [index, rule] of alerts.entries()) {
    const { alert, labels } = rule
    const name = `${alert} (${labels.severity})`
    for (const [change, changed] of listChanges(rule)) {
      yield { what: `${name}: ${change}`, index, rule: { ...rule, ...changed } }
    }
  }
}

function* listChanges(rule: Alert): Iterable<[string, Partial<Alert>]> {
  const { expr, labels, for: wait, keep_firing_for: keep } = rule
  for (const [name, value] of new Map(listThresholds(expr))) {
    for (const other of neighbours(Number(value))) {
      const changed = expr.replaceAll(`${value} # threshold: ${name}`, `${other}`)
      yield [`${name} ${other}`, { expr: changed }]
    }
  }
  for (const other of doubleAndHalf(wait)) yield [`for ${other}`, { for: other }]
  for (const other of doubleAndHalf(keep)) {
    yield [`keep_firing_for ${other}`, { keep_firing_for: other }]
  }
  if (expr.includes('(namespace, pod) ephemeral_port_netns_info')) {
    const changed = expr.replaceAll('group_left (namespace, pod)', 'group_left ()')
    yield ['labels of the victim', { expr: changed }]
  }
  const severity = OTHER_SEVERITY[labels.severity ?? '']
  if (severity !== undefined) {
    yield [`severity ${severity}`, { labels: { ...labels, severity } }]
  }
}

// A threshold of 0 asks whether there is anything at all.
function neighbours(value: number): readonly number[] {
  if (value === 0) return [10]
  return [value * (1 + SHARE), value * (1 - SHARE)].map((other) => Number(other.toFixed(4)))
}

function doubleAndHalf(duration: string | undefined): readonly string[] {
  const match = /^(\d+)([mh])$/.exec(duration ?? '')
  if (match === null) return []
  const seconds = Number(match[1]) * (match[2] === 'h' ? 3600 : 60)
  return [`${seconds * 2}s`, `${seconds / 2}s`]
}
