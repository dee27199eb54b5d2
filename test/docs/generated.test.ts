// The generated parts of README and docs/ against what they are generated from. `npm run golden` renews them.

import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { families } from '../../src/metrics/families.ts'
import { renderMetrics } from './metrics-page.ts'
import { renderOptions } from './options-page.ts'

const root = new URL('../../', import.meta.url)
const read = (path: string) => readFileSync(new URL(path, root), 'utf8')

/** What a reader should see first of a golden page. */
const EXCERPT = [
  'pool_capacity_ports',
  'pool_available_ports',
  'pool_worst_destination_info',
  'exhaustion_risk_ratio',
  'exhaustion_eta_seconds',
  'destination_used_ports',
  'source_info',
]

function renderExcerpt(): string {
  const lines = read('test/golden/one-destination-nearly-full.prom').split('\n')
  const chosen = EXCERPT.flatMap((name) =>
    lines.filter((line) => line.startsWith(`ephemeral_port_${name}{`)),
  )
  return ['```', ...chosen, '```', ''].join('\n')
}

/** What the bench says of the half of the families that was held out, without the table of families. */
function renderForecast(): string {
  const [, half = ''] =
    /## Held-out half\n([\s\S]*?)\n\| family /.exec(read('test/bench/forecast/RESULTS.md')) ?? []
  return `${half}\n`
}

const PARTS: readonly (readonly [page: string, part: string, render: () => string])[] = [
  ['README.md', 'excerpt', renderExcerpt],
  ['docs/metrics.md', 'metrics', () => `\n${renderMetrics()}\n`],
  ['docs/configuration.md', 'options', () => `\n${renderOptions()}\n`],
  ['docs/forecast.md', 'forecast', renderForecast],
]

test.each(PARTS)('%s has the %s that the code gives', async (page, part, render) => {
  const text = read(page)
  const pattern = new RegExp(`(<!-- ${part} -->\n)[\\s\\S]*?(<!-- /${part} -->)`)
  expect(text, `${page} has no part ${part}`).toMatch(pattern)
  const wanted = text.replace(pattern, (_, open: string, close: string) => open + render() + close)
  await expect(wanted).toMatchFileSnapshot(`../../${page}`)
})

test('every family has its place and a stability', () => {
  const page = renderMetrics()
  expect(page).not.toContain('## Others')
  const headings = [...page.matchAll(/^### (\w+)$/gm)].map(([, name]) => name)
  expect(headings).toEqual(families.map(({ name }) => name))
  const experimental = page.split('\n### ').filter((part) => part.includes('**EXPERIMENTAL**'))
  expect(experimental.map((part) => part.split('\n')[0])).toEqual([
    'ephemeral_port_exhaustion_risk_ratio',
    'ephemeral_port_exhaustion_eta_seconds',
  ])
})

test('options and metrics are rendered as Markdown', () => {
  expect(renderOptions()).toContain(
    '| `--netns=all\\|self` | `EPHEMERAL_PORT_EXPORTER_NETNS` | `all` | ',
  )
  expect(renderOptions()).toContain('| `--version` |  |  | Print the version and exit |')
  expect(renderMetrics()).toContain(
    [
      '### ephemeral_port_netns_failures_total',
      '',
      '**STABLE** · counter · `reason`',
      '',
      'Reads of namespaces that failed since the exporter started, by reason.',
      '',
    ].join('\n'),
  )
})
