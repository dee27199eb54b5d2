// workload: Sidecar, for clusters where no pod may see its node: what the chart renders, and that the container it gives
// reads its pod exactly, as the program itself says there.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import {
  CHART,
  findHelm,
  type Helm,
  objectOf,
  renderChart,
  templateChart,
} from '../support/cluster/helm.ts'
import { at, fieldsOf, listOf } from '../support/cluster/kube-container.ts'
import { createJudge, listKubernetesVersions } from '../support/cluster/kube-schemas.ts'
import { whyNotLive } from '../support/netns/live.ts'
import { hasProgram } from '../support/program/tools.ts'

const helms = findHelm()

beforeEach((context) => {
  const missing = helms.filter(({ path }) => path === undefined).map(({ name }) => name)
  if (missing.length > 0 && process.env.CI !== 'true') {
    context.skip(`needs ${missing.join(', ')} (.ci/run installs them)`)
  }
})

const render = (helm: Helm, values: object = {}) =>
  renderChart(helm, values, { files: [join(CHART, 'ci/sidecar-values.yaml')] })

const containerOf = (helm: Helm, values?: object) =>
  fieldsOf(parse(String(at(objectOf(render(helm, values), 'ConfigMap'), 'data')['container.yaml'])))

/**
 * Runs in the pod's network namespace, without any right: holds three UDP sockets, starts the program and prints its page.
 */
const IN_THE_POD = `
import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
const [args, env] = process.argv.slice(1).map((text) => JSON.parse(text))
for (let i = 0; i < 3; i++) {
  const socket = createSocket('udp4').bind(0, '127.0.0.1')
  await once(socket, 'listening')
}
const child = spawn(process.execPath, ['dist/main.js', ...args], { env, stdio: 'inherit' })
const url = 'http://127.0.0.1:' + env.EPHEMERAL_PORT_EXPORTER_WEB_LISTEN_ADDRESS.split(':').at(-1)
const deadline = Date.now() + 45_000
for (;;) {
  await new Promise((resolve) => setTimeout(resolve, 100))
  const ready = await fetch(url + '/-/ready').catch(() => undefined)
  if (ready?.ok || Date.now() > deadline) break
}
console.log(await (await fetch(url + '/metrics')).text())
child.kill()
process.exit()
`

