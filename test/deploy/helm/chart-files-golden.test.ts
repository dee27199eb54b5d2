// The chart's copies of the rules and dashboards, as JSON in one line: Helm warns of links at each command, so there are none.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const FILES = join(ROOT, 'deploy/helm/ephemeral-port-exporter/files')
const rules = ['alerts.yaml', 'recording.yaml']
const dashboards = readdirSync(join(ROOT, 'grafana')).filter((name) => name.endsWith('.json'))

const compact = (path: string) =>
  `${JSON.stringify(parse(readFileSync(join(ROOT, path), 'utf8')))}\n`

describe('files of the chart', () => {
  test.each(rules)('holds %s of deploy/prometheus: run npm run golden', async (name) => {
    const copy = join(FILES, name.replace('.yaml', '.json'))
    await expect(compact(`deploy/prometheus/${name}`)).toMatchFileSnapshot(copy)
  })

  test.each(dashboards)('holds %s of grafana: run npm run golden', async (name) => {
    await expect(compact(`grafana/${name}`)).toMatchFileSnapshot(join(FILES, 'dashboards', name))
  })

  test('are no more than these', () => {
    const expected = [
      ...rules.map((name) => name.replace('.yaml', '.json')),
      'dashboards',
      'test-metrics.mjs',
    ]
    expect(readdirSync(FILES).toSorted()).toEqual(expected.toSorted())
    expect(readdirSync(join(FILES, 'dashboards'))).toEqual(dashboards)
  })
})
