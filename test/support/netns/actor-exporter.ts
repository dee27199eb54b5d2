// Starts the program inside the actor's namespace and reads its pages without touching the pools. Runs in the actor's
// process.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type IncomingHttpHeaders, request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

/** Outside every range a test uses, as are the ports pages are read from. */
const LISTEN_PORT = 10132
const READ_PORTS = { first: 11_000, count: 9_000 } as const
const START_MS = 300_000
const ANSWER_MS = 120_000
const STOP_MS = 60_000

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Ended {
  readonly code: number | null
  readonly signal: string | null
  readonly stderr: string
}

export function createExporterOperations() {
  const running = new Map<number, { child: ChildProcess; stderr: string[] }>()
  let reads = 0

  // NB: the kernel chooses no port for this connection, and no two share one, so that TIME_WAITs do not matter.
  function get(query: {
    readonly path: string
    readonly port?: number
    readonly headers?: Readonly<Record<string, string>>
  }): Promise<Answer> {
    const localPort = READ_PORTS.first + (reads++ % READ_PORTS.count)
    const { path, port = LISTEN_PORT, headers = {} } = query
    return new Promise((resolve, reject) => {
      const asked = request({
        host: '127.0.0.1',
        port,
        path,
        headers,
        localPort,
        agent: false,
        timeout: ANSWER_MS,
      })
      asked.on('timeout', () =>
        asked.destroy(new Error(`No answer to GET ${path} for ${ANSWER_MS} ms`)),
      )
      asked.on('error', reject)
      asked.on('response', (answer) => {
        const chunks: Buffer[] = []
        answer.on('data', (chunk: Buffer) => chunks.push(chunk))
        answer.on('error', reject)
        answer.on('end', () => {
          const body = Buffer.concat(chunks).toString()
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body })
        })
      })
      asked.end()
    })
  }

  async function isReady(port: number): Promise<boolean> {
    try {
      return (await get({ path: '/-/ready', port })).status === 200
    } catch {
      return false // not listening yet
    }
  }

  return {
    get,

    /**
     * Starts `node dist/main.js` on 127.0.0.1:10132 with these flags, and comes back when it is ready. It looks at the actor's
     * namespace alone, whose pools are the test's business.
     */
    async startExporter(options: {
      readonly flags: readonly string[]
      readonly port?: number
      readonly environment?: Readonly<Record<string, string>>
      /** How long it may take on an emulated machine. */
      readonly startMs?: number
    }): Promise<{ readonly pid: number }> {
      const { flags, port = LISTEN_PORT, startMs = START_MS } = options
      const listen = `--web.listen-address=127.0.0.1:${port}`
      const alone = flags.some((flag) => flag.startsWith('--netns')) ? [] : ['--netns=self']
      const command = ['dist/main.js', listen, ...alone, ...flags]
      const child = spawn(process.execPath, command, {
        env: { PATH: process.env.PATH, ...options.environment },
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      const stderr: string[] = []
      child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk.toString()))
      await once(child, 'spawn')
      const pid = child.pid ?? 0
      running.set(pid, { child, stderr })
      const deadline = Date.now() + startMs
      while (!(await isReady(port))) {
        if (child.exitCode !== null || Date.now() > deadline) {
          child.kill('SIGKILL')
          throw new Error(
            `Cannot start the exporter, exit code ${child.exitCode}: ${stderr.join('')}`,
          )
        }
        await delay(25)
      }
      return { pid }
    },

    /** Ends it as a supervisor would; one that does not end is killed, and its signal then says so. */
    async stopExporter(options: {
      readonly pid: number
      readonly signal?: NodeJS.Signals
    }): Promise<Ended> {
      const program = running.get(options.pid)
      if (program === undefined) throw new Error(`No exporter with the id ${options.pid}`)
      const { child, stderr } = program
      const gone =
        child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined
      child.kill(options.signal ?? 'SIGTERM')
      const kill = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
      await gone
      clearTimeout(kill)
      running.delete(options.pid)
      return { code: child.exitCode, signal: child.signalCode, stderr: stderr.join('') }
    },

    /** Kills what is left and waits until it is gone. */
    async killExporters(): Promise<void> {
      await Promise.all(
        [...running.values()].map(async ({ child }) => {
          if (child.exitCode !== null || child.signalCode !== null) return
          const gone = once(child, 'exit')
          child.kill('SIGKILL')
          await gone
        }),
      )
    },

    /** What a running exporter has logged so far. */
    exporterLog: (options: { readonly pid: number }): string =>
      running.get(options.pid)?.stderr.join('') ?? '',
  }
}
