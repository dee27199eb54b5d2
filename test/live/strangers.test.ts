// Somebody else listens where the exporter would: `status` believes root, whoever runs it, and the unit, all of them on
// this machine, and nobody else.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { withNetns } from '../support/netns/actor.ts'
import { whyNotLive } from '../support/netns/live.ts'
import { joinByVeth } from '../support/netns/veth.ts'
import { findFreePort } from '../support/program/free-port.ts'
import { waitFor, withProgram } from '../support/program/program.ts'

const STRANGER = 12_345
/** Says who asked, and nothing that is of use. */
const SERVER = `
  const server = require('node:http').createServer((request, response) => {
    console.log(request.url)
    response.end('{}')
  })
  server.listen(Number(process.argv[1]), process.argv[2], () => console.log('listening'))
`

/** What `status` said, and what the listener was asked. */
async function askBeside(uid: number) {
  const port = await findFreePort()
  const listener = spawn(process.execPath, ['-e', SERVER, String(port), '127.0.0.1'], {
    uid,
    cwd: '/',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let heard = ''
  listener.stdout.on('data', (chunk) => {
    heard += chunk
  })
  try {
    await once(listener.stdout, 'data')
    const args = ['status', `--web.listen-address=127.0.0.1:${port}`]
    return await withProgram(args, async (program) => {
      await program.ended()
      return { origin: program.stdout().split('\n')[1] ?? '', heard }
    })
  } finally {
    listener.kill()
  }
}

test('asks no other user, and takes a sample', async (ctx) => {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return ctx.skip('needs root')
  const { status } = spawnSync(process.execPath, ['-e', ''], { uid: STRANGER, cwd: '/' })
  if (status !== 0) return ctx.skip('needs a Node that every user may run')
  const { origin, heard } = await askBeside(STRANGER)
  expect(origin).toMatch(/, sampled by this command$/)
  expect(heard).toBe('listening\n')
})

test('asks its own user, and takes a sample where the answer is none', async () => {
  const { origin, heard } = await askBeside(process.getuid?.() ?? 0)
  expect(origin).toMatch(/, sampled by this command$/)
  expect(heard).toBe('listening\n/api/v1/snapshot\n')
})

test('asks no other machine, whoever has the same port on this one', async (ctx) => {
  const reason = whyNotLive()
  if (reason !== undefined) return ctx.skip(reason)
  await withNetns(async (here) => {
    await withNetns(async (there) => {
      const address = '10.77.0.2'
      joinByVeth({ netns: here, address: '10.77.0.1' }, { netns: there, address })
      const port = 10_132
      await here.call('open', { bind: { address: '127.0.0.1', port }, listen: 100 })
      const inside = (pid: number) => ['nsenter', '-t', String(pid), '-n', process.execPath]
      const status = [`status`, `--web.listen-address=${address}:${port}`]
      const server = [...inside(there.pid), '-e', SERVER]
      await withProgram(
        [String(port), '0.0.0.0'],
        async (listener) => {
          await waitFor(async () => listener.stdout() || undefined)
          for (const [netns, heard] of [
            [here, 'listening\n'],
            [there, 'listening\n/api/v1/snapshot\n'],
          ] as const) {
            const command = [...inside(netns.pid), 'dist/main.js']
            await withProgram(status, async (program) => program.ended(), { command })
            expect(listener.stdout()).toBe(heard)
          }
        },
        { command: server },
      )
    })
  })
})
