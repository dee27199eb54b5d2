// Where each value lands that is handed on as it is: the objects that files of ci/ render to, in full or but for what other
// tests look at.

import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { CHART, findHelm, type KubeObject, objectOf, renderChart } from '../support/cluster/helm.ts'
import { at, fieldsOf, listOf } from '../support/cluster/kube-container.ts'

const helms = findHelm()

beforeEach((context) => {
  const missing = helms.filter(({ path }) => path === undefined).map(({ name }) => name)
  if (missing.length > 0 && process.env.CI !== 'true') {
    context.skip(`needs ${missing.join(', ')} (.ci/run installs them)`)
  }
})

const podOf = (objects: readonly KubeObject[]) =>
  at(objectOf(objects, 'DaemonSet'), 'spec', 'template', 'spec')
const containerOf = (objects: readonly KubeObject[]) =>
  fieldsOf(listOf(podOf(objects).containers)[0])
const timings = (i: number) => ({
  initialDelaySeconds: i,
  periodSeconds: 10 + i,
  timeoutSeconds: 3 + i,
  failureThreshold: 6 + i,
})

describe.each(helms)('$name', (helm) => {
  const render = (file: string) =>
    renderChart(helm, {}, { files: [join(CHART, `ci/${file}-values.yaml`)] })

  describe('everything-else', () => {
    const objects = helm.path === undefined ? [] : render('everything-else')
    const labels = { team: 'network', tenant: 'ports' }

    test('is named, placed and labelled', () => {
      const own = objects.filter(
        ({ kind, metadata }) =>
          !['ConfigMap', 'Pod'].includes(kind) && metadata.name !== 'ports-pods',
      )
      for (const { kind, metadata } of own) {
        expect([kind, metadata]).toEqual([
          kind,
          expect.objectContaining({ name: 'ports', namespace: 'observability' }),
        ])
        expect(metadata.labels).toMatchObject({
          ...labels,
          'app.kubernetes.io/name': 'ports',
          'app.kubernetes.io/instance': 'ports',
          'app.kubernetes.io/part-of': 'ports',
          'helm.sh/chart': expect.stringMatching(/^ephemeral-port-exporter-\d/),
        })
        expect(metadata.labels).not.toHaveProperty('release')
      }
      expect(own.map(({ kind }) => kind).toSorted()).toEqual([
        'DaemonSet',
        'Service',
        'ServiceAccount',
      ])
      const others = objects.filter(({ kind }) => ['ConfigMap', 'Pod'].includes(kind))
      expect(others.map(({ metadata }) => metadata.name)).toEqual([
        'ports-more',
        'ports-text',
        'ports-test',
      ])
    })

    test('gives the DaemonSet its annotations, labels and times', () => {
      const { metadata, spec } = objectOf(objects, 'DaemonSet')
      expect(metadata.annotations).toEqual({ 'example.com/reviewed': '2026' })
      expect(spec).toMatchObject({
        revisionHistoryLimit: 3,
        minReadySeconds: 5,
        updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '10%' } },
      })
      expect(at(spec, 'template').metadata).toEqual({
        annotations: { 'cluster-autoscaler.kubernetes.io/safe-to-evict': 'true' },
        labels: expect.objectContaining({ ...labels, 'sidecar.istio.io/inject': 'false' }),
      })
    })

    test('gives the pod all that is not the container', () => {
      const { containers, volumes, ...pod } = podOf(objects)
      expect(pod).toEqual({
        serviceAccountName: 'ports',
        automountServiceAccountToken: false,
        hostNetwork: true,
        hostPID: false,
        runtimeClassName: 'runc',
        enableServiceLinks: false,
        terminationGracePeriodSeconds: 20,
        securityContext: {
          runAsNonRoot: true,
          runAsUser: 1000,
          runAsGroup: 1000,
          fsGroup: 1000,
          seLinuxOptions: { type: 'spc_t' },
          seccompProfile: { type: 'RuntimeDefault' },
        },
        imagePullSecrets: [{ name: 'global-pull' }, { name: 'pull' }],
        priorityClassName: 'system-node-critical',
        dnsPolicy: 'ClusterFirstWithHostNet',
        dnsConfig: { options: [{ name: 'ndots', value: '1' }] },
        nodeSelector: { 'kubernetes.io/os': 'linux', 'example.com/pool': 'edge' },
        affinity: requireNodes({ key: 'example.com/virtual', operator: 'DoesNotExist' }),
        tolerations: [{ key: 'example.com/edge', operator: 'Exists' }],
        initContainers: [{ name: 'first', image: 'registry.example.com/first:1' }],
      })
      expect(listOf(containers).slice(1)).toEqual([
        { name: 'beside', image: 'registry.example.com/beside:1' },
      ])
      expect(listOf(volumes).slice(-3)).toEqual([
        { name: 'configmaps-0', configMap: { name: 'lists' } },
        { name: 'secrets-0', secret: { secretName: 'keys', defaultMode: 288 } },
        { name: 'more', emptyDir: {} },
      ])
    })

    test('gives the container its image, environment, probes and mounts', () => {
      const { args, volumeMounts, ...container } = containerOf(objects)
      const field = (name: string, fieldPath: string) => ({
        name,
        valueFrom: { fieldRef: { fieldPath } },
      })
      const option = (name: string, value: string) => ({
        name: `EPHEMERAL_PORT_EXPORTER_${name}`,
        value,
      })
      const ask = (path: string, i: number) => ({
        httpGet: { path, port: 'ephemeral-ports', scheme: 'HTTP' },
        ...timings(i),
      })
      const digest = `sha256:${'0123456789abcdef'.repeat(4)}`
      expect(container).toEqual({
        name: 'ephemeral-port-exporter',
        image: `registry.example.com/mirror/ephemeral-port-exporter@${digest}`,
        imagePullPolicy: 'Always',
        env: [
          field('NODE_NAME', 'spec.nodeName'),
          field('LISTEN_IP', 'status.podIP'),
          ...['DESTINATIONS', 'FAILURES', 'KUBERNETES', 'LISTENERS', 'NAT', 'OWNERS', 'PROBE'].map(
            (name) => option(`COLLECTOR_${name}`, String(!['FAILURES', 'PROBE'].includes(name))),
          ),
          option('NETNS', 'all'),
          option('PATH_CGROUP', '/host/sys/fs/cgroup'),
          option('PATH_PROCFS', '/host/proc'),
          option('WEB_LISTEN_ADDRESS', '[$(LISTEN_IP)]:10200'),
          field('POD_IP', 'status.podIP'),
          { name: 'TZ', value: 'UTC' },
        ],
        ports: [{ name: 'ephemeral-ports', containerPort: 10200, protocol: 'TCP' }],
        livenessProbe: ask('/-/healthy', 1),
        readinessProbe: ask('/-/ready', 2),
        startupProbe: ask('/-/healthy', 3),
        terminationMessagePath: '/dev/last-words',
        terminationMessagePolicy: 'FallbackToLogsOnError',
        lifecycle: { preStop: { exec: { command: ['/nodejs/bin/node', '--version'] } } },
        resources: { requests: { cpu: '50m', memory: '192Mi' }, limits: { memory: '320Mi' } },
        securityContext: expect.objectContaining({
          seccompProfile: { type: 'Localhost', localhostProfile: 'ports.json' },
        }),
      })
      expect(listOf(args).at(-1)).toBe('--log.format=json')
      expect(listOf(volumeMounts)[0]).toMatchObject({ mountPropagation: 'HostToContainer' })
      expect(listOf(volumeMounts).slice(-3)).toEqual([
        { name: 'configmaps-0', mountPath: '/lists', readOnly: true },
        { name: 'secrets-0', mountPath: '/keys', readOnly: true },
        { name: 'more', mountPath: '/more' },
      ])
    })

    test('gives the Service and the account theirs, and creates no role', () => {
      const service = objectOf(objects, 'Service', 'ports')
      expect(service.metadata).toMatchObject({
        annotations: { 'prometheus.io/scrape': 'true' },
        labels: { scrape: 'yes' },
      })
      expect(service.spec).toEqual({
        type: 'NodePort',
        ipFamilies: ['IPv6', 'IPv4'],
        ipFamilyPolicy: 'PreferDualStack',
        internalTrafficPolicy: 'Local',
        externalTrafficPolicy: 'Local',
        ports: [
          {
            name: 'ephemeral-ports',
            port: 80,
            targetPort: 'ephemeral-ports',
            protocol: 'TCP',
            nodePort: 30_132,
          },
        ],
        selector: { 'app.kubernetes.io/name': 'ports', 'app.kubernetes.io/instance': 'ports' },
      })
      expect(objectOf(objects, 'ServiceAccount')).toMatchObject({
        metadata: { annotations: { 'example.com/owner': 'sre' } },
        imagePullSecrets: [{ name: 'pull' }],
      })
      expect(objects.filter(({ kind }) => kind.startsWith('ClusterRole'))).toEqual([])
    })

    test('starts helm test where and as the DaemonSet starts its pods', () => {
      const pod = at(objectOf(objects, 'Pod'), 'spec')
      const { nodeSelector, affinity, tolerations, imagePullSecrets } = podOf(objects)
      expect(pod).toMatchObject({ nodeSelector, affinity, tolerations, imagePullSecrets })
      const { image, imagePullPolicy } = containerOf(objects)
      expect(listOf(pod.containers)).toMatchObject([{ image, imagePullPolicy }])
      expect(targetOf(objects)).toEqual({
        TARGET_HOST: 'ports-pods.observability.svc',
        TARGET_PORT: '10200',
        TARGET_PATH: '/metrics',
        TARGET_SCHEME: 'http',
        TARGET_AUTHENTICATION: 'no',
      })
    })
  })

  test('keeps away from nodes that run no DaemonSet, and asks for nothing, unless it is told to', () => {
    const objects = renderChart(helm, {})
    expect(podOf(objects).affinity).toEqual(
      requireNodes(
        { key: 'eks.amazonaws.com/compute-type', operator: 'NotIn', values: ['fargate'] },
        { key: 'type', operator: 'NotIn', values: ['virtual-kubelet'] },
      ),
    )
    const container = containerOf(objects)
    expect(container.image).toMatch(/^ghcr\.io\/(ephemeral-port-exporter)\/\1:\d+\.\d+\.\d+$/)
    expect(container.resources).toEqual({ requests: { cpu: '20m', memory: '128Mi' } })
    for (const key of ['lifecycle', 'terminationMessagePath']) {
      expect(container).not.toHaveProperty(key)
    }
  })

  test('mounts the web configuration and its certificate', () => {
    const objects = render('web-config')
    expect(listOf(podOf(objects).volumes).slice(-2)).toEqual([
      {
        name: 'web-config',
        secret: { secretName: objectOf(objects, 'Secret').metadata.name, defaultMode: 288 },
      },
      { name: 'tls', secret: { secretName: 'ephemeral-port-exporter-tls', defaultMode: 288 } },
    ])
  })

  test('asks in helm test each pod, ready or not, by a Service that no monitor selects', () => {
    const objects = renderChart(helm, { service: { enabled: false } })
    const { metadata, spec } = objectOf(objects, 'Service')
    expect(spec).toEqual({
      clusterIP: 'None',
      publishNotReadyAddresses: true,
      ports: [
        { name: 'ephemeral-ports', port: 10_132, targetPort: 'ephemeral-ports', protocol: 'TCP' },
      ],
      selector: at(objectOf(objects, 'DaemonSet'), 'spec', 'selector').matchLabels,
    })
    expect(targetOf(objects).TARGET_HOST).toBe(`${metadata.name}.ports.svc`)
    expect(metadata.labels).toMatchObject({
      'app.kubernetes.io/name': 'ephemeral-port-exporter-test',
    })
    // helm test --logs takes each hook for a pod.
    expect(metadata.annotations).toBeUndefined()
    expect(
      renderChart(helm, { helmTest: { enabled: false } }).map(({ kind }) => kind),
    ).not.toContain('Pod')
  })

  test('asks in helm test for the page that config and webConfig make', () => {
    expect(targetOf(render('config'))).toMatchObject({ TARGET_PATH: '/probe/metrics' })
    expect(targetOf(render('web-config'))).toMatchObject({
      TARGET_PORT: '10132',
      TARGET_SCHEME: 'https',
      TARGET_AUTHENTICATION: 'yes',
    })
  })
})

function requireNodes(...matchExpressions: readonly object[]): object {
  return {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions }] },
    },
  }
}

/** What the pod of `helm test` is told to ask. */
function targetOf(objects: readonly KubeObject[]): Readonly<Record<string, unknown>> {
  const [container] = listOf(at(objectOf(objects, 'Pod'), 'spec').containers)
  return Object.fromEntries(
    listOf(fieldsOf(container).env).map((it) => [fieldsOf(it).name, fieldsOf(it).value]),
  )
}
