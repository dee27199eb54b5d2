// The program that is soaked: started, asked, watched from outside, and killed and started anew.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { type Page, parsePage } from '../support/netns/actor-page.ts'

export interface SubjectOptions {
  /** Starts the program with the flags that follow, as the same process. */
  readonly command: readonly string[]
  readonly port: number
  readonly flags: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

const START_MS = 300_000

export function createSubject({ command, port, flags, env }: SubjectOptions) {
  let child: ChildProcess | undefined
  let logged = ''

  /** On a connection of its own, which ends with the answer; undefined where there is none with status 200. */
  function ask(path: string, method = 'GET'): Promise<string | undefined> {
    return new Promise((resolve) => {
      const asked = request({ host: '127.0.0.1', port, path, method, agent: false, timeout: 5000 })
      asked.on('timeout', () => asked.destroy())
      asked.on('error', () => resolve(undefined))
      asked.on('close', () => resolve(undefined))
      asked.on('response', (answer) => {
        const chunks: Buffer[] = []
        answer.on('data', (chunk: Buffer) => chunks.push(chunk))
        answer.on('error', () => resolve(undefined))
        answer.on('end', () => {
          resolve(answer.statusCode === 200 ? Buffer.concat(chunks).toString() : undefined)
        })
      })
      asked.end()
    })
  }

  async function read(): Promise<Page | undefined> {
    const text = await ask('/metrics')
    return text === undefined ? undefined : parsePage(text)
  }

  return {
    ask,
    read,
    pid: () => child?.pid ?? 0,
    /** `log`: where it writes that, in place of a pipe to us. */
    async start(log: number | 'pipe' = 'pipe'): Promise<void> {
      const listen = `--web.listen-address=127.0.0.1:${port}`
      const [file = '', ...args] = command
      logged = ''
      child = spawn(file, [...args, listen, ...flags], {
        env: { PATH: process.env.PATH, ...env },
        stdio: ['ignore', 'ignore', log],
      })
      child.stderr?.on('data', (chunk) => {
        logged = (logged + chunk).slice(-20_000)
      })
      const deadline = Date.now() + START_MS
      while ((await read())?.find('ephemeral_port_samples_total') === undefined) {
        if (child.exitCode !== null || Date.now() > deadline) throw new Error(`No start: ${logged}`)
        await delay(50)
      }
    },
    async end(signal: NodeJS.Signals): Promise<void> {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, 'exit')
      child.kill(signal)
      await gone
    },
    signal: (name: NodeJS.Signals) => child?.kill(name),
    /** What it holds: descriptors, and those that keep a network namespace. Throws where it has ended by itself. */
    holds() {
      if (child === undefined) throw new Error('It was not started')
      const { pid, exitCode, signalCode } = child
      if (exitCode !== null || signalCode !== null) {
        throw new Error(`It has ended by itself with ${exitCode ?? signalCode}: ${logged}`)
      }
      const links = readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
        try {
          return [readlinkSync(`/proc/${pid}/fd/${fd}`)]
        } catch {
          return []
        }
      })
      const namespaces = links.filter((link) => link.startsWith('net:['))
      return { descriptors: links.length, namespaces: namespaces.length }
    },
    residentMb(): number {
      const status = readFileSync(`/proc/${child?.pid}/status`, 'utf8')
      return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024
    },
  }
}

export type Subject = ReturnType<typeof createSubject>
