// A throwaway network namespace with an actor in it: scenario in, real sockets out. The one door for live tests.
//
//   await withNetns(async (netns) => {
//     const to = { address: '127.0.0.1', port: 8001 }
//     await netns.call('open', { bind: to, listen: 100 })
//     const { sockets, locals } = await netns.call('open', { connect: to, count: 10 })
//     const { count, refusal } = await netns.call('fill', { connect: to })
//   })

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { commandOf } from '../program/scene-programs.ts'
import type { Call, Operations, Reply } from './actor-process.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const START_MS = 300_000
/** Longer than any call takes by itself, of which the start of an exporter is the longest. */
const CALL_MS = 400_000
const END_MS = 3_000

type Argument<K extends keyof Operations> = Parameters<Operations[K]>[0]
type Result<K extends keyof Operations> = Awaited<ReturnType<Operations[K]>>

export interface Netns {
  /** Id of the process in it: /proc/<pid>/ns/net leads there. */
  readonly pid: number
  call<K extends keyof Operations>(name: K, argument: Argument<K>): Promise<Result<K>>
}

/** Makes a namespace, lets `use` work in it, and leaves no process behind whatever happens. */
export async function withNetns<T>(use: (netns: Netns) => Promise<T>): Promise<T> {
  // Its own process group, so that one signal reaches the exporters as well.
  const [file, ...args] = commandOf('test/support/netns/actor-process.ts')
  const child = spawn(file, args, {
    cwd: ROOT,
    detached: true,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const exited = once(child, 'exit')
  try {
    return await use(await openNetns(child))
  } finally {
    await end(child, exited)
  }
}

async function openNetns(child: ChildProcess): Promise<Netns> {
  const pending = new Map<number, (reply: Reply) => void>()
  let lastId = 0

  function expectReply(id: number, what: string, timeoutMs: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => settle({ id, failure: `No answer for ${timeoutMs} ms` }),
        timeoutMs,
      )
      function settle(reply: Reply): void {
        clearTimeout(timer)
        pending.delete(id)
        if (reply.failure === undefined) resolve(reply.result)
        else reject(new Error(`${what} failed in the namespace: ${reply.failure}`))
      }
      pending.set(id, settle)
    })
  }

  child.on('message', (reply: Reply) => pending.get(reply.id)?.(reply))
  child.on('exit', (code, signal) => {
    for (const [id, settle] of pending) settle({ id, failure: `it ended, ${code ?? signal}` })
  })
  await expectReply(0, 'Start', START_MS)

  return {
    pid: child.pid ?? 0,
    call<K extends keyof Operations>(name: K, argument: Argument<K>): Promise<Result<K>> {
      const call: Call = { id: ++lastId, name, argument }
      const result = expectReply(call.id, name, CALL_MS)
      child.send(call, (error) => {
        if (error !== null) pending.get(call.id)?.({ id: call.id, failure: error.message })
      })
      return result as Promise<Result<K>>
    },
  }
}

// Closing the channel ends the actor and its exporters; whatever does not end is killed.
async function end(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  const { pid } = child
  if (child.connected) child.disconnect()
  const kill = setTimeout(() => pid !== undefined && killGroup(pid), END_MS)
  await exited
  clearTimeout(kill)
  if (pid !== undefined) killGroup(pid)
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // ESRCH: all of it has ended already
  }
}
