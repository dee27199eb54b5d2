// Faults of the machine and of clients, against the running program: what its users see of each. The others of the catalogue
// (docs/development/testing.md#faults) have their tests beside what they hit.

import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { whyNotLive } from '../support/netns/live.ts'
import { findFreePort } from '../support/program/free-port.ts'
import { type Program, waitFor, withProgram } from '../support/program/program.ts'

const skipReason = process.platform === 'linux' ? undefined : 'needs Linux'
const START_MS = 120_000

interface Running {
  readonly program: Program
  readonly port: number
  get(path: string): Promise<Response>
}

/** The program on a port of loopback, once it has a sample. */
async function withRunning(use: (running: Running) => Promise<void>): Promise<void> {
  const port = await findFreePort()
  const args = [`--web.listen-address=127.0.0.1:${port}`, '--netns=self', '--sample.interval=200ms']
  const get = (path: string) => fetch(`http://127.0.0.1:${port}${path}`)
  await withProgram(args, async (program) => {
    const deadline = Date.now() + START_MS
    for (;;) {
      const answer = await get('/-/ready').catch(() => undefined)
      if (answer?.status === 200) break
      if (Date.now() > deadline) throw new Error(`It is not ready: ${program.stderr()}`)
      await delay(50)
    }
    await use({ program, port, get })
  })
}

async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  await once(socket, 'connect')
  return socket
}

describe('a client', () => {
  test('that asks a thousand times at once is answered a thousand times', async (ctx) => {
    if (skipReason !== undefined) return ctx.skip(skipReason)
    await withRunning(async ({ get }) => {
      const asked = Array.from({ length: 1000 }, async () => {
        const answer = await get('/metrics')
        return [answer.status, (await answer.text()).includes('\nnodejs_version_info{')]
      })
      const answers = await Promise.all(asked)
      expect(answers.filter(([status, whole]) => status === 200 && whole)).toHaveLength(1000)
    })
  })

  test('that sends nothing, half a request, or TLS, keeps no other from its page', async (ctx) => {
    if (skipReason !== undefined) return ctx.skip(skipReason)
    await withRunning(async ({ port, get }) => {
      const sockets: Socket[] = []
      try {
        for (let count = 0; count < 100; count++) {
          const socket = await open(port)
          sockets.push(socket)
          if (count % 3 === 1) socket.write('GET /metrics HTTP/1.1\r\nHost: x\r\nX')
          if (count % 3 === 2) socket.write(Buffer.from('16030100050100000100', 'hex'))
        }
        expect((await get('/metrics')).status).toBe(200)
        expect((await get('/-/healthy')).status).toBe(200)
      } finally {
        for (const socket of sockets) socket.destroy()
      }
    })
  })

  test('that takes all descriptors costs pages only as long as it holds them', async (ctx) => {
    if (skipReason !== undefined) return ctx.skip(skipReason)
    await withRunning(async ({ port, get, program }) => {
      // Not before it has loaded itself.
      const pid = String(program.child.pid)
      spawnSync('prlimit', ['--pid', pid, '--nofile=64:64'])
      const sockets: Socket[] = []
      try {
        for (let count = 0; count < 100; count++) {
          sockets.push(connect(port, '127.0.0.1').on('error', () => {}))
        }
        // Node accepts none beyond the limit, the kernel keeps them waiting.
        await delay(1000)
      } finally {
        for (const socket of sockets) socket.destroy()
      }
      await expect.poll(async () => (await get('/metrics')).status, { timeout: 120_000 }).toBe(200)
      expect(program.child.exitCode).toBeNull()
    })
  })
})

describe('the command status', () => {
  const run = (redirect: string) => ['sh', '-c', `"$0" "$@" ${redirect}`]

  test.for<readonly [string, string, number, RegExp]>([
    ['a disk that is full', '> /dev/full', 3, /Cannot write: ENOSPC/],
    ['nobody', '>&-', 0, /^$/],
  ])('that writes to %s says so by its status', async ([_what, redirect, status, words], ctx) => {
    const reason = whyNotLive()
    if (reason !== undefined) return ctx.skip(reason)
    await withProgram(
      ['status', '--netns=self'],
      async (program) => {
        expect((await program.ended()).status).toBe(status)
        expect(program.stderr()).toMatch(words)
      },
      // Others may exhaust the ports of the host.
      { command: ['unshare', '--net', ...run(redirect), process.execPath, 'dist/main.js'] },
    )
  })
})

test.each(['SIGTERM', 'SIGINT'] as const)(
  '%s before it listens ends it as later',
  async (signal) => {
    const script = fileURLToPath(new URL('../support/program/never-listens.cjs', import.meta.url))
    await withProgram(
      ['--web.listen-address=127.0.0.1:1'],
      async (program) => {
        await waitFor(async () => program.stderr().includes('would listen') || undefined)
        program.child.kill(signal)
        expect((await program.ended()).status).toBe(0)
      },
      { env: { NODE_OPTIONS: `--require ${script}` } },
    )
  },
)

test('SIGTERM while sample follows sample ends the program in time', async (ctx) => {
  if (skipReason !== undefined) return ctx.skip(skipReason)
  await withRunning(async ({ program }) => {
    program.child.kill('SIGTERM')
    const { status, afterMs } = await program.ended()
    expect(status).toBe(0)
    expect(afterMs).toBeLessThan(5000)
  })
})
