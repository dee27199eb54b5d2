// What lives on the node of the benchmark: quiet namespaces as a runtime of containers makes them, one that holds very many
// sockets, and the other processes a node has.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { CLONE_NEWNET, check, openLibc } from '../../support/kernel/libc.ts'
import { enterFreshNetns } from '../../support/netns/netns.ts'
import { type Member, type NetnsCrowd, withNetnsCrowd } from '../../support/netns/netns-crowd.ts'
import { type Children, withDeadline } from '../cost/children.ts'
import { openCrowd } from '../cost/crowd.ts'

export const NETNS_DIRECTORY = '/run/netns'
/** Of each quiet namespace, whose 200 sockets are then far below a fifth of it. */
const RANGE_PORTS = 28_000
/** Runtimes and kernel have their threads, and pods more than one process. */
export const OTHER_PROCESSES = 500
/** One process that makes namespaces may open 20,000 descriptors, half a socket each. */
const MAKERS = 2
const CREATE_MS = 120_000

export interface Population {
  /** Makes as many more as are missing, each with so many sockets. */
  grow(namespaces: number, sockets: number): Promise<void>
  clear(): Promise<void>
}

/** NB: to be used in a mount namespace of its own, since it gives the namespaces names. */
export async function withPopulation<T>(use: (population: Population) => Promise<T>): Promise<T> {
  mountTemporary('/run')
  mkdirSync(NETNS_DIRECTORY)
  const sleepers = `for i in $(seq ${OTHER_PROCESSES}); do sleep 3600 & done; wait`
  const others = spawn('sh', ['-c', sleepers], { stdio: 'ignore' })
  try {
    return await withMakers(MAKERS, [], (makers) => use(createPopulation(makers)))
  } finally {
    others.kill('SIGKILL')
  }
}

async function withMakers<T>(
  missing: number,
  makers: readonly NetnsCrowd[],
  use: (makers: readonly NetnsCrowd[]) => Promise<T>,
): Promise<T> {
  if (missing === 0) return use(makers)
  return withNetnsCrowd((maker) => withMakers(missing - 1, [...makers, maker], use))
}

function createPopulation(makers: readonly NetnsCrowd[]): Population {
  const alive = makers.map((): Member[] => [])
  const count = () => alive.reduce((sum, members) => sum + members.length, 0)
  const fileOf = ({ pid }: Member) => `${NETNS_DIRECTORY}/${nameOf(pid)}`

  return {
    async grow(namespaces, sockets) {
      const missing = namespaces - count()
      for (const [index, maker] of makers.entries()) {
        const share =
          Math.floor((missing * (index + 1)) / makers.length) -
          Math.floor((missing * index) / makers.length)
        const order = { count: share, sockets, rangePorts: RANGE_PORTS }
        const made = await withDeadline(maker.create(order), CREATE_MS, 'Making namespaces')
        for (const member of made) {
          writeFileSync(fileOf(member), '')
          run('mount', ['--bind', `/proc/${member.pid}/ns/net`, fileOf(member)])
        }
        alive[index]?.push(...made)
      }
    },
    async clear() {
      for (const [index, maker] of makers.entries()) {
        const members = alive[index]?.splice(0) ?? []
        if (members.length === 0) continue
        run('umount', members.map(fileOf))
        for (const member of members) rmSync(fileOf(member))
        await maker.end(members)
      }
    },
  }
}

/** As CNI calls them. */
function nameOf(pid: number): string {
  return `cni-${pid.toString(16).padStart(8, '0')}-0000-4000-8000-${'0'.repeat(12)}`
}

function mountTemporary(directory: string): void {
  run('mount', ['-t', 'tmpfs', 'tmpfs', directory])
}

function run(command: string, args: readonly string[]): void {
  const { status, error, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`Cannot ${command}: ${error?.message ?? stderr.trim()}`)
}

/**
 * Opens so many sockets, by several processes, in one more namespace: connections and their other ends. Returns a process
 * in it and how many there are by the kernel's count. They end with the children.
 */
export async function openCrowdedNamespace(
  children: Children,
  sockets: number,
): Promise<{ readonly pid: number; readonly sockets: number }> {
  const libc = openLibc()
  const home = openSync('/proc/thread-self/ns/net', 'r')
  enterFreshNetns(libc)
  // What is started from here on begins in it.
  const crowd = await openCrowd(children)
  const inside = children.adopt(spawn('sleep', ['3600'], { stdio: 'ignore' }))
  await crowd.grow(Math.floor(sockets / 2))
  check('return to the first namespace', libc.setns(home, CLONE_NEWNET))
  return { pid: pidOf(inside), sockets: countSockets(pidOf(inside)) }
}

function pidOf({ pid }: ChildProcess): number {
  if (pid === undefined) throw new Error('Cannot start a process')
  return pid
}

function countSockets(pid: number): number {
  const text = readFileSync(`/proc/${pid}/net/sockstat`, 'utf8')
  return Number(/^sockets: used (\d+)$/m.exec(text)?.[1])
}
