// What the templates refuse, and in which words: values that are each allowed and cannot work.

import { beforeEach, describe, expect, test } from 'vitest'
import { findHelm, templateChart } from '../support/cluster/helm.ts'

const helms = findHelm()

beforeEach((context) => {
  const missing = helms.filter(({ path }) => path === undefined).map(({ name }) => name)
  if (missing.length > 0 && process.env.CI !== 'true') {
    context.skip(`needs ${missing.join(', ')} (.ci/run installs them)`)
  }
})

const setns = { privileges: 'setns' }
const contradictions: readonly (readonly [values: unknown, words: readonly string[]])[] = [
  [
    { securityContext: { runAsUser: 0 } },
    ['securityContext.runAsUser: 0 is root, which privileges: none never is'],
  ],
  [{ setns: { ptrace: true } }, ['setns.ptrace adds a capability, and privileges: none has none']],
  [{ hostNetwork: false }, ['hostNetwork: false with privileges: none would leave out the node']],
  [
    { ...setns, securityContext: { runAsUser: 1000 } },
    ['securityContext.runAsUser: 1000 with privileges: setns would have no capability'],
  ],
  [
    { ...setns, securityContext: { runAsNonRoot: true } },
    ['securityContext.runAsNonRoot with privileges: setns, which needs root'],
  ],
  [
    { ...setns, netns: 'self' },
    ['netns: self enters no other namespace, so privileges: setns would be for nothing'],
  ],
  [{ ...setns, hostNetwork: false }, ['hostNetwork: false needs setns.ptrace']],
  [
    { ...setns, config: { source: 'procfs' } },
    ['config.source: procfs reads other namespaces without rights'],
  ],
  [
    {
      ...setns,
      setns: { ptrace: true },
      containerSecurityContext: { appArmorProfile: { type: 'RuntimeDefault' } },
    },
    ['appArmorProfile with setns.ptrace, which a profile'],
  ],
  [
    {
      privileges: 'full',
      containerSecurityContext: { appArmorProfile: { type: 'RuntimeDefault' } },
    },
    ['appArmorProfile with privileges: full, which a profile'],
  ],
  [
    { ...setns, collectors: { failures: true } },
    ["collectors.failures reads the node's tracefs, which needs privileges: full, not setns"],
  ],
  [{ extraArgs: ['--netns=self'] }, ['extraArgs: --netns=self is for the chart to set; use netns']],
  [
    { extraArgs: ['--no-collector.owners'] },
    ['extraArgs: --no-collector.owners is for the chart to set; use collectors.owners'],
  ],
  [
    { extraArgs: ['--web.telemetry-path=/other'] },
    ['--web.telemetry-path=/other is for the chart to set; use config, which the chart reads'],
  ],
  [
    { env: { EPHEMERAL_PORT_EXPORTER_SOURCE: 'procfs', EPHEMERAL_PORT_EXPORTER_TOP: 5 } },
    ['env.EPHEMERAL_PORT_EXPORTER_SOURCE is for the chart to set; use config'],
  ],
  [
    { env: { NODE_NAME: 'a', LISTEN_IP: 'b' }, collectors: { kubernetes: true } },
    ['env.NODE_NAME is for the chart to set'],
  ],
  [
    { env: { NODE_NAME: 'a', LISTEN_IP: 'b' }, service: { listenOnAllInterfaces: false } },
    ['env.LISTEN_IP is for the chart to set'],
  ],
  [
    { config: { 'sample.interval': '1h', sample: { 'peak-window': '1s' } } },
    ['config.sample.interval: 1h is not from 100ms to 5m'],
  ],
  [
    { config: { sample: { interval: '5s' }, 'sample.interval': '5s' } },
    ['config.sample.interval is given twice'],
  ],
  [
    { config: { web: { 'telemetry-path': '/-/Healthy/' } } },
    ['config.web.telemetry-path: /-/Healthy/ is a page that the program has already'],
  ],
  [
    { config: { 'web.telemetry-path': '/a/../b' } },
    ['config.web.telemetry-path: /a/../b has a part that clients would resolve'],
  ],
  [
    { webConfig: { tls_server_config: { cert_file: 'a' } } },
    ['webConfig.tls_server_config has neither key_file nor key'],
  ],
  [
    {
      webConfig: {
        tls_server_config: { cert: 'a', key: 'b', client_auth_type: 'RequireAndVerifyClientCert' },
      },
    },
    ['client_auth_type: RequireAndVerifyClientCert without client_ca_file'],
  ],
  [
    { service: { port: 1023 } },
    ['service.port: 1023 with hostNetwork: a port below 1024 needs NET_BIND_SERVICE'],
  ],
  [
    { collectors: { kubernetes: true }, serviceAccount: { create: false } },
    ['serviceAccount.create: false without serviceAccount.name'],
  ],
  [{ hostPID: true }, ['hostPID with privileges: none']],
  [
    {
      securityContext: { seccompProfile: { type: 'Unconfined' } },
      containerSecurityContext: {
        seccompProfile: { type: 'Unconfined' },
        appArmorProfile: { type: 'Unconfined' },
      },
    },
    [
      '- securityContext.seccompProfile: Unconfined with privileges: none',
      '- containerSecurityContext.seccompProfile: Unconfined',
      '- containerSecurityContext.appArmorProfile: Unconfined',
    ],
  ],
  [
    { prometheusRule: { alerts: { EphemeralPortUdpPoolHigh: { for: { critical: '1m' } } } } },
    ['alerts.EphemeralPortUdpPoolHigh.for.critical: that alert comes as warning only'],
  ],
  [
    {
      prometheusRule: {
        alerts: { EphemeralPortExhausted: { severity: { info: 'warning', critical: 'warning' } } },
      },
    },
    ['EphemeralPortExhausted.severity.info: that alert comes as critical and warning only'],
  ],
  [
    { prometheus: { podMonitor: { targetLabels: ['a'] } } },
    ['prometheus.podMonitor.targetLabels are labels of a Service'],
  ],
  [
    { webConfig: { rate_limit: {} }, webConfigExistingSecret: { name: 'x' } },
    ['webConfig and webConfigExistingSecret.name: only one file'],
  ],
  [{ webConfigExistingSecret: { tls: true } }, ['webConfigExistingSecret.name names none']],
  [{ tlsSecret: { name: 'x' } }, ['tlsSecret.name is mounted for a web config to point at']],
  [
    { updateStrategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } } },
    ['maxSurge with hostNetwork: two pods of a node cannot listen on one port'],
  ],
  [
    { updateStrategy: { type: 'OnDelete', rollingUpdate: { maxUnavailable: 3 } } },
    ['type: OnDelete, which does not roll'],
  ],
  [
    { prometheus: { monitor: { enabled: true }, podMonitor: { enabled: true } } },
    ['would both scrape every pod'],
  ],
  [
    { prometheus: { monitor: { enabled: true } }, service: { enabled: false } },
    ['prometheus.monitor finds pods through the Service'],
  ],
  [
    { serviceAccount: { create: false, imagePullSecrets: [{ name: 'x' }] } },
    ['serviceAccount.imagePullSecrets with serviceAccount.create: false'],
  ],
  [
    { prometheusRule: { thresholds: { highUtilization: 0.7 } } },
    ['prometheusRule.thresholds.highUtilizationClear is above highUtilization'],
  ],
  [{ setns: { ptrace: true }, hostNetwork: false }, ['- setns.ptrace', '- hostNetwork: false']],
]

describe.each(helms)('$name', (helm) => {
  test.each(contradictions)('the templates refuse %j', (values, words) => {
    const { status, stdout, stderr } = templateChart(helm, values)
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toContain('These values cannot work:')
    for (const each of words) expect(stderr).toContain(each)
    const lines = stderr.split('\n').filter((line) => line.startsWith('- '))
    expect(lines.length).toBe(words.length)
  })
})
