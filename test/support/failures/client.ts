// Runs client.c, which connects from a namespace in whatever way and reports how often there was no port left.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { removeEmptied } from '../../owners/cgroup-holder.ts'
import type { Endpoint } from '../kernel/libc.ts'

export type ClientKind = 'tcp' | 'mptcp' | 'uring' | 'uring-async'

export interface Outcome {
  readonly withoutPort: number
  readonly connected: number
  readonly other: number
}

export interface Client {
  readonly pid: number
  /** Lets it make its attempts, and waits for them. It lives on. */
  attempt(): Promise<Outcome>
  end(): Promise<void>
}

export interface Clients {
  start(request: {
    readonly netnsPath: string
    readonly kind: ClientKind
    readonly to: Endpoint
    readonly attempts: number
  }): Client
  /** Ends what is left of them. */
  close(): Promise<void>
}

/** Compiles the client; undefined without a C compiler. */
export function compileClient(): { path: string; remove: () => void } | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'client-'))
  const path = join(directory, 'client')
  const source = join(import.meta.dirname, 'client.c')
  const remove = () => rmSync(directory, { recursive: true })
  const { status, error, stderr } = spawnSync('cc', ['-O1', '-Wall', '-o', path, source])
  if (status === 0) return { path, remove }
  remove()
  if (error !== undefined) return undefined
  throw new Error(`Cannot compile client.c: ${stderr.toString()}`)
}

export function createClients(path: string): Clients {
  const running: Client[] = []
  return {
    start({ netnsPath, kind, to, attempts }) {
      const words = [netnsPath, kind, to.address, `${to.port}`, `${attempts}`]
      const child = spawn(path, words, { stdio: ['pipe', 'pipe', 'inherit'] })
      const client = adoptClient(child)
      running.push(client)
      return client
    },
    close: async () => {
      await Promise.all(running.map((client) => client.end()))
    },
  }
}

function adoptClient(child: ChildProcess): Client {
  const exited = once(child, 'exit')
  const { stdin, stdout, pid } = child
  if (stdin === null || stdout === null || pid === undefined) throw new Error('Cannot start client')
  return {
    pid,
    attempt: async () => {
      const lines = createInterface({ input: stdout })
      const line = Promise.race([
        once(lines, 'line').then(([text]) => String(text)),
        exited.then(([code, signal]) => `ended with ${code ?? signal}`),
      ])
      stdin.write('go\n')
      const counts = /^(\d+) (\d+) (\d+)$/.exec(await line)
      lines.close()
      if (counts === null) throw new Error(`Cannot read the client: ${await line}`)
      const [, withoutPort, connected, other] = counts.map(Number)
      return { withoutPort: withoutPort ?? 0, connected: connected ?? 0, other: other ?? 0 }
    },
    end: async () => {
      stdin.end()
      await exited
    },
  }
}

export interface Unit {
  readonly name: string
  add(pid: number): void
  remove(): Promise<void>
}

/** A control group of its own, as systemd gives a service, of this process alone. Undefined where none can be made. */
export function makeUnit(prefix: string): Unit | undefined {
  const name = `${prefix}-${process.pid}.service`
  for (const root of ['/sys/fs/cgroup/unified', '/sys/fs/cgroup']) {
    const path = `${root}/${name}`
    try {
      mkdirSync(path)
    } catch {
      continue // there is none, or it is not ours to change
    }
    const members = `${path}/cgroup.procs`
    if (existsSync(members)) {
      return {
        name,
        add: (pid) => writeFileSync(members, `${pid}\n`),
        remove: () => removeEmptied(path),
      }
    }
    rmdirSync(path) // like any other, beside the hierarchies of version 1
  }
  return undefined
}
