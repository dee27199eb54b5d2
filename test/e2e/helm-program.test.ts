// The chart and the program understand each other: rendered flags, variables and files.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { type Config, ConfigError, readConfig } from '../../src/config/config.ts'
import { envNameOf, optionNames, optionOf } from '../../src/config/options.ts'
import { parseWebConfig } from '../../src/web/protection/web-config.ts'
import { configOptions } from '../support/cluster/chart-options.ts'
import {
  CHART,
  findHelm,
  type KubeObject,
  objectOf,
  renderChart,
  templateChart,
} from '../support/cluster/helm.ts'
import { fieldsOf, takeContainer } from '../support/cluster/kube-container.ts'
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
  test.each(readdirSync(ci).filter((file) => file !== 'sidecar-values.yaml'))(
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
    const readByChart = ['web.telemetry-path', 'source']
    expect(optionNames.filter((name) => !own.includes(name))).toEqual(
      configOptions.filter((name) => !readByChart.includes(name)),
    )
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
    const durations = configOptions.filter(
      (name) => optionOf(name).value.placeholder === 'DURATION',
    )
    expect(durations.length).toBeGreaterThan(2)
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

  const { cert, key } = createTestAuthority().issue(['localhost'])
  const tls = { tls_server_config: { cert, key } }
  const users = { basic_auth_users: { prometheus: `$2y$10$${'a'.repeat(53)}` } }
  test.each<[string, object, string]>([
    ['plain HTTP', {}, 'from the exporter at 127.0.0.1:PORT'],
    ['TLS', tls, 'from the exporter at 127.0.0.1:PORT'],
    [
      'a password',
      { ...tls, ...users },
      'sampled by this command, since the exporter at 127.0.0.1:PORT asks for a password',
    ],
  ])('has status agree with the page behind %s, or say why not', async (_what, webConfig, said) => {
    const port = await findFreePort()
    const service = { port, listenOnAllInterfaces: false }
    const values = { service, netns: 'self', collectors: { owners: false }, webConfig }
    const objects = renderChart(helm, values)
    const { args, env } = takeContainer(objects, { ...node, podIp: '127.0.0.1' })
    const folder = mkdtempSync(join(tmpdir(), 'status-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const here = Object.fromEntries(
      Object.entries(env).map(([name, value]) => {
        if (!name.endsWith('_FILE')) return [name, value.replace(/^\/host/, '')]
        writeFileSync(join(folder, name), readMounted(objects, value))
        return [name, join(folder, name)]
      }),
    )
    await withProgram(
      args,
      async ({ stderr }) => {
        await waitFor(async () => stderr().includes('Reading sockets') || undefined)
        // As kubectl exec has it: the variables, and none of the flags.
        const run = () =>
          spawnSync(process.execPath, ['dist/main.js', 'status'], {
            env: { PATH: process.env.PATH, ...here },
            encoding: 'utf8',
          })
        const origin = said.replace('PORT', String(port))
        // It samples by itself while the exporter has no sample yet.
        const status = await waitFor(async () => {
          const ran = run()
          return ran.stdout.split(/\n */).join(' ').includes(origin) ? ran : undefined
        })
        expect(status.stderr).toBe('')
      },
      { env: here },
    )
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
    const { env, mounts } = takeContainer(objects, node)
    const path = env.EPHEMERAL_PORT_EXPORTER_WEB_CONFIG_FILE ?? ''
    const parsed = parseWebConfig(readMounted(objects, path), path)
    if (!('config' in parsed)) throw new Error(parsed.problems.join('\n'))
    expect([...parsed.config.users.keys()]).toEqual(['prometheus'])
    // Its certificate is where the Secret is mounted.
    const tls = mounts.find(({ source }) => 'name' in source && source.name.endsWith('-tls'))
    expect(JSON.stringify(parsed.config.tls)).toContain(`${tls?.path}/tls.crt`)
  })
})
