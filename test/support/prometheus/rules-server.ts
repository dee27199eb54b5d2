// A Prometheus server inside a network namespace, so that it scrapes the exporter there; asked through the namespace's actor,
// whose connections take no port of the range.

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { stringify } from 'yaml'
import type { Netns } from '../netns/actor.ts'

/** Outside every range a test uses. */
const PORT = 9090
const START_MS = 60_000

export interface Sample {
  readonly metric: Readonly<Record<string, string>>
  readonly value: readonly [number, string]
}
export interface ActiveAlert {
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly state: string
}
interface RuleHealth {
  readonly name: string
  readonly health: string
  readonly lastError?: string
}
export interface RulesServer {
  query(expression: string): Promise<readonly Sample[]>
  listAlerts(): Promise<readonly ActiveAlert[]>
  /** Rules whose last evaluation failed, as Prometheus describes them. */
  listRuleFailures(): Promise<readonly object[]>
  /** What it logs about rules that could not be evaluated, and everything else from warnings on. */
  log(): string
}

/** Scrapes 127.0.0.1:10132 and evaluates the rules every second. */
export async function withRulesServer<T>(
  netns: Netns,
  options: {
    readonly ruleFiles: readonly object[]
    readonly targetLabels: Readonly<Record<string, string>>
    /** Address of an Alertmanager in the namespace. */
    readonly alertmanager?: string
    /** From scrape to scrape, and what an answer may take; 2 unless given. */
    readonly scrapeSeconds?: number
  },
  use: (server: RulesServer) => Promise<T>,
): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'rules-'))
  const ruleFiles = options.ruleFiles.map((file, index) => {
    const path = join(directory, `rules-${index}.yaml`)
    writeFileSync(path, stringify(file))
    return path
  })
  const configuration = {
    global: {
      scrape_interval: `${options.scrapeSeconds ?? 2}s`,
      scrape_timeout: `${options.scrapeSeconds ?? 2}s`,
      evaluation_interval: '1s',
    },
    rule_files: ruleFiles,
    ...(options.alertmanager === undefined
      ? {}
      : {
          alerting: {
            alertmanagers: [{ static_configs: [{ targets: [options.alertmanager] }] }],
          },
        }),
    scrape_configs: [
      {
        job_name: 'ephemeral-port-exporter',
        honor_labels: true,
        static_configs: [{ targets: ['127.0.0.1:10132'], labels: options.targetLabels }],
      },
    ],
  }
  writeFileSync(join(directory, 'prometheus.yml'), stringify(configuration))
  const child = spawn(
    'nsenter',
    [
      `--net=/proc/${netns.pid}/ns/net`,
      'prometheus',
      `--config.file=${directory}/prometheus.yml`,
      `--storage.tsdb.path=${directory}/data`,
      `--web.listen-address=127.0.0.1:${PORT}`,
      '--log.level=warn',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let log = ''
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  async function ask<Data>(path: string): Promise<Data> {
    const { status, body } = await netns.call('get', { path, port: PORT })
    if (status !== 200) throw new Error(`GET ${path} gave ${status}: ${body}`)
    return (JSON.parse(body) as { data: Data }).data
  }
  try {
    const deadline = Date.now() + START_MS
    while (!(await isReady(netns))) {
      if (child.exitCode !== null || Date.now() > deadline)
        throw new Error(`Cannot start Prometheus: ${log}`)
      await delay(100)
    }
    return await use({
      query: async (expression) => {
        const path = `/api/v1/query?query=${encodeURIComponent(expression)}`
        return (await ask<{ result: readonly Sample[] }>(path)).result
      },
      listAlerts: async () =>
        (await ask<{ alerts: readonly ActiveAlert[] }>('/api/v1/alerts')).alerts,
      listRuleFailures: async () => {
        const { groups } = await ask<{ groups: readonly { rules: readonly RuleHealth[] }[] }>(
          '/api/v1/rules',
        )
        return groups.flatMap(({ rules }) => rules).filter(({ health }) => health !== 'ok')
      },
      log: () => log,
    })
  } finally {
    child.kill('SIGKILL')
    await ended
    rmSync(directory, { recursive: true, force: true })
  }
}

async function isReady(netns: Netns): Promise<boolean> {
  try {
    return (await netns.call('get', { path: '/-/ready', port: PORT })).status === 200
  } catch {
    return false // not listening yet
  }
}
