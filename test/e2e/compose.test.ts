// The demo's files by the tools that read them, and the demo itself in a throwaway namespace: the load, the exporter,
// Prometheus and Alertmanager, with minutes made seconds. Grafana is not started.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { COMPOSE, layOut, readCompose } from '../support/cluster/compose-demo.ts'
import { CACHE } from '../support/cluster/helm.ts'
import { findNode24 } from '../support/cluster/image-build.ts'
import { type Netns, withNetns } from '../support/netns/actor.ts'
import { whyNotLive } from '../support/netns/live.ts'
import { hasProgram } from '../support/program/tools.ts'

const SCHEMA = join(CACHE, 'schemas/compose-go-2.16.2/compose-spec.json')
const { services } = readCompose()
let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'compose-'))
  for (const service of Object.values(services)) layOut(service, folder)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('compose.yaml is what the Compose Specification allows', (ctx) => {
  if (!existsSync(SCHEMA)) return ctx.skip('needs the Compose Specification (.ci/run fetches it)')
  const schema = JSON.parse(readFileSync(SCHEMA, 'utf8'))
  const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(schema)
  expect(validate(readCompose()), JSON.stringify(validate.errors)).toBe(true)
  const { load, ...others } = services
  expect(validate({ services: { ...others, load: { ...load, sysctl: {} } } })).toBe(false)
})

describe('by its own tool', () => {
  test('Prometheus accepts its configuration and the rules', (ctx) => {
    if (!hasProgram('promtool')) ctx.skip('needs promtool')
    const file = join(folder, 'etc/prometheus/prometheus.yml')
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'config', file], {
      encoding: 'utf8',
    })
    expect(status, stdout + stderr).toBe(0)
    expect(stdout).toContain('2 rule files found')
    expect(stdout.match(/\d+ rules found/g)).toHaveLength(2)
  })

  test('Alertmanager accepts its configuration', (ctx) => {
    if (!hasProgram('amtool')) ctx.skip('needs amtool, of prometheus-alertmanager')
    const file = join(folder, 'etc/alertmanager/alertmanager.yml')
    const { status, stdout, stderr } = spawnSync('amtool', ['check-config', file], {
      encoding: 'utf8',
    })
    expect(status, stdout + stderr).toBe(0)
    expect(stdout).toMatch(/- [1-9]\d* inhibit rules/)
  })
})

/** Starts a program in the network of `netns`, where the names of all services mean the loopback interface. */
async function withService<T>(
  netns: Netns,
  command: readonly string[],
  use: () => Promise<T>,
  environment: Readonly<Record<string, string>> = {},
): Promise<T> {
  const hosts = join(folder, 'hosts')
  writeFileSync(hosts, `127.0.0.1 localhost ${Object.keys(services).join(' ')}\n`)
  const script = 'mount --bind "$1" /etc/hosts; shift; exec "$@"'
  const child = spawn(
    'nsenter',
    [
      `--net=/proc/${netns.pid}/ns/net`,
      'unshare',
      '--mount',
      'sh',
      '-euc',
      script,
      'sh',
      hosts,
      ...command,
    ],
    { stdio: 'ignore', env: { ...process.env, ...environment } },
  )
  const ended = once(child, 'exit')
  try {
    return await use()
  } finally {
    child.kill('SIGKILL')
    await ended
  }
}

async function until<T>(
  what: string,
  seconds: number,
  ask: () => Promise<T | undefined>,
): Promise<T> {
  const deadline = Date.now() + seconds * 1000
  while (Date.now() < deadline) {
    const answer = await ask()
    if (answer !== undefined) return answer
    await delay(500)
  }
  throw new Error(`Waited ${seconds} s in vain: ${what}`)
}

interface Alert {
  readonly labels: Readonly<Record<string, string>>
}

test('shows risk rise before the ports are gone, pages, and recovers', async (ctx) => {
  const node = findNode24()
  if (node === undefined) return ctx.skip('needs Node 24 where .ci/run installs it')
  for (const name of ['prometheus', 'prometheus-alertmanager']) {
    if (!hasProgram(name)) ctx.skip(`needs ${name}`)
  }
  const reason = whyNotLive()
  if (reason !== undefined) ctx.skip(reason)
  hasten(join(folder, 'etc/prometheus/prometheus.yml'), /5s/g)
  hasten(join(folder, 'etc/prometheus/rules/alerts.yaml'), /(?<=\bfor: )\d+[mh]/g)

  await withNetns(async (netns) => {
    const get = async (port: number, path: string) => (await netns.call('get', { port, path })).body
    const page = async (name: string) => {
      const text = await get(10132, '/metrics')
      const row = new RegExp(
        `^ephemeral_port_${name}\\{netns="self",pool="tcp_connect"\\} (\\S+)$`,
        'm',
      )
      return Number(row.exec(text)?.[1] ?? Number.NaN)
    }
    await netns.call('setSysctls', services.load?.sysctls ?? {})
    const flags = [
      ...(services.exporter?.command ?? []),
      '--sample.interval=500ms',
      '--sample.cpu-budget=1',
    ]
    await netns.call('startExporter', { flags })
    const load = [node, join(COMPOSE, 'load.mts')]
    const prometheus = [
      'prometheus',
      `--config.file=${folder}/etc/prometheus/prometheus.yml`,
      `--storage.tsdb.path=${folder}/data`,
      '--web.listen-address=127.0.0.1:9090',
    ]
    const alertmanager = [
      'prometheus-alertmanager',
      `--config.file=${folder}/etc/alertmanager/alertmanager.yml`,
      `--storage.path=${folder}/alerts`,
      '--web.listen-address=127.0.0.1:9093',
      '--cluster.listen-address=',
    ]
    const faster = {
      LOAD_CONNECTIONS_PER_SECOND: '20',
      LOAD_HOLD_SECONDS: '30',
      LOAD_REST_SECONDS: '60',
    }
    await withService(netns, alertmanager, async () => {
      await withService(netns, prometheus, async () => {
        const scenes = async () => {
          const warned = await until('risk while ports are left', 60, async () => {
            const available = await page('pool_available_ports')
            return (await page('exhaustion_risk_ratio')) > 0.5 ? available : undefined
          })
          expect(warned).toBeGreaterThan(50)
          await until(
            'exhaustion',
            60,
            async () => (await page('pool_available_ports')) === 0 || undefined,
          )
          // Where tracefs is mounted, one about refusals may come first.
          const paged = await until('a page at Alertmanager', 30, async () => {
            const text = await get(9093, '/api/v2/alerts').catch(() => '[]')
            const alerts: readonly Alert[] = JSON.parse(text)
            return alerts.find(
              ({ labels: { severity, alertname = '' } }) =>
                severity === 'critical' &&
                /^EphemeralPortExhaust(ed|ionPredicted)$/.test(alertname),
            )
          })
          expect(paged.labels).toMatchObject({
            job: 'ephemeral-port-exporter',
            instance: 'load:10132',
            netns: 'self',
            pool: 'tcp_connect',
          })
          await until(
            'recovery',
            60,
            async () => (await page('pool_available_ports')) > 400 || undefined,
          )
        }
        await withService(netns, load, scenes, faster)
      })
    })
  })
})

/** Turns those spans of time in a file into one second. */
function hasten(file: string, spans: RegExp): void {
  const text = readFileSync(file, 'utf8')
  const faster = text.replace(spans, '1s')
  expect(faster).not.toBe(text)
  writeFileSync(file, faster)
}
