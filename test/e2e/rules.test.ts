// Prometheus' and Alertmanager's own tools judge deploy/prometheus: syntax, unit tests, and whether those tests bite.

import { spawnSync } from 'node:child_process'
import { basename, join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { hasProgram } from '../support/program/tools.ts'
import { listAlerts, listRuleTests, RULES } from '../support/prometheus/rules-files.ts'
import { HARMLESS, listMutants } from './rules-mutants.ts'
import { judgeRules, promtool } from './rules-promtool.ts'

const isMissing = !hasProgram('promtool')

beforeEach((context) => {
  if (isMissing && process.env.CI !== 'true')
    context.skip('needs promtool (Debian: apt-get install prometheus)')
})

describe('promtool', () => {
  test.each(['alerts.yaml', 'recording.yaml'])('check rules accepts %s', (name) => {
    const { status, output } = promtool(['check', 'rules', join(RULES, name)])
    expect(output).toMatch(/SUCCESS: \d+ rules found/)
    expect(status).toBe(0)
  })

  // One at a time: all together take minutes where others are at work.
  test.each(listRuleTests().map((path) => basename(path)))('test rules passes %s', (name) => {
    const { status, output } = promtool(['test', 'rules', join(RULES, 'tests', name)])
    expect(output).not.toContain('FAILED')
    expect(status).toBe(0)
  })

  test('test rules fails for every rule with one wrong number, duration, range, offset, pool, join, branch or severity', {
    timeout: 900_000,
  }, () => {
    const alerts = listAlerts()
    const mutants = [...listMutants(alerts)]
    const rulesOf = (alert: string) => alerts.filter((rule) => rule.alert === alert)
    const names = [...new Set(alerts.map(({ alert }) => alert))]
    const intact = judgeRules(names.map((alert) => ({ alert, rules: rulesOf(alert) })))
    expect(names.filter((_, index) => !intact[index])).toEqual([])
    expect(mutants.length).toBeGreaterThan(200)
    const passes = judgeRules(
      mutants.map(({ index, rule }) => ({
        alert: rule.alert,
        rules: alerts
          .map((other, at) => (at === index ? rule : other))
          .filter(({ alert }) => alert === rule.alert),
      })),
    )
    const unnoticed = mutants.filter((_, index) => passes[index]).map(({ what }) => what)
    expect(unnoticed.sort()).toEqual(Object.keys(HARMLESS).sort())
  })
})

test('amtool accepts the inhibit rules', (ctx) => {
  if (!hasProgram('amtool') && process.env.CI !== 'true')
    ctx.skip('needs amtool (Debian: apt-get install prometheus-alertmanager)')
  const file = join(RULES, 'alertmanager-inhibit.yaml')
  const { status, stdout } = spawnSync('amtool', ['check-config', file], { encoding: 'utf8' })
  expect(stdout).toContain('11 inhibit rules')
  expect(status).toBe(0)
})
