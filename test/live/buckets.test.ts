// The collector buckets through the running program: histories that nothing else can tell, and who is permitted to read them.

import { spawnSync } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { whyNoBuckets } from '../kernel/bpf/permitted.ts'
import { type Netns, withNetns } from '../support/netns/actor.ts'
import { readFreshPage } from '../support/netns/actor-page.ts'
import { VETH } from '../support/netns/netns.ts'
import { findFreePort } from '../support/program/free-port.ts'
import { waitFor, withProgram } from '../support/program/program.ts'

const FLAGS = ['--sample.interval=100ms', '--sample.cpu-budget=1', '--detail.min-utilization=0']
const FIRST = 40_000
const CONNECT = { pool: 'tcp_connect' }
const to = { address: '127.0.0.1', port: 8001 }
const other = { address: '127.0.0.1', port: 8002 }
const skipReason = await whyNoBuckets()

/** Runs a program of the machine in the namespace; returns why it failed, or undefined. */
function run({ pid }: Netns, line: string): string | undefined {
  const args = [`--net=/proc/${pid}/ns/net`, ...line.split(' ')]
  const { status, stderr, error } = spawnSync('nsenter', args, { encoding: 'utf8' })
  return status === 0 ? undefined : `${line}: ${error?.message ?? stderr.trim()}`
}

function runAll(netns: Netns, lines: readonly string[]): string | undefined {
  return lines.map((line) => run(netns, line)).find((problem) => problem !== undefined)
}

/** Makes sockets whose history is hidden. Returns why this machine cannot have them. */
type Story = (netns: Netns) => Promise<string | undefined>

const stories: Readonly<Record<string, Story>> = {
  'bind() before connect() to ten destinations': async ({ call }) => {
    for (let port = 8010; port < 8020; port++) {
      const connect = { ...to, port }
      await call('open', { bind: connect, listen: 100 })
      await call('open', { bind: { ...to, port: 0 }, connect, count: 4 })
    }
  },
  'accepted sockets of twenty listeners that have gone': async ({ call }) => {
    for (let at = 0; at < 20; at++) {
      const bind = { ...to, port: FIRST + 3 * at }
      const { sockets } = await call('open', { bind, listen: 5 })
      const { locals } = await call('open', {
        bind: { address: '127.0.0.8', port: 20_000 + at },
        connect: bind,
      })
      await call('accept', { listener: sockets[0] ?? -1, peers: locals })
      await call('close', { sockets })
    }
  },
  'binders that joined shared ports and left': async ({ call }) => {
    const { locals } = await call('open', { connect: to, count: 40, reuseAddress: true })
    for (const { port } of locals.slice(0, 20)) {
      const bind = { address: '127.0.0.99', port }
      await call('close', {
        sockets: (await call('open', { bind, reuseAddress: true })).sockets,
      })
    }
  },
  'further subflows of MPTCP, which the kernel binds first': async (netns) => {
    const { call } = netns
    const problem = runAll(netns, [
      `ip address add 10.9.0.2/24 dev ${VETH}`,
      'ip mptcp limits set subflow 2 add_addr_accepted 2',
      `ip mptcp endpoint add 10.9.0.2 dev ${VETH} subflow`,
    ])
    if (problem !== undefined) return problem
    const server = { address: '10.9.0.1', port: 8003 }
    await call('open', { protocol: 'mptcp', bind: server, listen: 100 })
    const clients = { protocol: 'mptcp', connect: server, count: 10, nonBlocking: true } as const
    const { sockets } = await call('open', clients)
    // Subflows are added once data has been acknowledged.
    await call('stuff', { sockets })
    await delay(300)
    const table = await call('readFile', { path: '/proc/self/net/tcp' })
    const subflows = table.match(/ 0200090A:[0-9A-F]{4} 0100090A:1F43 01 /g)?.length
    return subflows === 10 ? undefined : `10 MPTCP connections have ${subflows} further subflows`
  },
  'what a TPROXY listener accepted for ports of the range': async (netns) => {
    const { call } = netns
    const proxied = { first: FIRST + 61, last: FIRST + 90 }
    const problem = runAll(netns, [
      'ip rule add fwmark 1 lookup 100',
      'ip route add local 0.0.0.0/0 dev lo table 100',
      'nft add table ip t',
      'nft add chain ip t c { type filter hook prerouting priority mangle ; }',
      `nft add rule ip t c ip daddr 127.0.0.5 tcp dport ${proxied.first}-${proxied.last} tproxy to 127.0.0.1:9999 meta mark set 1 accept`,
    ])
    if (problem !== undefined) return problem
    await call('open', { bind: { ...to, port: 9999 }, listen: 100, transparent: true })
    for (let port = proxied.first; port <= proxied.last; port++) {
      const { refusal } = await call('open', {
        bind: { address: '127.0.0.8', port: port - 20_000 },
        connect: { address: '127.0.0.5', port },
      })
      if (refusal !== undefined) return `connect() through TPROXY: ${refusal}`
    }
    return undefined
  },
}

