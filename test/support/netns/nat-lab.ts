// The NAT lab: three namespaces, clients (10.77.1.0/24) -> NAT (10.77.2.1 and .9) -> server (10.77.2.2 and .3), made with
// iproute2 and nft, and a process in each.

import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import type { NodeExporter } from '../program/node-page.ts'
import { commandOf } from '../program/scene-programs.ts'
import { hasProgram } from '../program/tools.ts'
import type { Page } from './actor-page.ts'
import { whyNotLive } from './live.ts'
import type { Peer, PeerOperations, Wanted } from './nat-peer.ts'
import { listLimitsByRows, TCP_ROWS } from './netns.ts'

export type { Peer, Wanted }

export interface NatLab {
  /** What the exporter calls the namespace that translates. */
  readonly netns: string
  /** What it calls that of the clients. */
  readonly clientNetns: string
  readonly client: PeerProcess
  readonly nat: PeerProcess
  readonly server: PeerProcess
  /** Starts another process among the clients. */
  startClient(): Promise<PeerProcess>
  /** Loads these rules in place of all others, and forgets all entries. */
  rules(text: string): void
  /** Runs a program in the namespace that translates. */
  inNat(file: string, ...args: readonly string[]): string
}

export interface PeerProcess {
  readonly pid: number
  call<K extends keyof PeerOperations>(
    name: K,
    argument: Parameters<PeerOperations[K]>[0],
  ): Promise<Awaited<ReturnType<PeerOperations[K]>>>
}

const CLIENT_ADDRESSES = 30
/** No UDP entry ends by itself while a test looks at it. */
const KEEP_DATAGRAMS = ['udp_timeout', 'udp_timeout_stream'].map(
  (name) => `net.netfilter.nf_conntrack_${name}=600`,
)
/** Flags of an exporter that looks at every NAT all the time. */
export const NAT_FLAGS = [
  '--sample.interval=250ms',
  '--sample.cpu-budget=1',
  '--detail.min-utilization=0',
]
/** The lab's server at the port that tests have it serve. */
export const SERVER: Peer = { address: '10.77.2.2', port: 9001 }
export const NAT_ADDRESSES = ['10.77.2.1', '10.77.2.9'] as const

/** The reason for `ctx.skip(reason)`, or undefined where the lab can be made. */
export function whyNoNatLab(): string | undefined {
  const reason = whyNotLive()
  if (reason !== undefined) return reason
  const missing = ['nft', 'conntrack', 'ip', 'unshare', 'sysctl'].filter(
    (name) => !hasProgram(name),
  )
  return missing.length === 0 ? undefined : `needs ${missing.join(', ')}`
}

