// ServiceMonitor and PodMonitor: where they are, what they select and how they ask, by every value that says so.

import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { CHART, findHelm, type KubeObject, objectOf, renderChart } from '../support/cluster/helm.ts'
import { at, fieldsOf } from '../support/cluster/kube-container.ts'

const helms = findHelm()

beforeEach((context) => {
  const missing = helms.filter(({ path }) => path === undefined).map(({ name }) => name)
  if (missing.length > 0 && process.env.CI !== 'true') {
    context.skip(`needs ${missing.join(', ')} (.ci/run installs them)`)
  }
})

describe.each(helms)('$name', (helm) => {
  const render = (file: string, values: unknown = {}) =>
    renderChart(helm, values, { files: [join(CHART, `ci/${file}-values.yaml`)] })

  test('lets Prometheus in by what the monitor says', () => {
    const objects = render('web-config', {
      prometheus: { podMonitor: { bearerTokenSecret: { name: 'a', key: 'b' } } },
    })
    expect(at(objectOf(objects, 'PodMonitor'), 'spec').podMetricsEndpoints).toEqual([
      {
        port: 'ephemeral-ports',
        path: '/metrics',
        scheme: 'https',
        honorLabels: true,
        tlsConfig: { insecureSkipVerify: true },
        basicAuth: {
          username: { name: 'scrape', key: 'username' },
          password: { name: 'scrape', key: 'password' },
        },
        bearerTokenSecret: { name: 'a', key: 'b' },
      },
    ])
  })

  const release = { 'app.kubernetes.io/instance': 'ports', release: 'ports' }

  test('puts the monitor into its namespace, and lets it look into that of the pods', () => {
    const objects = render('operator')
    const { metadata, spec } = objectOf(objects, 'PodMonitor')
    expect(metadata).toMatchObject({
      namespace: 'monitoring',
      labels: { ...release, team: 'network' },
      annotations: { 'example.com/owner': 'sre' },
    })
    const { podMetricsEndpoints, ...rest } = fieldsOf(spec)
    expect(podMetricsEndpoints).toMatchObject([
      { proxyUrl: 'http://proxy.example.com:3128', honorLabels: false },
    ])
    expect(rest).toEqual({
      jobLabel: 'app.kubernetes.io/component',
      podTargetLabels: ['app.kubernetes.io/version'],
      selector: { matchLabels: at(objectOf(objects, 'DaemonSet'), 'spec', 'selector').matchLabels },
      namespaceSelector: { matchNames: ['ports'] },
      attachMetadata: { node: true },
      sampleLimit: 20_000,
      targetLimit: 500,
      labelLimit: 40,
      labelNameLengthLimit: 100,
      labelValueLengthLimit: 200,
    })
    expect(objectOf(objects, 'PrometheusRule').metadata).toMatchObject({
      namespace: 'rules',
      labels: { ...release, role: 'alert-rules' },
      annotations: { 'example.com/owner': 'sre' },
    })
    const isOfTest = ({ kind, metadata }: KubeObject) =>
      kind === 'Pod' || metadata.name.endsWith('-pods')
    for (const { kind, metadata } of objects.filter((one) => !isOfTest(one))) {
      expect([kind, metadata.labels]).toEqual([kind, expect.objectContaining(release)])
    }
  })

  test('puts monitor and rules beside the pods by default, also with empty texts as in other charts', () => {
    const monitor = {
      enabled: true,
      targetLabels: ['app.kubernetes.io/part-of'],
      selectorOverride: { matchLabels: { a: 'b' } },
    }
    const values = (more: object) => ({
      namespaceOverride: 'elsewhere',
      prometheus: { monitor: { ...monitor, ...more } },
      prometheusRule: { enabled: true },
    })
    const objects = renderChart(helm, values({}))
    const found = objectOf(objects, 'ServiceMonitor')
    expect(found).toMatchObject({
      apiVersion: 'monitoring.coreos.com/v1',
      metadata: { namespace: 'elsewhere' },
      spec: {
        jobLabel: 'app.kubernetes.io/name',
        targetLabels: ['app.kubernetes.io/part-of'],
        selector: { matchLabels: { a: 'b' } },
        namespaceSelector: { matchNames: ['elsewhere'] },
      },
    })
    expect(objectOf(objects, 'PrometheusRule').metadata.namespace).toBe('elsewhere')
    const empty = { apiVersion: '', jobLabel: '', scheme: '', namespace: '', interval: '' }
    expect(objectOf(renderChart(helm, values(empty)), 'ServiceMonitor')).toEqual(found)
    const other = { apiVersion: 'azmonitoring.coreos.com/v1' }
    expect(objectOf(renderChart(helm, values(other)), 'ServiceMonitor')).toMatchObject(other)
  })
})
