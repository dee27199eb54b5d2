// The chart under Helm 3 and Helm 4: lint, every file of ci/, the schemas of Kubernetes and of the operator, the package.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import {
  CHART,
  findHelm,
  type Helm,
  listArchive,
  objectOf,
  renderChart,
  runHelm,
  templateChart,
} from '../support/cluster/helm.ts'
import { at, listOf } from '../support/cluster/kube-container.ts'
import { createJudge, type Judge, listKubernetesVersions } from '../support/cluster/kube-schemas.ts'

const ci = join(CHART, 'ci')
const valuesFiles = readdirSync(ci)
const versions = listKubernetesVersions()
const helms = findHelm()
/** The oldest and the newest that the chart is for, and the first with each field that older ones lack. */
const boundaries = ['1.25.0', '1.30.0', '1.31.0', '1.37.0']

beforeEach((context) => {
  const missing = [
    ...helms.filter(({ path }) => path === undefined).map(({ name }) => name),
    ...(versions.length === 0 ? ['the schemas of Kubernetes'] : []),
  ]
  if (missing.length > 0 && process.env.CI !== 'true') {
    context.skip(`needs ${missing.join(', ')} (.ci/run installs them)`)
  }
})

const judges = new Map<string, Judge>()
function judgeOf(version: string): Judge {
  const judge = judges.get(version) ?? createJudge(version)
  judges.set(version, judge)
  return judge
}

function problemsOf(helm: Helm, files: readonly string[], kubeVersion: string): readonly string[] {
  const objects = renderChart(helm, {}, { files, kubeVersion })
  expect(objects.length).toBeGreaterThan(0)
  return objects.flatMap((object) =>
    judgeOf(kubeVersion)(object).map((problem) => `${object.kind}${problem}`),
  )
}

describe.each(helms)('$name', (helm) => {
  test('lints the chart without a warning', () => {
    const args = ['lint', '--strict', '--quiet', '--kube-version', '1.37.0', CHART]
    const runs = [args, ...valuesFiles.map((file) => [...args, '--values', join(ci, file)])]
    for (const run of runs) {
      const { status, stdout } = runHelm(helm, run)
      expect({ run: run.at(-1), status, stdout }).toEqual({
        run: run.at(-1),
        status: 0,
        stdout: '',
      })
    }
  })

  test.each(valuesFiles)('renders %s to objects that Kubernetes and the operator know', (file) => {
    const found = boundaries.flatMap((version) =>
      problemsOf(helm, [join(ci, file)], version).map((problem) => `${version} ${problem}`),
    )
    expect(found).toEqual([])
  })

  test('renders valid objects for every version in between', () => {
    const file = join(ci, 'full-values.yaml')
    expect(versions.length).toBeGreaterThanOrEqual(13)
    expect(versions.flatMap((version) => problemsOf(helm, [file], version))).toEqual([])
  })

  test('refuses a Kubernetes that is too old', () => {
    expect(() => renderChart(helm, {}, { kubeVersion: '1.24.0' })).toThrow(
      'chart requires kubeVersion: >=1.25.0-0',
    )
  })

  test('says nothing of links at any command from a clone', () => {
    const { status, stderr } = templateChart(helm, { prometheusRule: { enabled: true } })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  })

  test('packages rules and dashboards, and nothing that users do not need', () => {
    const folder = mkdtempSync(join(tmpdir(), 'chart-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const packed = runHelm(helm, ['package', CHART, '--destination', folder])
    expect(packed).toMatchObject({ status: 0 })
    const archive = join(folder, readdirSync(folder)[0] ?? '')
    const values = { prometheusRule: { enabled: true }, grafanaDashboard: { enabled: true } }
    const fromPackage = renderChart(helm, values, { chart: archive })
    // Without links: what the archive holds is all there is.
    expect(fromPackage).toEqual(renderChart(helm, values))
    const groups = listOf(at(objectOf(fromPackage, 'PrometheusRule'), 'spec').groups)
    expect(groups.length).toBeGreaterThanOrEqual(4)
    expect(fromPackage.filter(({ kind }) => kind === 'ConfigMap').length).toBeGreaterThan(0)
    expect(
      listArchive(archive).filter((name) => !/^(values|Chart|README|templates|files)/.test(name)),
    ).toEqual(['.helmignore'])
    expect(
      listArchive(archive)
        .filter((name) => name.startsWith('files/') && !name.endsWith('.json'))
        .toSorted(),
    ).toEqual(['files/test-metrics.mjs'])
  })
})

describe('createJudge()', () => {
  test('finds a field that does not exist, a wrong type, and a forgotten value', () => {
    const judge = judgeOf('1.37.0')
    const pod = (spec: unknown) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'x' },
      spec,
    })
    const container = { name: 'x', image: 'y' }
    expect(judge(pod({ containers: [container] }))).toEqual([])
    expect(judge(pod({ containers: [{ ...container, readonly: true }] })).join()).toContain(
      '"readonly"',
    )
    expect(judge(pod({ containers: [container], hostNetwork: 'yes' })).join()).toContain('boolean')
    expect(judge(pod({ containers: [container], tolerations: null }))).toEqual([
      '/spec/tolerations is null',
    ])
    expect(judge({ apiVersion: 'v2', kind: 'Pod', metadata: { name: 'x' } })).toEqual([
      'No schema for v2 Pod',
    ])
    const monitor = {
      apiVersion: 'monitoring.coreos.com/v1',
      kind: 'PodMonitor',
      metadata: { name: 'x' },
    }
    const spec = { selector: {}, podMetricsEndpoints: [{ port: 'metrics', honourLabels: true }] }
    expect(judge({ ...monitor, spec }).join()).toContain('"honourLabels"')
  })
})
