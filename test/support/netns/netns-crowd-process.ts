// Many network namespaces, each with one sleeping process and some sockets: orders over IPC -> namespaces. The sleepers
// end with this process, and it with its parent. Started by netns-crowd.ts.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync, statSync, writeFileSync } from 'node:fs'
import { AF, CLONE_NEWNET, check, openLibc, SOCK } from '../kernel/libc.ts'
import { bringUp, unshareNetns } from './netns.ts'

export interface Member {
  /** Of the process that sleeps in it. */
  readonly pid: number
  /** Of its /proc/<pid>/ns/net. */
  readonly inode: number
  readonly range: readonly [number, number]
}

export interface CreateOrder {
  readonly kind: 'create'
  readonly count: number
  /** Sockets of each, half of them with a port of its range: connections and their other ends. */
  readonly sockets: number
  /** Where the port range of each begins. */
  readonly firstPort: number
  /** Size of that of the first; each has two ports more than the one before. */
  readonly rangePorts: number
}

export type CrowdOrder = CreateOrder | { readonly kind: 'end'; readonly pids: readonly number[] }
export type CrowdReply = { readonly members: readonly Member[] } | { readonly failure: string }

const SERVER = { address: '127.0.0.1', port: 9_000 }

const libc = openLibc()
libc.setDescriptorLimit(20_000)
const home = openSync('/proc/self/ns/net', 'r')
const alive = new Map<number, { readonly child: ChildProcess; readonly fds: readonly number[] }>()

function create({ count, sockets, firstPort, rangePorts }: CreateOrder): Member[] {
  const members: Member[] = []
  try {
    for (let index = 0; index < count; index++) {
      unshareNetns(libc)
      bringUp(libc, 'lo')
      const range = [firstPort, firstPort + rangePorts + 2 * index - 1] as const
      writeFileSync('/proc/sys/net/ipv4/ip_local_port_range', range.join(' '))
      const fds = openConnections(Math.floor(sockets / 2))
      // libuv forks in the calling thread, so the child begins in its namespace.
      const child = spawn('sleep', ['3600'], { stdio: 'ignore' })
      const { pid = 0 } = child
      alive.set(pid, { child, fds })
      members.push({ pid, inode: statSync('/proc/self/ns/net').ino, range })
    }
  } finally {
    check('return to the first namespace', libc.setns(home, CLONE_NEWNET))
  }
  return members
}

/** Their other ends stay in the listener's queue. */
function openConnections(count: number): number[] {
  if (count === 0) return []
  const open = () => check('open a socket', libc.socket(AF.inet, SOCK.stream | SOCK.closeOnExec, 0))
  const listener = open()
  check('bind', libc.bind(listener, SERVER))
  check('listen', libc.listen(listener, count))
  const fds = Array.from({ length: count }, () => {
    const fd = open()
    check('connect', libc.connect(fd, SERVER))
    return fd
  })
  return [listener, ...fds]
}

async function end(pids: readonly number[]): Promise<void> {
  for (const pid of pids) {
    const member = alive.get(pid)
    if (member === undefined) continue
    alive.delete(pid)
    const gone = once(member.child, 'exit')
    member.child.kill('SIGKILL')
    await gone
    for (const fd of member.fds) libc.close(fd)
  }
}

async function obey(order: CrowdOrder): Promise<CrowdReply> {
  try {
    if (order.kind === 'create') return { members: create(order) }
    await end(order.pids)
    return { members: [] }
  } catch (error) {
    return { failure: error instanceof Error ? error.message : String(error) }
  }
}

process.on('message', async (order: CrowdOrder) => {
  const reply = await obey(order)
  process.send?.(reply)
})
process.on('disconnect', async () => {
  await end([...alive.keys()])
  process.exit()
})
