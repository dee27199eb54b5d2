// The chart and the program understand each other: rendered flags and files, and the script of `helm test`.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { Server } from 'node:net'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { type Config, ConfigError, readConfig } from '../../src/config/config.ts'
import { envNameOf, optionNames, optionOf } from '../../src/config/options.ts'
import { parseWebConfig } from '../../src/web/protection/web-config.ts'
import {
  CHART,
  findHelm,
  type KubeObject,
  objectOf,
  renderChart,
  templateChart,
} from '../support/cluster/helm.ts'
import { at, fieldsOf, listOf, takeContainer } from '../support/cluster/kube-container.ts'
import { findFreePort } from '../support/program/free-port.ts'
import { waitFor, withProgram } from '../support/program/program.ts'
import { createTestAuthority } from '../support/program/test-certificates.ts'

const helms = findHelm()
const node = { nodeName: 'node-1', hostIp: '192.0.2.1' }
const ci = join(CHART, 'ci')

beforeEach((context) => {
  const missing = helms.filter(({ path }) => path === undefined).map(({ name }) => name)
  if (missing.length > 0 && process.env.CI !== 'true') {
    context.skip(`needs ${missing.join(', ')} (.ci/run installs them)`)
  }
})

/** What the kubelet would put at a path of the container. */
function readMounted(objects: readonly KubeObject[], path: string): string {
  const mounts = takeContainer(objects, node).mounts
  const mount = mounts.find((it) => path.startsWith(`${it.path}/`))
  const file = path.slice((mount?.path.length ?? 0) + 1)
  if (mount?.source.kind !== 'configMap' && mount?.source.kind !== 'secret') {
    throw new Error(`Cannot read ${path}: nothing is mounted there`)
  }
  const kind = mount.source.kind === 'secret' ? 'Secret' : 'ConfigMap'
  const { data, stringData } = objectOf(objects, kind, mount.source.name)
  return String(fieldsOf(data ?? stringData)[file])
}

/** The program's own reading of the flags and files that the chart gives it, or its problems. */
async function readRendered(
  objects: readonly KubeObject[],
  hostIp = '192.0.2.1',
): Promise<Config | readonly string[]> {
  const { args, env } = takeContainer(objects, { nodeName: 'node-1', hostIp })
  try {
    return await readConfig({ argv: args, env, readFile: (path) => readMounted(objects, path) })
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}

describe.each(helms)('$name', (helm) => {
  test.each(readdirSync(ci))(
    'gives the program flags and files that it takes: %s',
    async (file) => {
      const values = readFileSync(join(ci, file), 'utf8')
      const hostIp = values.includes('ipFamilies: [IPv6') ? '2001:db8::1' : '192.0.2.1'
      const objects = renderChart(helm, {}, { files: [join(ci, file)] })
      expect(await readRendered(objects, hostIp)).toMatchObject({
        command: 'serve',
        procfs: '/host/proc',
      })
    },
  )

  test('refuses in extraArgs and env what it sets or reads itself, and nothing else', () => {
    const refused = (values: object, pattern: RegExp) =>
      [...templateChart(helm, values).stderr.matchAll(pattern)].map(([, name = '']) => name)
    const own = refused(
      { extraArgs: optionNames.map((name) => `--${name}=x`) },
      /^- extraArgs: --(\S+)=x is for the chart/gm,
    )
    expect(optionNames.filter((name) => !own.includes(name))).toEqual([
      'web.disable-exporter-metrics',
      'sample.interval',
      'sample.cpu-budget',
      'sample.peak-window',
      'forecast.horizon',
      'top',
      'detail.min-utilization',
      'nat.port-range',
      'log.level',
      'log.format',
    ])
    const env = Object.fromEntries(optionNames.map((name) => [envNameOf(name), 'x']))
    const variables = refused({ env }, /^- env\.(\S+) is for the chart/gm)
    expect(variables.toSorted()).toEqual(
      optionNames
        .filter((name) => own.includes(name))
        .map(envNameOf)
        .toSorted(),
    )
  })

  test('takes the durations and paths that the program takes, and no other', () => {
    const durations = ['sample.interval', 'sample.peak-window', 'forecast.horizon'] as const
    const texts = [
      '0s',
      '99ms',
      '100ms',
      '1s',
      '59s',
      '1m',
      '5m',
      '5m1ms',
      '1h',
      '1h1s',
      '1d',
      '1d1ms',
    ]
    for (const text of texts) {
      const config = Object.fromEntries(durations.map((name) => [name, text]))
      const { stderr } = templateChart(helm, { config })
      const named = [...stderr.matchAll(/^- config\.(\S+): .* is not from/gm)].map(
        ([, name]) => name,
      )
      const refused = durations.filter((name) => optionOf(name).value.parse(text) === undefined)
      expect([text, named]).toEqual([text, refused])
    }
    const paths = ['/', '/metrics/', '/-/metrics', '/a.b/..c', '/-/ready/', '/API/v1/snapshot']
    for (const path of [...paths, '/a//b', '/.', '/a/..', '/a/../b', '/a b', 'metrics', '']) {
      const { status } = templateChart(helm, { config: { web: { 'telemetry-path': path } } })
      const taken = optionOf('web.telemetry-path').value.parse(path) !== undefined
      expect([path, status === 0]).toEqual([path, taken])
    }
  })

  test('hands over what config says', async () => {
    const files = [join(ci, 'config-values.yaml')]
    expect(await readRendered(renderChart(helm, {}, { files }))).toMatchObject({
      sampleIntervalMs: 10_000,
      forecastHorizonSeconds: 1800,
      top: 20,
      telemetryPath: '/probe/metrics',
    })
  })

  test('hands over a web configuration that the program takes', () => {
    const objects = renderChart(helm, {}, { files: [join(ci, 'web-config-values.yaml')] })
    const { args, mounts } = takeContainer(objects, node)
    const path = args.find((arg) => arg.startsWith('--web.config.file='))?.split('=')[1] ?? ''
    const parsed = parseWebConfig(readMounted(objects, path), path)
    if (!('config' in parsed)) throw new Error(parsed.problems.join('\n'))
    expect([...parsed.config.users.keys()]).toEqual(['prometheus'])
    // Its certificate is where the Secret is mounted.
    const tls = mounts.find(({ source }) => 'name' in source && source.name.endsWith('-tls'))
    expect(JSON.stringify(parsed.config.tls)).toContain(`${tls?.path}/tls.crt`)
  })
})

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('Cannot tell the port')
  return address.port
}

