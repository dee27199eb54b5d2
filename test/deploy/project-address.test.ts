// Where the project is: one address in everything that users install.

import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parse } from 'yaml'

const root = new URL('../../', import.meta.url)
const read = (path: string) => readFileSync(new URL(path, root), 'utf8')
const ADDRESS = 'https://github.com/ephemeral-port-exporter/ephemeral-port-exporter'

test('package, chart, image, unit, dashboards and runbooks name the same repository', () => {
  const { repository, homepage, bugs } = JSON.parse(read('package.json'))
  expect({ repository, homepage, bugs }).toEqual({
    repository: { type: 'git', url: `git+${ADDRESS}.git` },
    homepage: `${ADDRESS}#readme`,
    bugs: `${ADDRESS}/issues`,
  })
  const chart = parse(read('deploy/helm/ephemeral-port-exporter/Chart.yaml'))
  expect(chart).toMatchObject({ home: ADDRESS, sources: [ADDRESS] })
  const files = [
    'deploy/Dockerfile',
    'deploy/systemd/ephemeral-port-exporter.service',
    'deploy/prometheus/alerts.yaml',
    'grafana/links.ts',
  ]
  for (const file of files) {
    const named = read(file).match(/https:\/\/github\.com\/[\w.-]+\/[\w.-]+/g) ?? []
    expect([file, ...new Set(named)]).toEqual([file, ADDRESS])
  }
})
