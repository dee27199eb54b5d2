// A user namespace with a network namespace of its own, as one of rootless containers: root inside has no right outside.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { CLONE_NEWNET, check, openLibc } from '../support/kernel/libc.ts'
import { bringUp } from '../support/netns/netns.ts'

const START_MS = 120_000

/**
 * While `use` runs, the calling thread and whatever it starts are in that network namespace, but with the rights they had;
 * programs started by `command` have those of root inside.
 */
export async function withUserNamespace<T>(
  use: (command: readonly string[]) => Promise<T>,
): Promise<T> {
  const libc = openLibc()
  const args = ['--user', '--map-root-user', '--net', 'sleep', '3600']
  const child = spawn('unshare', args, { stdio: ['ignore', 'ignore', 'inherit'] })
  const exited = once(child, 'exit')
  const home = openSync('/proc/thread-self/ns/net', 'r')
  try {
    await waitForSleep(child.pid)
    const there = openSync(`/proc/${child.pid}/ns/net`, 'r')
    try {
      check('enter the network namespace', libc.setns(there, CLONE_NEWNET))
    } finally {
      closeSync(there)
    }
    bringUp(libc, 'lo')
    return await use(['nsenter', `--user=/proc/${child.pid}/ns/user`, '--preserve-credentials'])
  } finally {
    check('return to the own network namespace', libc.setns(home, CLONE_NEWNET))
    closeSync(home)
    child.kill('SIGKILL')
    await exited
  }
}

/** Until it has become what it starts, when everything is set up. */
async function waitForSleep(pid: number | undefined): Promise<void> {
  const deadline = Date.now() + START_MS
  while (readFileSync(`/proc/${pid}/comm`, 'latin1') !== 'sleep\n') {
    if (Date.now() > deadline) throw new Error('Cannot make a user namespace')
    await delay(10)
  }
}