describe('helm test', () => {
  const [helm] = helms
  /** The container of the test pod, run here against a port of loopback. */
  async function runTest(
    values: unknown,
    port: number,
  ): Promise<{ status: number | null; output: string }> {
    if (helm === undefined) throw new Error('No Helm')
    const pod = objectOf(renderChart(helm, values), 'Pod')
    const [container] = listOf(at(pod, 'spec').containers)
    const { command, args, env } = at(container)
    expect(command).toEqual(['/nodejs/bin/node', '--input-type=module', '--eval'])
    const variables = listOf(env).map((it): [string, string] => [
      String(fieldsOf(it).name),
      String(fieldsOf(it).value),
    ])
    const child = spawn(
      process.execPath,
      [...listOf(command).slice(1).map(String), ...listOf(args).map(String)],
      {
        env: { ...Object.fromEntries(variables), TARGET_HOST: '127.0.0.1', TARGET_PORT: `${port}` },
      },
    )
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        output += chunk
      })
    }
    await once(child, 'close')
    return { status: child.exitCode, output }
  }

  async function withServer<T>(
    status: number,
    page: string,
    use: (port: number) => Promise<T>,
  ): Promise<T> {
    const server = createServer((_, response) => response.writeHead(status).end(page))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      return await use(portOf(server))
    } finally {
      server.close()
    }
  }

  const password = { webConfig: { basic_auth_users: { a: `$2y$10$${'a'.repeat(53)}` } } }

  test('passes on the real page', async () => {
    const port = await findFreePort()
    await withProgram([`--web.listen-address=127.0.0.1:${port}`], async () => {
      await waitFor(async () => (await fetch(`http://127.0.0.1:${port}/-/ready`)).ok || undefined)
      const { status, output } = await runTest({}, port)
      expect({ status, output }).toEqual({
        status: 0,
        output: expect.stringMatching(/^127\.0\.0\.1: [1-9]\d* pools\n$/),
      })
      expect(await runTest(password, port)).toEqual({
        status: 1,
        output: '127.0.0.1: asked for no credentials: status 200\n',
      })
    })
  })

  test('takes a refusal for want of a certificate as proof, and nothing else over TLS', async () => {
    const certificate = createTestAuthority().issue(['localhost'])
    const run = async (requestCert: boolean) => {
      const server = createSecureServer(
        { ...certificate, requestCert, rejectUnauthorized: requestCert },
        (_, response) => response.end('nothing'),
      )
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      const tls_server_config = {
        cert_file: 'a',
        key_file: 'b',
        client_auth_type: 'RequireAndVerifyClientCert',
        client_ca_file: 'c',
      }
      try {
        return await runTest({ webConfig: { tls_server_config } }, portOf(server))
      } finally {
        server.close()
      }
    }
    expect(await run(true)).toEqual({ status: 0, output: '' })
    expect(await run(false)).toMatchObject({ status: 1 })
  })

  test('fails on another page, on one without pools, and where nobody answers', async () => {
    const build = 'ephemeral_port_exporter_build_info{version="1"} 1\n'
    const run = (status: number, page: string, values = {}) =>
      withServer(status, page, (port) => runTest(values, port))
    expect(await run(200, 'up 1\n')).toMatchObject({ status: 1 })
    expect(await run(200, build)).toEqual({ status: 1, output: '127.0.0.1: knows no pool\n' })
    expect(await run(503, build)).toEqual({ status: 1, output: '127.0.0.1: status 503\n' })
    expect(await run(401, '', password)).toEqual({ status: 0, output: '' })
    const port = await findFreePort()
    expect(await runTest({}, port)).toMatchObject({ status: 1 })
    expect((await runTest({}, port)).output).toContain('ECONNREFUSED')
  })
})