describe.each(helms)('$name', (helm) => {
  test('renders no workload of its own, and nothing that sees the node', () => {
    const objects = render(helm)
    expect(objects.map(({ kind }) => kind).toSorted()).toEqual(['ConfigMap', 'PodMonitor'])
    expect(JSON.stringify(objects)).not.toMatch(/hostPath|hostNetwork|hostPID|volumeMounts|"add"/)
    const { selector, namespaceSelector, jobLabel } = at(objectOf(objects, 'PodMonitor'), 'spec')
    expect(selector).toEqual({ matchLabels: { 'ephemeral-port-exporter': 'sidecar' } })
    expect(namespaceSelector).toEqual({ any: true })
    // The job is then called after the monitor, which the alerts look for.
    expect(jobLabel).toBeUndefined()
  })

  test('gives a container that each Kubernetes takes in a pod of the restricted profile', () => {
    const container = containerOf(helm, { env: { TZ: 'UTC' }, extraArgs: ['--top=5'] })
    expect(container.securityContext).toEqual({
      runAsNonRoot: true,
      runAsUser: 65_532,
      runAsGroup: 65_532,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    })
    expect(listOf(container.args)).toContain('--top=5')
    expect(listOf(container.env)).toContainEqual({ name: 'TZ', value: 'UTC' })
    // Samples that do not come must not take the pod out of its Service.
    expect(container).not.toHaveProperty('readinessProbe')
    // Applications have a port called metrics, which a PodMonitor would scrape as the exporter's.
    expect(container.ports).toEqual([
      { name: 'ephemeral-ports', containerPort: 10_132, protocol: 'TCP' },
    ])
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'x' },
      spec: { containers: [container] },
    }
    for (const version of listKubernetesVersions()) expect(createJudge(version)(pod)).toEqual([])
  })

  test('gives the container what the values say of it, and has the PodMonitor ask where it serves', () => {
    const lifecycle = { preStop: { sleep: { seconds: 1 } } }
    const values = {
      lifecycle,
      terminationMessageParams: { enabled: true },
      collectors: { buckets: false, probe: true },
      config: {
        'web.telemetry-path': '/ports',
        sample: { interval: '1s', 'cpu-budget': 0.0001 },
        nat: { 'port-range': ['10.0.0.1=1-2', '10.0.0.2=3-4'] },
        'web.disable-exporter-metrics': true,
        top: 5,
      },
      env: { EPHEMERAL_PORT_EXPORTER_TOP: 7 },
    }
    const container = containerOf(helm, values)
    expect(container).toMatchObject({
      lifecycle,
      terminationMessagePath: '/dev/termination-log',
      terminationMessagePolicy: 'File',
    })
    const env = listOf(container.env).map((it) => [fieldsOf(it).name, fieldsOf(it).value])
    const prefix = 'EPHEMERAL_PORT_EXPORTER_'
    expect(Object.fromEntries(env)).toEqual({
      ...Object.fromEntries(
        Object.entries({
          ...{ COLLECTOR_BUCKETS: 'false', COLLECTOR_PROBE: 'true', COLLECTOR_OWNERS: 'false' },
          ...{ COLLECTOR_FAILURES: 'false', COLLECTOR_KUBERNETES: 'false' },
          ...{ COLLECTOR_DESTINATIONS: 'true', COLLECTOR_LISTENERS: 'true', COLLECTOR_NAT: 'true' },
          ...{
            NETNS: 'self',
            WEB_LISTEN_ADDRESS: ':10132',
            WEB_TELEMETRY_PATH: '/ports',
            TOP: '7',
          },
          ...{
            SAMPLE_INTERVAL: '1s',
            SAMPLE_CPU_BUDGET: '0.0001',
            WEB_DISABLE_EXPORTER_METRICS: 'true',
          },
          NAT_PORT_RANGE: '10.0.0.1=1-2,10.0.0.2=3-4',
        }).map(([name, value]) => [prefix + name, value]),
      ),
    })
    // No variable twice.
    expect(new Set(env.map(([name]) => name)).size).toBe(env.length)
    const objects = render(helm, values)
    expect(objects.map(({ kind }) => kind).toSorted()).toEqual(['ConfigMap', 'PodMonitor'])
    expect(at(objectOf(objects, 'PodMonitor'), 'spec').podMetricsEndpoints).toMatchObject([
      { port: 'ephemeral-ports', path: '/ports' },
    ])
  })

  test('refuses what a sidecar cannot have', () => {
    const refused = (values: object) =>
      templateChart(helm, { workload: 'Sidecar', ...values }).stderr.includes('workload: Sidecar')
    for (const values of [
      { privileges: 'setns' },
      { collectors: { kubernetes: true } },
      { securityContext: { runAsUser: 5 } },
      { podLabels: { a: 'b' } },
      { podAnnotations: { a: 'b' } },
      { runtimeClassName: 'x' },
      { priorityClassName: 'x' },
      { imagePullSecrets: ['x'] },
      { extraVolumes: [{ name: 'x', emptyDir: {} }] },
      { extraInitContainers: [{ name: 'x', image: 'x' }] },
      { networkPolicy: { enabled: true } },
      { tlsSecret: { name: 'x' } },
      {
        prometheusRule: { enabled: true },
        prometheus: { podMonitor: { enabled: true, jobLabel: 'x' } },
      },
      { webConfigExistingSecret: { name: 'x' } },
      { prometheus: { monitor: { enabled: true } } },
      { service: { listenOnAllInterfaces: false } },
    ]) {
      expect([values, refused(values)]).toEqual([values, true])
    }
    expect(refused({ prometheusRule: { enabled: true } })).toBe(false)
  })
})

test('the container reads the ports of its pod exactly, without any right', (ctx) => {
  const missing = ['unshare', 'setpriv', 'ip'].find((name) => !hasProgram(name))
  const why = whyNotLive() ?? (missing && `needs ${missing}`)
  if (why !== undefined) return ctx.skip(why)
  const [helm] = helms
  if (helm === undefined) throw new Error('No Helm')
  const { args = [], env } = containerOf(helm)
  const variables = Object.fromEntries(
    listOf(env).map((it): [string, unknown] => [String(fieldsOf(it).name), fieldsOf(it).value]),
  )
  const asPod = `ip link set lo up && exec setpriv --reuid=65532 --regid=65532 --clear-groups --bounding-set=-all "$@"`
  const { stdout, stderr } = spawnSync(
    'unshare',
    [
      ...['--net', 'sh', '-c', asPod, 'sh', process.execPath, '--input-type=module'],
      ...['--eval', IN_THE_POD, JSON.stringify(args), JSON.stringify(variables)],
    ],
    { encoding: 'utf8', timeout: 100_000 },
  )
  const lines = stdout.split('\n')
  const linesOf = (name: string) => lines.filter((line) => line.startsWith(`${name}{`))
  expect(linesOf('ephemeral_port_source_info').join(), stderr).toMatch(
    /netns="self",reader="netlink",exactness="(exact|inferred)",range="sysctl"/,
  )
  expect(linesOf('ephemeral_port_used_ports')).toContain(
    'ephemeral_port_used_ports{netns="self",protocol="udp"} 3',
  )
  expect(linesOf('ephemeral_port_scrape_collector_success').filter((it) => / 0$/.test(it))).toEqual(
    [],
  )
})
