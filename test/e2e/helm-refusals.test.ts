// What the chart refuses, and in which words: mistakes by values.schema.json, contradictions by the templates.

import { beforeEach, describe, expect, test } from 'vitest'
import { findHelm, templateChart } from '../support/helm.ts'

const helms = findHelm()

beforeEach((context) => {
  const missing = helms.filter(({ path }) => path === undefined).map(({ name }) => name)
  if (missing.length > 0 && process.env.CI !== 'true') {
    context.skip(`needs ${missing.join(', ')} (.ci/run installs them)`)
  }
})

const mistakes: readonly (readonly [values: unknown, words: readonly string[]])[] = [
  [{ privilege: 'setns' }, ["at '': additional properties 'privilege' not allowed"]],
  [{ privileges: 'root' }, ["at '/privileges': value must be one of 'none', 'setns', 'full'"]],
  [{ privileges: true }, ["at '/privileges': value must be one of 'none', 'setns', 'full'"]],
  [{ netns: 'host' }, ["at '/netns': value must be one of 'all', 'self'"]],
  [{ image: { pullPolicy: 'always' } }, ["at '/image/pullPolicy': value must be one of 'Always'"]],
  [{ image: { digest: 'abc' } }, ["at '/image/digest': 'abc' does not match pattern"]],
  [
    { collectors: { owner: true } },
    ["at '/collectors': additional properties 'owner' not allowed"],
  ],
  [{ collectors: { failures: 'yes' } }, ["at '/collectors/failures': got string, want"]],
  [
    { config: { 'sample.intervall': '5s' } },
    ["at '/config': additional properties 'sample.intervall'"],
  ],
  [
    { config: { sample: { interval: 5 } } },
    ["at '/config/sample/interval': got number, want string"],
  ],
  [
    { config: { sample: { interval: '5 s' } } },
    ["at '/config/sample/interval': '5 s' does not match"],
  ],
  [{ config: { top: 0 } }, ["at '/config/top': minimum: got 0, want 1"]],
  [{ config: { 'path.procfs': '/proc' } }, ["at '/config': additional properties 'path.procfs'"]],
  [
    { config: { source: 'systeminformation' } },
    ["at '/config/source': value must be one of 'auto'"],
  ],
  [
    { containerSecurityContext: { privileged: true } },
    ["at '/containerSecurityContext': additional properties 'privileged'"],
  ],
  [
    { containerSecurityContext: { capabilities: { add: ['NET_ADMIN'] } } },
    ["additional properties 'capabilities' not allowed"],
  ],
  [
    { serviceAccount: { automountServiceAccountToken: true } },
    ["at '/serviceAccount/automountServiceAccountToken': value must be false"],
  ],
  [{ service: { port: 70_000 } }, ["at '/service/port': maximum: got 70,000, want 65,535"]],
  [{ webConfig: { basic_auth_users: { a: 'secret' } } }, ["at '/webConfig/basic_auth_users/a'"]],
  [
    { webConfig: { tls_config: {} } },
    ["at '/webConfig': additional properties 'tls_config' not allowed"],
  ],
  [
    { prometheus: { podMonitor: { honorLabels: false } } },
    ["at '/prometheus/podMonitor': additional properties 'honorLabels'"],
  ],
  [
    { prometheusRule: { thresholds: { highUtilization: 90 } } },
    ["'/prometheusRule/thresholds/highUtilization': maximum: got 90, want 1"],
  ],
  [
    { prometheusRule: { thresholds: { high: 0.9 } } },
    ["at '/prometheusRule/thresholds': additional properties 'high' not allowed"],
  ],
  [
    { prometheusRule: { alerts: { EphemeralPortExhaustd: { enabled: false } } } },
    ["at '/prometheusRule/alerts': additional properties 'EphemeralPortExhaustd'"],
  ],
  [
    { prometheusRule: { alerts: { EphemeralPortExhausted: { for: { critical: 5 } } } } },
    ["EphemeralPortExhausted/for/critical': got number, want string"],
  ],
  [
    { extraArgs: ['log.level=debug'] },
    ["at '/extraArgs/0': 'log.level=debug' does not match pattern"],
  ],
  [
    { tolerations: [{ effects: 'NoSchedule' }] },
    ["at '/tolerations/0': additional properties 'effects'"],
  ],
  [{ netns: 'x', hostPID: 'no' }, ["at '/netns'", "at '/hostPID': got string, want boolean"]],
]

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
  [
    { privileges: 'full', collectors: { failures: false } },
    ['collectors.failures: false with privileges: full'],
  ],
  [{ extraArgs: ['--netns=self'] }, ['extraArgs: --netns=self is set by the chart']],
  [
    { extraArgs: ['--no-collector.owners'] },
    ['extraArgs: --no-collector.owners is set by the chart'],
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
  test.each(mistakes)('values.schema.json refuses %j', (values, words) => {
    const { status, stdout, stderr } = templateChart(helm, values)
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toContain("values don't meet the specifications of the schema")
    for (const each of words) expect(stderr).toContain(each)
  })

  test.each(contradictions)('the templates refuse %j', (values, words) => {
    const { status, stdout, stderr } = templateChart(helm, values)
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toContain('These values contradict each other:')
    for (const each of words) expect(stderr).toContain(each)
    const lines = stderr.split('\n').filter((line) => line.startsWith('- '))
    expect(lines.length).toBe(words.length)
  })
})