/** Makes the lab, lets `use` work in it, and takes it away whatever happens. */
export async function withNatLab<T>(use: (lab: NatLab) => Promise<T>): Promise<T> {
  const prefix = `natlab-${randomBytes(3).toString('hex')}`
  const [c, n, s] = ['c', 'n', 's'].map((name) => `${prefix}-${name}`) as [string, string, string]
  const processes: ChildProcess[] = []
  const start = async (name: string) => {
    const command = commandOf('test/support/netns/nat-peer.ts')
    const child = spawn('ip', ['netns', 'exec', name, ...command], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    processes.push(child)
    return openPeer(child)
  }
  const inNat = (file: string, ...args: readonly string[]) =>
    execFileSync('ip', ['netns', 'exec', n, file, ...args], { encoding: 'utf8', stdio: 'pipe' })
  try {
    build(c, n, s)
    const [client, nat, server] = await Promise.all([start(c), start(n), start(s)])
    return await use({
      netns: `named/${n}`,
      clientNetns: `named/${c}`,
      client,
      nat,
      server,
      startClient: () => start(c),
      inNat,
      rules(text) {
        const input = `flush ruleset\n${text}`
        execFileSync('ip', ['netns', 'exec', n, 'nft', '-f', '-'], { input, stdio: 'pipe' })
        spawnSync('ip', ['netns', 'exec', n, 'conntrack', '-F'], { stdio: 'ignore' })
        inNat('sysctl', '-qw', ...KEEP_DATAGRAMS)
      },
    })
  } finally {
    for (const child of processes) child.kill('SIGKILL')
    for (const name of [c, n, s]) spawnSync('ip', ['netns', 'del', name], { stdio: 'ignore' })
  }
}

/** Adds namespaces from one whose children get small tables of TCP sockets, where the kernel can: `TCP_ROWS` says why. */
const ADD = `echo ${TCP_ROWS} 2>/dev/null >/proc/sys/net/ipv4/tcp_child_ehash_entries
for name; do ip netns add "$name" || exit; done`

function build(c: string, n: string, s: string): void {
  execFileSync('unshare', ['--net', 'sh', '-c', ADD, 'sh', c, n, s], { stdio: 'pipe' })
  const link = (one: string, a: string, other: string, b: string) =>
    `link add ${one} netns ${a} type veth peer name ${other} netns ${b}`
  batch([], [link('c0', c, 'n0', n), link('s0', s, 'n1', n)])
  const up = (...devices: readonly string[]) => devices.map((device) => `link set ${device} up`)
  const add = (device: string, addresses: readonly string[]) =>
    addresses.map((address) => `addr add ${address}/24 dev ${device}`)
  const clients = clientPeers(CLIENT_ADDRESSES).map(({ address }) => address)
  const route = 'route add default via 10.77.1.1'
  batch(['-n', c], [...up('lo', 'c0'), ...add('c0', clients), route])
  batch(
    ['-n', n],
    [...up('lo', 'n0', 'n1'), ...add('n0', ['10.77.1.1']), ...add('n1', NAT_ADDRESSES)],
  )
  batch(['-n', s], [...up('lo', 's0'), ...add('s0', ['10.77.2.2', '10.77.2.3'])])
  const set = (name: string, ...values: readonly string[]) =>
    execFileSync('ip', ['netns', 'exec', name, 'sysctl', '-qw', ...values], { stdio: 'pipe' })
  const limits = listLimitsByRows().map(({ name, value }) => `net.ipv4.${name}=${value}`)
  for (const name of [c, n, s]) set(name, ...limits)
  set(n, 'net.ipv4.ip_forward=1')
  set(s, 'net.core.somaxconn=65535', 'net.ipv4.tcp_max_syn_backlog=65535')
}

/** Commands of ip(8), all by one process. */
function batch(options: readonly string[], commands: readonly string[]): void {
  const input = commands.join('\n')
  execFileSync('ip', [...options, '-batch', '-'], { input, stdio: 'pipe' })
}

let lastClient = 0

/** So many addresses and ports of clients, none of them twice in 1,500,000. */
export function clientPeers(count: number): Peer[] {
  return Array.from({ length: count }, () => {
    const at = lastClient++
    return {
      address: `10.77.1.${2 + (at % CLIENT_ADDRESSES)}`,
      port: 10_000 + (Math.floor(at / CLIENT_ADDRESSES) % 50_000),
    }
  })
}

async function openPeer(child: ChildProcess): Promise<PeerProcess> {
  const pending = new Map<number, (reply: { result?: unknown; failure?: string }) => void>()
  let lastId = 0
  await new Promise<void>((resolve, reject) => {
    pending.set(0, () => resolve())
    child.on('message', (reply: { id: number; result?: unknown; failure?: string }) =>
      pending.get(reply.id)?.(reply),
    )
    child.on('exit', (code) => {
      reject(new Error(`The process in the lab ended: ${code}`))
      for (const settle of pending.values()) settle({ failure: `it ended, ${code}` })
    })
  })
  return {
    pid: child.pid ?? 0,
    call: (name, argument) =>
      new Promise((resolve, reject) => {
        const id = ++lastId
        pending.set(id, ({ result, failure }) => {
          pending.delete(id)
          if (failure === undefined) resolve(result as never)
          else reject(new Error(`${name} failed in the lab: ${failure}`))
        })
        child.send({ id, name, argument })
      }),
  }
}

/** The page of a listing that began after this call. */
export async function readFreshNat({ until }: NodeExporter, netns: string): Promise<Page> {
  const name = 'ephemeral_port_nat_last_read_timestamp_seconds'
  let after = Date.now() / 1000
  for (let listing = 0; listing < 2; listing++) {
    after = await until((page) => {
      const at = page.find(name, { netns }) ?? 0
      return at > after ? at : undefined
    })
  }
  return until((page) => ((page.find(name, { netns }) ?? 0) >= after ? page : undefined))
}
