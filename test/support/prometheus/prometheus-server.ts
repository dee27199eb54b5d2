// A Prometheus server of one's own: configuration in, its HTTP API out, nothing left behind.

import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Netns } from '../netns/actor.ts'
import { findFreePort } from '../program/free-port.ts'

const START_MS = 60_000
/** Outside every range a test uses. */
const NETNS_PORT = 9090

export interface Series {
  readonly metric: Readonly<Record<string, string>>
  /** Unix time in seconds, and the value as Prometheus writes it. */
  readonly points: readonly (readonly [seconds: number, value: string])[]
}

/** When a query is asked: at one moment, or in steps over a time range. */
export type Moment = { readonly atSeconds: number }
export type Span = {
  readonly startSeconds: number
  readonly endSeconds: number
  readonly stepSeconds: number
}

export interface PrometheusServer {
  readonly url: string
  /** Rejects with what Prometheus says where it refuses the query. */
  query(expression: string, time: Moment | Span): Promise<readonly Series[]>
  /** What it has used so far. */
  cpuSeconds(): number
  /** POST without a body to the administration API, gives `data`. */
  administer(path: string): Promise<unknown>
}

export interface ServerOptions {
  /** prometheus.yml; given the paths of the rule files. */
  readonly configuration: (ruleFiles: readonly string[]) => string
  /** Contents of rule files. */
  readonly rules?: readonly string[]
  /** Kept if given, otherwise thrown away. */
  readonly dataDirectory?: string
  readonly flags?: readonly string[]
  /** Runs there, and is asked through its actor. */
  readonly netns?: Netns
}

/** A GET of its HTTP API. */
type Ask = (path: string) => Promise<{ readonly status: number; readonly body: string }>

export async function withPrometheusServer<T>(
  options: ServerOptions,
  use: (server: PrometheusServer) => Promise<T>,
): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'prometheus-'))
  const { netns, flags = [] } = options
  const port = netns === undefined ? await findFreePort() : NETNS_PORT
  const ruleFiles = (options.rules ?? []).map((text, index) => {
    const path = join(directory, `rules-${index}.yaml`)
    writeFileSync(path, text)
    return path
  })
  writeFileSync(join(directory, 'prometheus.yml'), options.configuration(ruleFiles))
  const enter = netns === undefined ? [] : ['nsenter', `--net=/proc/${netns.pid}/ns/net`]
  const [command = '', ...words] = [...enter, 'prometheus']
  const child = spawn(
    command,
    [
      ...words,
      `--config.file=${directory}/prometheus.yml`,
      `--storage.tsdb.path=${options.dataDirectory ?? join(directory, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=warn',
      ...flags,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let log = ''
  child.stderr.on('data', (chunk: Buffer) => {
    log = (log + chunk).slice(-4000)
  })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  try {
    const url = `http://127.0.0.1:${port}`
    const ask: Ask =
      netns === undefined
        ? (path) => fetchText(`${url}${path}`)
        : (path) => netns.call('get', { path, port })
    await untilReady(ask, () => {
      if (child.exitCode !== null) throw new Error(`Cannot start Prometheus: ${log}`)
    })
    return await use(createClient({ url, ask, pid: child.pid ?? 0 }))
  } finally {
    // In order, so that a data directory that is kept is whole.
    child.kill(options.dataDirectory === undefined ? 'SIGKILL' : 'SIGTERM')
    await ended
    rmSync(directory, { recursive: true, force: true })
  }
}

async function untilReady(ask: Ask, check: () => void): Promise<void> {
  const deadline = Date.now() + START_MS
  for (;;) {
    check()
    const answer = await ask('/-/ready').catch(() => undefined)
    if (answer?.status === 200) return
    if (Date.now() > deadline) throw new Error(`Cannot start Prometheus within ${START_MS} ms`)
    await delay(100)
  }
}

async function fetchText(url: string, method: 'GET' | 'POST' = 'GET') {
  const response = await fetch(url, { method })
  return { status: response.status, body: await response.text() }
}

interface Answer {
  readonly status: string
  readonly error?: string
  readonly data: unknown
}

interface Result {
  readonly result: readonly {
    readonly metric: Record<string, string>
    readonly value?: [number, string]
    readonly values?: [number, string][]
  }[]
  readonly resultType: string
}

function createClient(options: {
  readonly url: string
  readonly ask: Ask
  readonly pid: number
}): PrometheusServer {
  const { url, ask, pid } = options
  return {
    url,
    async query(expression, time) {
      const isInstant = 'atSeconds' in time
      const parameters = new URLSearchParams({
        query: expression,
        ...(isInstant ? { time: `${time.atSeconds}` } : spanParameters(time)),
      })
      const path = isInstant ? '/api/v1/query' : '/api/v1/query_range'
      const { result } = unwrap(path, await ask(`${path}?${parameters}`)) as Result
      return result.map(({ metric, value, values }) => ({
        metric,
        points: values ?? (value === undefined ? [] : [value]),
      }))
    },
    cpuSeconds: () => readCpuSeconds(pid),
    async administer(path) {
      return unwrap(path, await fetchText(`${url}${path}`, 'POST'))
    },
  }
}

// proc_pid_stat(5): utime and stime are the 14th and 15th field, in ticks of 10 ms; the second may contain blanks.
function readCpuSeconds(pid: number): number {
  const [, fields = ''] = readFileSync(`/proc/${pid}/stat`, 'latin1').split(/\) (?=[^)]*$)/)
  const numbers = fields.split(' ').map(Number)
  return ((numbers[11] ?? 0) + (numbers[12] ?? 0)) / 100
}

function spanParameters({ startSeconds, endSeconds, stepSeconds }: Span) {
  return { start: `${startSeconds}`, end: `${endSeconds}`, step: `${stepSeconds}` }
}

function unwrap(path: string, { body }: { readonly body: string }): unknown {
  let answer: Answer
  try {
    answer = JSON.parse(body) as Answer
  } catch {
    throw new Error(`Prometheus answered ${path} with ${body}`)
  }
  if (answer.status !== 'success') throw new Error(`Prometheus refused ${path}: ${answer.error}`)
  return answer.data
}
