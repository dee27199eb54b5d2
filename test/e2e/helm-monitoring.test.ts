// Monitors, rules and dashboards as the chart renders them, against the single copies that it packages.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { CHART, findHelm, type KubeObject, objectOf, renderChart } from '../support/cluster/helm.ts'
import { at, fieldsOf, listOf } from '../support/cluster/kube-container.ts'
import { hasProgram } from '../support/program/tools.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const helms = findHelm()
const SERVICE = 'ports-ephemeral-port-exporter'

beforeEach((context) => {
  const missing = helms.filter(({ path }) => path === undefined).map(({ name }) => name as string)
  if (!hasProgram('promtool')) missing.push('promtool')
  if (missing.length > 0 && process.env.CI !== 'true') {
    context.skip(`needs ${missing.join(', ')} (.ci/run installs them)`)
  }
})

/** Every rule of the groups, by its place. */
function rulesOf(groups: unknown): readonly Readonly<Record<string, unknown>>[] {
  return listOf(groups).flatMap((group) => listOf(fieldsOf(group).rules).map(fieldsOf))
}

function readGroups(): readonly unknown[] {
  return ['recording', 'alerts'].flatMap((name) =>
    listOf(
      fieldsOf(parse(readFileSync(join(ROOT, `deploy/prometheus/${name}.yaml`), 'utf8'))).groups,
    ),
  )
}

function groupsOf(objects: readonly KubeObject[]): unknown {
  return at(objectOf(objects, 'PrometheusRule'), 'spec').groups
}

function isAlert(
  rule: Readonly<Record<string, unknown>>,
  name: string,
  severity?: string,
): boolean {
  return rule.alert === name && (severity === undefined || at(rule, 'labels').severity === severity)
}

