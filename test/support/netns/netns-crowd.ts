// Many throwaway network namespaces at once: how many -> that many, each with a process in it.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { commandOf } from '../program/scene-programs.ts'
import type { CreateOrder, CrowdOrder, CrowdReply, Member } from './netns-crowd-process.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const PROGRAM = 'test/support/netns/netns-crowd-process.ts'

const DEFAULTS: CreateOrder = {
  kind: 'create',
  count: 1,
  sockets: 0,
  firstPort: 20_000,
  rangePorts: 1000,
}

export type { Member }

export interface NetnsCrowd {
  create(order: Partial<Omit<CreateOrder, 'kind'>>): Promise<readonly Member[]>
  createOne(order: Partial<Omit<CreateOrder, 'kind' | 'count'>>): Promise<Member>
  /** Ends the processes, and with them their namespaces. */
  end(members: readonly Member[]): Promise<void>
}

/** Leaves no namespace behind, whatever happens. `command` starts the program that follows it. */
export async function withNetnsCrowd<T>(
  use: (crowd: NetnsCrowd) => Promise<T>,
  command: readonly string[] = [],
): Promise<T> {
  const [file = '', ...args] = [...command, ...commandOf(PROGRAM)]
  const child = spawn(file, args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const exited = once(child, 'exit')
  try {
    return await use({
      create: (order) => send(child, { ...DEFAULTS, ...order }),
      async createOne(order) {
        const [made] = await send(child, { ...DEFAULTS, ...order, count: 1 })
        if (made === undefined) throw new Error('No namespace was made')
        return made
      },
      end: async (members) => {
        await send(child, { kind: 'end', pids: members.map(({ pid }) => pid) })
      },
    })
  } finally {
    if (child.connected) child.disconnect()
    await exited
  }
}

async function send(child: ChildProcess, order: CrowdOrder): Promise<readonly Member[]> {
  const waiting = new AbortController()
  const answers = ['message', 'exit'].map((event) => once(child, event, waiting))
  try {
    child.send(order)
    const [answer] = await Promise.race(answers)
    const ended = typeof answer !== 'object' || answer === null
    const reply: CrowdReply = ended ? { failure: 'the process that makes them ended' } : answer
    if ('failure' in reply) throw new Error(`Cannot ${order.kind} namespaces: ${reply.failure}`)
    return reply.members
  } finally {
    waiting.abort()
    // Whichever lost the race is refused now: that is of no interest.
    await Promise.allSettled(answers)
  }
}
