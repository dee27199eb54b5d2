// The committed Prometheus rules as tests read them: deploy/prometheus/*.yaml -> values.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'

export const RULES = fileURLToPath(new URL('../../../deploy/prometheus/', import.meta.url))

export interface Rule {
  readonly alert?: string
  readonly record?: string
  readonly expr: string
  readonly for?: string
  readonly keep_firing_for?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}
export interface Group {
  readonly name: string
  readonly rules: readonly Rule[]
}
export interface RuleFile {
  readonly groups: readonly Group[]
}
export interface Alert extends Rule {
  readonly alert: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}
export interface Recording extends Rule {
  readonly record: string
}

export function readRuleFile(name: string): RuleFile {
  return parse(readFileSync(join(RULES, name), 'utf8')) as RuleFile
}

export function listAlerts(): readonly Alert[] {
  const rules = readRuleFile('alerts.yaml').groups.flatMap((group) => group.rules)
  return rules.map((rule) => {
    const { alert, labels, annotations } = rule
    if (alert === undefined || labels === undefined || annotations === undefined)
      throw new Error(`Not an alert with labels and annotations: ${JSON.stringify(rule)}`)
    return { ...rule, alert, labels, annotations }
  })
}

export function listRecordings(): readonly Recording[] {
  const rules = readRuleFile('recording.yaml').groups.flatMap((group) => group.rules)
  return rules.map((rule) => {
    const { record } = rule
    if (record === undefined) throw new Error(`Not a recording rule: ${JSON.stringify(rule)}`)
    return { ...rule, record }
  })
}

/** Name and number of every `<number> # threshold: <name>`. */
export function listThresholds(expression: string): readonly [name: string, value: string][] {
  const matches = expression.matchAll(/([0-9.]+) # threshold: (\w+)$/gm)
  return [...matches].map(([, value = '', name = '']) => [name, value])
}

/** The files of `promtool test rules`, as paths. */
export function listRuleTests(): readonly string[] {
  return readdirSync(join(RULES, 'tests')).map((name) => join(RULES, 'tests', name))
}
