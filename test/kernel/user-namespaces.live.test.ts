// Who made a namespace, as the kernel tells it of real ones: an ordinary user's, nested ones, and those that belong to ours.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { openLibc } from '../../src/kernel/libc.ts'
import { createEnterNamespace } from '../../src/kernel/netns.ts'
import { type MakerUid, readMakerUid } from '../../src/kernel/user-namespaces.ts'
import { whyNotLive } from '../support/netns/live.ts'

const USER = 12_345
const skipReason = whyNotLive()

/** Calls `use` with the process that the command has become, once it sleeps. */
async function withSleeper<T>(command: string, uid: number, use: (pid: number) => T): Promise<T> {
  const [file = '', ...args] = `${command} sleep 600`.split(' ')
  const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'inherit'], uid, gid: uid })
  const exited = once(child, 'exit')
  try {
    const name = () => readFileSync(`/proc/${child.pid}/comm`, 'latin1')
    await expect.poll(name, { timeout: 60_000 }).toBe('sleep\n')
    return use(child.pid ?? 0)
  } finally {
    child.kill('SIGKILL')
    await exited
  }
}

test.for<readonly [string, number, string, MakerUid]>([
  ['that an ordinary user makes', USER, 'unshare -rn', USER],
  ['in the third of nested user namespaces', USER, 'unshare -r unshare -r unshare -rn', USER],
  ['that root makes in a user namespace', 0, 'unshare -rn', 0],
  ['that root makes', 0, 'unshare -n', 'privileged'],
])('of a namespace %s, and leaves nothing open', async ([_what, uid, command, maker], ctx) => {
  if (skipReason !== undefined) return ctx.skip(skipReason)
  const libc = await openLibc()
  const enter = createEnterNamespace(libc)
  await withSleeper(command, uid, (pid) => {
    const read = () => enter(`/proc/${pid}/ns/net`, () => readMakerUid(libc))
    const countOpen = () => readdirSync('/proc/self/fd').length
    expect(read()).toBe(maker)
    const before = countOpen()
    for (let times = 100; times > 0; times--) read()
    expect(countOpen()).toBe(before)
  })
})
