// Real cgroups for live tests: directories in the cgroup v2 tree of this machine (cgroup-tree.ts), and processes in them that hold sockets.

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, rmdirSync, statSync, writeFileSync } from 'node:fs'
import { createInterface, type Interface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'

export interface Holder {
  readonly pid: number
  /** Of all its sockets, and most likely of nobody else's: a port alone may also be in somebody's TIME_WAIT. */
  readonly address: string
  /** Opens a listener, a connection to it and a UDP socket on ports of the kernel's choice, and holds them. */
  open(): Promise<{ readonly clientPort: number }>
  /** Lets both ends of the connection go, client first. */
  hangUp(): Promise<void>
}

export interface Cgroups {
  /** Makes a directory and those above it; the path begins with a slash. Returns its inode number. */
  make(path: string): number
  remove(path: string): void
  /** Starts a process in the directory before it does anything. */
  start(path: string): Promise<Holder>
  move(holder: Holder, path: string): void
}

/** Leaves neither process nor directory behind, whatever `use` does. */
export async function withCgroups<T>(
  root: string,
  use: (cgroups: Cgroups) => Promise<T>,
): Promise<T> {
  const made: string[] = []
  const children: HolderProcess[] = []
  const move = (pid: number, path: string) => writeFileSync(`${root}${path}/cgroup.procs`, `${pid}`)
  try {
    return await use({
      make: (path) => {
        const parts = path.split('/').slice(1)
        for (const above of parts.map((_, at) => `/${parts.slice(0, at + 1).join('/')}`)) {
          if (existsSync(root + above)) continue
          mkdirSync(root + above)
          made.push(above)
        }
        return statSync(root + path).ino
      },
      remove: (path) => {
        rmdirSync(root + path)
        made.splice(made.indexOf(path), 1)
      },
      start: async (path) => {
        const address = `127.${randomInt(1, 255)}.${randomInt(255)}.${randomInt(1, 255)}`
        const child = spawn(process.execPath, ['-e', HOLDER, address], {
          stdio: ['pipe', 'pipe', 'inherit'],
        })
        children.push(child)
        const holder = await createHolder(child, address)
        move(holder.pid, path)
        return holder
      },
      move: (holder, path) => move(holder.pid, path),
    })
  } finally {
    await Promise.all(children.map(end))
    for (const path of made.reverse()) await removeEmptied(root + path)
  }
}

type HolderProcess = ChildProcessByStdio<Writable, Readable, null>

/** Answers each line with a line; ends with its parent, whose end closes its standard input. */
const HOLDER = `
  const { createServer, connect } = require('node:net')
  const host = process.argv[1]
  const held = []
  const commands = {
    open() {
      const server = createServer()
      const udp = require('node:dgram').createSocket('udp4')
      server.listen(0, host, () => udp.bind(0, host, () => {
        const client = connect({ port: server.address().port, host, localAddress: host })
        server.once('connection', (accepted) => {
          held.push(client, accepted)
          console.log(JSON.stringify({ clientPort: accepted.remotePort }))
        })
      }))
    },
    hangUp() {
      const [client, accepted] = held
      accepted.once('close', () => console.log('{}'))
      accepted.resume()
      client.end()
    },
  }
  require('node:readline').createInterface(process.stdin)
    .on('line', (name) => commands[name]())
    .on('close', () => process.exit())
  console.log('{}')
`

async function createHolder(child: HolderProcess, address: string): Promise<Holder> {
  const lines = createInterface(child.stdout)
  await nextAnswer(child, lines)
  const ask = (command: string) => {
    const answer = nextAnswer(child, lines)
    child.stdin.write(`${command}\n`)
    return answer
  }
  return {
    pid: child.pid ?? 0,
    address,
    open: async () => JSON.parse(await ask('open')),
    hangUp: async () => void (await ask('hangUp')),
  }
}

async function nextAnswer(child: HolderProcess, lines: Interface): Promise<string> {
  const exited = once(child, 'exit').then(([code]) => {
    throw new Error(`The process that should hold sockets ended with ${code}`)
  })
  // Whichever loses may still settle: its outcome is not of interest then.
  exited.catch(() => undefined)
  const [line] = await Promise.race([once(lines, 'line'), exited])
  return line
}

async function end(child: HolderProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

/** The kernel counts a dead process out of its cgroup a moment after its parent has heard of it. */
export async function removeEmptied(directory: string): Promise<void> {
  for (let tries = 500; existsSync(directory); tries--) {
    try {
      rmdirSync(directory)
    } catch (error) {
      if (tries === 0) throw error
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}
