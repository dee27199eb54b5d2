// Which mistakes values.schema.json refuses, and in which words.

import { beforeEach, describe, expect, test } from 'vitest'
import { findHelm, templateChart } from '../support/cluster/helm.ts'

const helms = findHelm()

beforeEach((context) => {
  const missing = helms.filter(({ path }) => path === undefined).map(({ name }) => name)
  if (missing.length > 0 && process.env.CI !== 'true') {
    context.skip(`needs ${missing.join(', ')} (.ci/run installs them)`)
  }
})

const HASH = `$2y$10$${'a'.repeat(53)}`
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
    { webConfig: { tls_server_config: { cert_flie: 'a' } } },
    ["at '/webConfig/tls_server_config': additional properties 'cert_flie' not allowed"],
  ],
  [
    { webConfig: { tls_server_config: { client_auth_type: 'Require' } } },
    ["at '/webConfig/tls_server_config/client_auth_type': value must be one of 'NoClientCert'"],
  ],
  [
    { webConfig: { http_server_config: { headers: { Server: 'x' } } } },
    ["at '/webConfig/http_server_config/headers': additional properties 'Server' not allowed"],
  ],
  [
    { webConfig: { rate_limit: { interval: '1s' } } },
    ["at '/webConfig/rate_limit': properties 'burst' required, if 'interval' exists"],
  ],
  [
    { webConfig: { basic_auth_users: { 'a:b': HASH } } },
    ["at '/webConfig/basic_auth_users': additional properties 'a:b' not allowed"],
  ],
  [{ env: { 'A-B': 'c' } }, ["at '/env': additional properties 'A-B' not allowed"]],
  [{ config: { web: { 'telemetry-path': '/a b' } } }, ["'/a b' does not match pattern"]],
  [
    // Helm would write 1e-05, which the program does not read.
    { config: { sample: { 'cpu-budget': 0.00001 } } },
    ["at '/config/sample/cpu-budget': minimum: got"],
  ],
  [{ config: { sample: { interval: '30s1m' } } }, ["'30s1m' does not match pattern"]],
  [{ secrets: [{ name: 'a' }] }, ["at '/secrets/0': missing property 'mountPath'"]],
  [
    { webConfig: { tls_config: {} } },
    ["at '/webConfig': additional properties 'tls_config' not allowed"],
  ],
  [
    { prometheus: { podMonitor: { scrape_timeout: '5s' } } },
    ["at '/prometheus/podMonitor': additional properties 'scrape_timeout'"],
  ],
  [
    { networkPolicy: { ingress: [{ podSelector: {} }] } },
    ["at '/networkPolicy/ingress/0': additional properties 'podSelector' not allowed"],
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

describe.each(helms)('$name', (helm) => {
  test.each(mistakes)('values.schema.json refuses %j', (values, words) => {
    const { status, stdout, stderr } = templateChart(helm, values)
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toContain("values don't meet the specifications of the schema")
    for (const each of words) expect(stderr).toContain(each)
  })
})
