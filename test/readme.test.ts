// README's generated parts against what they are generated from. `npm run golden` renews them.

import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { renderOptionTable } from '../src/config/help.ts'
import { families } from '../src/metrics/families.ts'
import { renderMetricTable } from '../src/metrics/table.ts'

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')

/** What a reader should see first of a golden page. */
const EXCERPT = [
  'pool_capacity_ports',
  'pool_available_ports',
  'pool_worst_destination_info',
  'pool_slow',
  'exhaustion_risk_ratio',
  'exhaustion_eta_seconds',
  'destination_used_ports',
  'blocked_ports',
  'source_info',
]

function renderExcerpt(): string {
  const page = readFileSync(
    new URL('golden/one-destination-nearly-full.prom', import.meta.url),
    'utf8',
  )
  const lines = EXCERPT.flatMap((name) =>
    page.split('\n').filter((line) => line.startsWith(`ephemeral_port_${name}{`)),
  )
  return ['```', ...lines, '```', ''].join('\n')
}

/** Scenarios that say the most, and columns: name, seeds that met what was asked, what was seen. */
const SCENARIOS =
  /plateau of 95|bursts|restart|scale-down|step to 1[025]|leak of|UDP|ramp|latency|second destination/

function renderForecast(): string {
  const results = readFileSync(
    new URL('bench/forecast/RESULTS.md', import.meta.url),
    'utf8',
  ).replace(/## Other intervals[\s\S]*/, '')
  const lines = results.split('\n')
  const scenarios = lines
    .map((line) => line.split(' | '))
    .filter(([name = '', , met = '']) => SCENARIOS.test(name) && / of \d+$/.test(met))
    .map(([name, , met, seen]) => `${name} | ${met} | ${seen} |`)
  const scores = lines.slice(lines.indexOf('| forecast | Brier score |'))
  return [
    '',
    '| scenario | seeds that met what was asked | seen |',
    '| --- | --- | --- |',
    ...scenarios,
    '',
    ...scores.slice(0, scores.indexOf('') + 1),
  ].join('\n')
}

function fill(text: string, part: string, content: string): string {
  const pattern = new RegExp(`(<!-- ${part} -->\n)[\\s\\S]*?(<!-- /${part} -->)`)
  expect(text, `README has no part ${part}`).toMatch(pattern)
  return text.replace(pattern, (_all, open: string, close: string) => `${open}${content}${close}`)
}

describe('README', () => {
  test('has the metrics, the options and the excerpt that the code gives', async () => {
    let wanted = fill(readme, 'metrics', `\n${renderMetricTable()}\n`)
    wanted = fill(wanted, 'options', `\n${renderOptionTable()}\n`)
    wanted = fill(wanted, 'excerpt', renderExcerpt())
    wanted = fill(wanted, 'forecast', `${renderForecast()}\n`)
    await expect(wanted).toMatchFileSnapshot('../README.md')
  })

  test('names only metrics that exist', () => {
    const known = new Set(families.map(({ name }) => name))
    const named = [...readme.matchAll(/ephemeral_port_[a-z_]+/g)].map(([name]) => name)
    expect(named.filter((name) => !known.has(name))).toEqual([])
  })

  test('names only flags that exist', () => {
    const known = renderOptionTable()
    const flags = [...readme.matchAll(/`--([a-z.-]+)/g)].map(([, flag]) => flag ?? '')
    expect(flags.filter((flag) => !known.includes(flag))).toEqual([])
  })

  test('has the two commands', () => {
    expect(readme).toContain('npm ci && npm start')
    expect(readme).toContain('npm cit')
  })
})