describe('the page is exact, and says so, with', () => {
  test.for(Object.entries(stories))('%s', async ([, story], context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    await withNetns(async (netns) => {
      const { call } = netns
      await call('setSysctls', {
        'net.ipv4.ip_local_port_range': `${FIRST} ${FIRST + 99}`,
        'net.ipv4.tcp_tw_reuse': 0,
      })
      for (const bind of [to, other]) await call('open', { bind, listen: 65_535 })
      const problem = await story(netns)
      if (problem !== undefined) return context.skip(problem)
      await call('startExporter', { flags: FLAGS })
      const page = await readFreshPage(netns)
      expect(page.list('ephemeral_port_source_info')[0]?.labels.exactness).toBe('exact')
      expect(page.value('ephemeral_port_pool_uncertain_ports', CONNECT)).toBe(0)
      const blocked = page
        .list('ephemeral_port_blocked_ports')
        .reduce((sum, { value }) => sum + value, 0)
      const { count, refusal } = await call('fill', { connect: other })
      expect(refusal).toBe('EADDRNOTAVAIL')
      expect(page.value('ephemeral_port_pool_capacity_ports', CONNECT) - blocked).toBe(count)
      expect(page.value('ephemeral_port_scrape_collector_success', { collector: 'buckets' })).toBe(
        1,
      )
    })
  })
})

const NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--no-new-privs']
const withRights = (sets: string) => [
  ...NOBODY,
  ...[`--inh-caps=${sets}`, `--ambient-caps=${sets}`, `--bounding-set=${sets}`],
  ...[process.execPath, 'dist/main.js'],
]

/** What the program says and shows, once it has sampled. */
async function serve(rights: string, flags: readonly string[]) {
  const port = await findFreePort()
  const listen = `--web.listen-address=127.0.0.1:${port}`
  const row = /^ephemeral_port_scrape_collector_success\{collector="buckets"\} (\d)$/m
  return withProgram(
    [
      ...[listen, '--netns=self', '--sample.interval=200ms', '--log.level=debug'],
      ...['--no-collector.failures', ...flags],
    ],
    async (program) => {
      const page = await waitFor(async () => {
        const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
        return / 1\n/.test(text) && text.includes('ephemeral_port_samples_total 3')
          ? text
          : undefined
      })
      const lines = program.stderr().split('\n')
      return {
        success: row.exec(page)?.[1],
        said: lines.filter((line) => /bucket|permitted/.test(line)),
      }
    },
    { command: withRights(rights) },
  )
}

describe('who may not read them', () => {
  const refused = 'bpf: EPERM; CAP_BPF and CAP_PERFMON are missing'

  test('is told so at the level debug, once, and has no collector', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    const { success, said } = await serve('-all', [])
    expect(success).toBeUndefined()
    expect(said).toEqual([expect.stringMatching(/level=debug .*not permitted here/)])
    expect(said[0]).toContain(refused)
  })

  test('is warned, once, where it was asked for by name', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    const { success, said } = await serve('-all', ['--collector.buckets'])
    expect(success).toBe('0')
    expect(said).toEqual([expect.stringMatching(/level=warn .*collector=buckets/)])
    expect(said[0]).toContain(refused)
  })

  test('and who may, without asking, or does not want to', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    expect(await serve('-all,+bpf,+perfmon', [])).toEqual({ success: '1', said: [] })
    const unwanted = await serve('-all,+bpf,+perfmon', ['--no-collector.buckets'])
    expect(unwanted).toEqual({ success: undefined, said: [] })
  })
})