describe.each(helms)('$name', (helm) => {
  const operator = () => renderChart(helm, {}, { files: [join(CHART, 'ci/operator-values.yaml')] })
  const renderRules = (prometheusRule: unknown, more: object = {}) =>
    groupsOf(
      renderChart(helm, {
        prometheusRule: { enabled: true, ...fieldsOf(prometheusRule) },
        ...more,
      }),
    )

  test('renders nothing that needs a CRD unless it is told to', () => {
    const kinds = renderChart(helm, {}).map(({ kind }) => kind)
    expect(kinds.toSorted()).toEqual(['DaemonSet', 'Pod', 'Service', 'Service', 'ServiceAccount'])
  })

  test('renders the rules as they are in their single copy', () => {
    expect(renderRules({})).toEqual(readGroups())
  })

  test('puts thresholds where the expressions have them, and only there', () => {
    const before = rulesOf(renderRules({}))
    const after = rulesOf(renderRules({ thresholds: { criticalRisk: 0.625, highUtilization: 1 } }))
    const lines = before.flatMap((rule, i) => {
      const [old, now] = [String(rule.expr).split('\n'), String(after[i]?.expr).split('\n')]
      expect({ ...after[i], expr: '' }).toEqual({ ...rule, expr: '' })
      return now.filter((line, j) => line !== old[j]).map((line) => line.trim())
    })
    // The one is in five alerts, the other twice in an alert and in a recording rule.
    expect(lines.toSorted()).toEqual([
      ...Array<string>(5).fill('> 1 # threshold: highUtilization'),
      ...Array<string>(2).fill('>= 0.625 # threshold: criticalRisk'),
      '>= bool 0.625 # threshold: criticalRisk',
    ])
  })

  const down = (groups: unknown) =>
    String(rulesOf(groups).find((rule) => isAlert(rule, 'EphemeralPortExporterDown'))?.expr)

  test('looks for the job that the user names', () => {
    expect(down(renderRules({}))).toContain('up{job=~".*ephemeral-port-exporter.*"}')
    expect(down(renderRules({ job: 'a|b$' }))).toContain('up{job=~"a|b$"}')
  })

  const sidecar = { workload: 'Sidecar' }
  const podMonitor = (more: object) => ({ prometheus: { podMonitor: { enabled: true, ...more } } })
  const monitor = (more: object) => ({ prometheus: { monitor: { enabled: true, ...more } } })
  test.each<[string, object, string]>([
    ['a monitor by default', podMonitor({}), 'ephemeral-port-exporter'],
    ['another name', { nameOverride: 'ports', ...podMonitor({}) }, 'ports'],
    [
      'another full name, of a sidecar',
      { ...sidecar, fullnameOverride: 'foo', ...podMonitor({}) },
      'default/foo',
    ],
    [
      'a short name, of a sidecar',
      { ...sidecar, nameOverride: 'x', ...podMonitor({}) },
      'default/ports-x',
    ],
    [
      'a label of the pods',
      { podLabels: { team: 'net' }, ...podMonitor({ jobLabel: 'team' }) },
      'net',
    ],
    [
      'a label of the Service',
      { service: { labels: { team: 'net' } }, ...monitor({ jobLabel: 'team' }) },
      'net',
    ],
    [
      'a label that is missing',
      { fullnameOverride: 'foo', ...podMonitor({ jobLabel: 'team' }) },
      'mon/foo',
    ],
    [
      'a label that is missing at the Service',
      { fullnameOverride: 'foo', ...monitor({ jobLabel: 'team' }) },
      'foo',
    ],
  ])('finds the job that the operator makes of %s', (_what, values, job) => {
    const [, pattern = ''] = /up\{job=~"([^"]*)"\}/.exec(down(renderRules({}, values))) ?? []
    const isFound = (name: string) => new RegExp(`^(?:${pattern})$`).test(name)
    expect([pattern, isFound(job)]).toEqual([pattern, true])
    // Those of others have it in their names.
    for (const other of ['node-exporter', 'food', 'default/seafoo', 'sports', 'network']) {
      expect([pattern, isFound(other)]).toEqual([pattern, false])
    }
  })

  test('switches alerts off and changes what the user names of them', () => {
    const before = rulesOf(readGroups())
    const after = rulesOf(groupsOf(operator()))
    expect(before.some((rule) => isAlert(rule, 'EphemeralPortUdpPoolHigh'))).toBe(true)
    expect(after.some((rule) => isAlert(rule, 'EphemeralPortUdpPoolHigh'))).toBe(false)
    expect(after.length).toBe(before.length - 1)

    const predicted = after.filter((rule) => isAlert(rule, 'EphemeralPortExhaustionPredicted'))
    const [critical, softened] = predicted.map((rule) => [
      at(rule, 'labels').severity,
      rule.for,
      rule.keep_firing_for,
    ])
    expect(critical).toEqual(['critical', '2m', '15m'])
    expect(softened).toEqual(['info', '5m', undefined])
    const alerts = after.filter(({ alert }) => alert !== undefined)
    for (const rule of alerts) {
      expect(at(rule, 'labels').team).toBe('network')
      expect(at(rule, 'annotations')).toMatchObject({
        channel: '#network',
        runbook_url: `https://runbooks.example.com/ports/${String(rule.alert)}.md`,
      })
    }
    const records = after.filter(({ record }) => record !== undefined)
    expect(records.length).toBeGreaterThan(0)
    expect(JSON.stringify(records)).not.toContain('team')
  })

  test('renders rules that promtool accepts, whatever is changed', () => {
    const folder = mkdtempSync(join(tmpdir(), 'rules-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'rules.yaml')
    writeFileSync(file, stringify({ groups: groupsOf(operator()) }))
    const checked = spawnSync('promtool', ['check', 'rules', file], { encoding: 'utf8' })
    const { status, stdout, stderr } = checked
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toContain(`SUCCESS: ${rulesOf(groupsOf(operator())).length} rules found`)
  })

  test('renders every dashboard as it is, labelled for the sidecar', () => {
    const names = readdirSync(join(ROOT, 'grafana')).filter((name) => name.endsWith('.json'))
    expect(names.length).toBeGreaterThan(0)
    const found = operator().filter(({ metadata }) => fieldsOf(metadata.labels).grafana_dashboard)
    expect(found.map(({ kind, metadata }) => `${kind} ${String(metadata.namespace)}`)).toEqual(
      names.map(() => 'ConfigMap monitoring'),
    )
    for (const { metadata } of found) {
      expect(fieldsOf(metadata.labels).grafana_dashboard).toBe('1')
      expect(metadata.annotations).toEqual({ grafana_folder: 'Network' })
    }
    const rendered = Object.assign({}, ...found.map(({ data }) => data))
    expect(Object.keys(rendered).toSorted()).toEqual(names.toSorted())
    for (const name of names) {
      expect(JSON.parse(rendered[name])).toEqual(
        JSON.parse(readFileSync(join(ROOT, 'grafana', name), 'utf8')),
      )
    }
  })

  test('lets the labels of the page win over those of the exporter, unless it is told not to', () => {
    const podMonitor = objectOf(operator(), 'PodMonitor')
    expect(at(podMonitor, 'spec').podMetricsEndpoints).toEqual([
      {
        port: 'ephemeral-ports',
        path: '/metrics',
        scheme: 'http',
        honorLabels: false,
        interval: '30s',
        scrapeTimeout: '10s',
        proxyUrl: 'http://proxy.example.com:3128',
        relabelings: [{ sourceLabels: ['__meta_kubernetes_pod_node_name'], targetLabel: 'node' }],
        metricRelabelings: [{ sourceLabels: ['__name__'], regex: 'nodejs_.*', action: 'drop' }],
      },
    ])
    const files = [join(CHART, 'ci/config-values.yaml')]
    const serviceMonitor = objectOf(renderChart(helm, {}, { files }), 'ServiceMonitor')
    expect(at(serviceMonitor, 'spec').endpoints).toEqual([
      { port: 'ephemeral-ports', path: '/probe/metrics', scheme: 'http', honorLabels: true },
    ])
    const secret = [join(CHART, 'ci/web-config-secret-values.yaml')]
    const overTls = objectOf(renderChart(helm, {}, { files: secret }), 'ServiceMonitor')
    expect(listOf(at(overTls, 'spec').endpoints)).toMatchObject([{ scheme: 'https' }])
  })

  test('selects the pods and the Service of the release and no other object', () => {
    const objects = renderChart(helm, { prometheus: { monitor: { enabled: true } } })
    const selectors = [
      at(objectOf(objects, 'ServiceMonitor'), 'spec', 'selector').matchLabels,
      at(objectOf(objects, 'Service', SERVICE), 'spec').selector,
      at(objectOf(objects, 'DaemonSet'), 'spec', 'selector').matchLabels,
    ]
    const expected = {
      'app.kubernetes.io/name': 'ephemeral-port-exporter',
      'app.kubernetes.io/instance': 'ports',
    }
    expect(selectors).toEqual([expected, expected, expected])
    const pod = at(objectOf(objects, 'DaemonSet'), 'spec', 'template', 'metadata').labels
    expect(pod).toMatchObject(expected)
    // The pod of `helm test` must not serve as an endpoint.
    expect(objectOf(objects, 'Pod').metadata.labels).not.toMatchObject(expected)
    // Its Service would have every pod scraped twice.
    const ofTest = objectOf(objects, 'Service', `${SERVICE}-pods`).metadata
    expect(ofTest.labels).not.toMatchObject(expected)
  })

  test('starts pods anew when a configuration changes, and only then', () => {
    const checksums = (values: unknown) =>
      at(objectOf(renderChart(helm, values), 'DaemonSet'), 'spec', 'template', 'metadata')
        .annotations
    const config = (top: number) => ({ config: { top }, webConfig: {} })
    expect(checksums({})).toBeUndefined()
    expect(checksums(config(5))).toEqual(checksums({ ...config(5), resources: {} }))
    expect(fieldsOf(checksums(config(5)))['checksum/config']).toMatch(/^[0-9a-f]{64}$/)
    expect(checksums(config(5))).not.toEqual(checksums(config(6)))
    const web = (burst: number) => ({ webConfig: { rate_limit: { interval: '1s', burst } } })
    expect(fieldsOf(checksums(web(1)))['checksum/web-config']).toMatch(/^[0-9a-f]{64}$/)
    expect(checksums(web(1))).not.toEqual(checksums(web(2)))
  })

  test('closes the pods to all but whom the policy names', () => {
    const files = [join(CHART, 'ci/network-policy-values.yaml')]
    const objects = renderChart(helm, {}, { files })
    // The pod of `helm test` would be shut out as well.
    const { 'app.kubernetes.io/managed-by': _, ...matchLabels } = fieldsOf(
      objectOf(objects, 'Pod').metadata.labels,
    )
    const monitoring = {
      from: [
        { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } },
      ],
      ports: [{ port: 'ephemeral-ports' }],
    }
    const ofTest = {
      from: [{ podSelector: { matchLabels } }],
      ports: [{ port: 10_132, protocol: 'TCP' }],
    }
    const { spec } = objectOf(objects, 'NetworkPolicy')
    expect(spec).toEqual({
      podSelector: {
        matchLabels: at(objectOf(objects, 'DaemonSet'), 'spec', 'selector').matchLabels,
      },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [monitoring, ofTest],
      egress: [{ ports: [443, 6443].map((port) => ({ port, protocol: 'TCP' })) }],
    })
    const without = renderChart(helm, { helmTest: { enabled: false } }, { files })
    expect(at(objectOf(without, 'NetworkPolicy'), 'spec').ingress).toEqual([monitoring])
    const quiet = renderChart(helm, { networkPolicy: { enabled: true } })
    expect(at(objectOf(quiet, 'NetworkPolicy'), 'spec')).toMatchObject({
      ingress: [{ ports: [{ port: 10132 }] }],
      egress: [],
    })
  })
})
