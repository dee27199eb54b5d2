// Scratch: scenes.
import { execFileSync } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'vitest'
import { type Netns, withNetns } from '../support/netns/actor.ts'
import { readFreshPage } from '../support/netns/actor-page.ts'
import { makeFaster } from '../support/prometheus/rules-faster.ts'
import { readRuleFile } from '../support/prometheus/rules-files.ts'
import { withRulesServer } from '../support/prometheus/rules-server.ts'

const FACTOR = Number(process.env.FACTOR ?? 30)
const SECONDS = Number(process.env.SECONDS_LONG ?? 40)
const BLIND = ['--no-collector.buckets', '--no-collector.failures']
const FLAGS = [
  '--netns=self',
  '--sample.interval=1s',
  '--sample.peak-window=4s',
  '--sample.cpu-budget=1',
]
const N = Number(process.env.PORTS ?? 100)
const CLIENT = '10.79.0.1'
const SRV = '10.79.0.2'

function join(client: Netns, server: Netns): void {
  const [here, there] = [client, server].map(({ pid }) => String(pid)) as [string, string]
  const ip = (...args: readonly string[]) => execFileSync('ip', args, { stdio: 'pipe' })
  ip('link', 'add', 'm0', 'netns', here, 'type', 'veth', 'peer', 'name', 'm1', 'netns', there)
  for (const [pid, device, address] of [
    [here, 'm0', CLIENT],
    [there, 'm1', SRV],
  ] as const) {
    const inside = (...args: readonly string[]) =>
      execFileSync('nsenter', ['-t', pid, '-n', 'ip', ...args], { stdio: 'pipe' })
    inside('addr', 'add', `${address}/24`, 'dev', device)
    for (let more = 10; more < 40; more++)
      inside('addr', 'add', `10.79.0.${device === 'm0' ? more : more + 100}/24`, 'dev', device)
    inside('link', 'set', device, 'up')
  }
}
interface Stage {
  client: Netns
  server: Netns
  dest: (at: number) => Promise<{ to: { address: string; port: number }; listener: number }>
  stop: AbortSignal
  counts: Record<string, number>
}
async function churn(s: Stage, request: any, at: number, perBatch: number, pauseMs: number) {
  const { to, listener } = await s.dest(at)
  while (!s.stop.aborted) {
    const { sockets, locals, refusal } = await s.client.call('open', {
      ...request,
      connect: to,
      count: perBatch,
    })
    s.counts.opened = (s.counts.opened ?? 0) + sockets.length
    if (refusal) s.counts[refusal] = (s.counts[refusal] ?? 0) + 1
    if (sockets.length) {
      const accepted = await s.server.call('accept', { listener, peers: locals })
      await s.client.call('close', { sockets })
      await s.server.call('close', { sockets: accepted })
    }
    if (pauseMs) await delay(pauseMs)
  }
}
async function once(s: Stage, at: number, count: number) {
  const { to, listener } = await s.dest(at)
  const { sockets, locals } = await s.client.call('open', { connect: to, count })
  s.counts.opened = (s.counts.opened ?? 0) + sockets.length
  const accepted = await s.server.call('accept', { listener, peers: locals })
  await s.client.call('close', { sockets })
  await s.server.call('close', { sockets: accepted })
}
async function local(s: Stage, pauseMs: number) {
  const to = { address: '127.0.0.1', port: 7000 }
  const {
    sockets: [listener = -1],
  } = await s.client.call('open', { bind: to, listen: 1000 })
  while (!s.stop.aborted) {
    const { sockets, locals } = await s.client.call('open', { connect: to, count: 1 })
    const accepted = await s.client.call('accept', { listener, peers: locals })
    await s.client.call('close', { sockets })
    await s.client.call('close', { sockets: accepted })
    await delay(pauseMs)
  }
}
async function gone(s: Stage, ports: number, clients: number) {
  const listeners: number[] = []
  for (let at = 0; at < ports; at++) {
    const bind = { address: CLIENT, port: 40_000 + at }
    const {
      sockets: [listener = -1],
    } = await s.client.call('open', { bind, listen: 20 })
    listeners.push(listener)
    const { locals } = await s.server.call('open', { connect: bind, count: clients })
    await s.client.call('accept', { listener, peers: locals })
  }
  await s.client.call('close', { sockets: listeners })
}
const any = { address: CLIENT, port: 0 }
const scenes: Record<
  string,
  {
    sysctls?: Record<string, string | number>
    peer?: Record<string, string | number>
    flags?: string[]
    before?: (s: Stage) => Promise<void>
    play: (s: Stage) => Promise<void>[]
  }
> = {
  noTimestamps: {
    sysctls: { 'net.ipv4.tcp_tw_reuse': 1 },
    peer: { 'net.ipv4.tcp_timestamps': 0 },
    play: (s) => [churn(s, {}, 0, 10, 300)],
  },
  noTimestampsMixed: {
    sysctls: { 'net.ipv4.tcp_tw_reuse': 1 },
    peer: { 'net.ipv4.tcp_timestamps': 0 },
    play: (s) => [churn(s, {}, 0, 10, 300), churn(s, {}, 1, 1, 500), churn(s, {}, 2, 1, 800)],
  },
  noTimestampsTwo: {
    sysctls: { 'net.ipv4.tcp_tw_reuse': 1 },
    peer: { 'net.ipv4.tcp_timestamps': 0 },
    play: (s) => [churn(s, {}, 0, 10, 300), churn(s, {}, 1, 5, 200)],
  },
  bindFirstShort: {
    sysctls: { 'net.ipv4.tcp_tw_reuse': 1 },
    play: (s) => Array.from({ length: 10 }, (_, at) => churn(s, { bind: any }, at, 2, 300)),
  },
  bindFirstShortReuse0: {
    sysctls: { 'net.ipv4.tcp_tw_reuse': 0 },
    play: (s) => Array.from({ length: 10 }, (_, at) => churn(s, { bind: any }, at, 2, 300)),
  },
  bindFirstTwo: {
    play: (s) => [
      (async () => {
        for (const at of [0, 1]) {
          const { to } = await s.dest(at)
          await s.client.call('open', { bind: any, connect: to, count: 50 })
        }
      })(),
    ],
  },
  bindFirstThree: {
    play: (s) => [
      (async () => {
        for (const at of [0, 1, 2]) {
          const { to } = await s.dest(at)
          await s.client.call('open', { bind: any, connect: to, count: 33 })
        }
      })(),
    ],
  },
  bindFirstBefore: {
    before: async (s) => {
      for (const at of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]) {
        const { to } = await s.dest(at)
        await s.client.call('open', { bind: any, connect: to, count: 10 })
      }
    },
    play: () => [],
  },
  bindFirstOneBig: {
    play: (s) => [
      (async () => {
        const { to } = await s.dest(0)
        await s.client.call('open', { bind: any, connect: to, count: 70 })
        for (const at of [1, 2, 3, 4, 5]) {
          const { to } = await s.dest(at)
          await s.client.call('open', { bind: any, connect: to, count: 6 })
        }
      })(),
    ],
  },
  bindHalfPlainHalf: {
    play: (s) => [
      (async () => {
        for (const at of [1, 2, 3, 4, 5]) {
          const { to } = await s.dest(at)
          await s.client.call('open', { bind: any, connect: to, count: 10 })
        }
        const { to } = await s.dest(0)
        await s.client.call('open', { connect: to, count: 60 })
      })(),
    ],
  },
  listenersGone1: { before: (s) => gone(s, 100, 1), play: () => [] },
  listenersGone5: { before: (s) => gone(s, 100, 5), play: () => [] },
  listenersGoneHalf: { before: (s) => gone(s, 60, 1), play: (s) => [churn(s, {}, 0, 10, 300)] },
  lowDemand: {
    sysctls: { 'net.ipv4.tcp_tw_reuse': 1 },
    peer: { 'net.ipv4.tcp_timestamps': 0 },
    play: (s) => [
      (async () => {
        await once(s, 0, 100)
        await churn(s, {}, 0, 1, 300)
      })(),
    ],
  },
  noTsPlusLoopback: {
    sysctls: { 'net.ipv4.tcp_tw_reuse': 1 },
    peer: { 'net.ipv4.tcp_timestamps': 0 },
    play: (s) => [churn(s, {}, 0, 10, 300), local(s, 300)],
  },
  // Healthy
  wideProxy: {
    play: (s) => [
      (async () => {
        for (let at = 0; at < 40; at++) {
          const { to } = await s.dest(at)
          await s.client.call('open', { connect: to, count: Math.round(N / 50) })
        }
        for (let at = 0; at < 10; at++) {
          const { to } = await s.dest(at)
          await s.client.call('open', {
            bind: any,
            bindAddressNoPort: true,
            connect: to,
            count: Math.round(N / 50),
          })
        }
      })(),
    ],
  },
  wideChurnReuse0: {
    sysctls: { 'net.ipv4.tcp_tw_reuse': 0 },
    play: (s) => Array.from({ length: 30 }, (_, at) => churn(s, {}, at, 1, 2500)),
  },
  wideChurnReuse1: {
    sysctls: { 'net.ipv4.tcp_tw_reuse': 1 },
    play: (s) => Array.from({ length: 30 }, (_, at) => churn(s, {}, at, 1, 800)),
  },
  largeChurnReuse0: {
    sysctls: { 'net.ipv4.tcp_tw_reuse': 0 },
    play: (s) =>
      Array.from({ length: 6 }, (_, at) =>
        (async () => {
          await once(s, at, 0.8 * N)
          await delay(1000)
          await churn(s, {}, at, 1, 5000)
        })(),
      ),
  },
  largeBatchesReuse1: {
    sysctls: { 'net.ipv4.tcp_tw_reuse': 1 },
    play: (s) =>
      Array.from({ length: 6 }, (_, at) =>
        (async () => {
          await delay(at * 1500)
          while (!s.stop.aborted) {
            await once(s, at, 0.8 * N)
            await delay(9000)
          }
        })(),
      ),
  },
  rotating: {
    sysctls: { 'net.ipv4.tcp_tw_reuse': 1 },
    play: (s) => [
      (async () => {
        for (let at = 0; !s.stop.aborted; at++) {
          await once(s, at, 0.8 * N)
          await delay(2000)
        }
      })(),
    ],
  },
  livePlusChurn: {
    sysctls: { 'net.ipv4.tcp_tw_reuse': 1 },
    play: (s) => [
      (async () => {
        const { to } = await s.dest(0)
        await s.client.call('open', { connect: to, count: 0.6 * N })
        await churn(s, {}, 0, 2, 50)
      })(),
    ],
  },
  slices: {
    play: (s) => [
      (async () => {
        for (let at = 0; at < 4; at++) {
          const localPortRange = {
            first: 40_000 + (at * N) / 4,
            last: 40_000 + ((at + 1) * N) / 4 - 1,
          }
          for (let to = 0; to < 3; to++) {
            const { to: connect } = await s.dest(to + 3 * at)
            await s.client.call('open', { connect, localPortRange, count: 0.2 * N })
          }
        }
      })(),
    ],
  },
  manyLarge: {
    play: (s) => [
      (async () => {
        for (const at of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) {
          const { to } = await s.dest(at)
          await s.client.call('open', { connect: to, count: 0.75 * N })
        }
      })(),
    ],
  },
  manySources: {
    play: (s) => [
      (async () => {
        const { to } = await s.dest(0)
        for (let at = 10; at < 25; at++) {
          await s.client.call('open', {
            bind: { address: `10.79.0.${at}`, port: 0 },
            bindAddressNoPort: true,
            connect: to,
            count: 0.75 * N,
          })
        }
      })(),
    ],
  },
  manyChurn: {
    sysctls: { 'net.ipv4.tcp_tw_reuse': 1 },
    play: (s) => Array.from({ length: 10 }, (_, at) => churn(s, {}, at, 2, 20)),
  },
  fastOne: { sysctls: { 'net.ipv4.tcp_tw_reuse': 1 }, play: (s) => [churn(s, {}, 0, 5, 60)] },
  fastTwo: {
    sysctls: { 'net.ipv4.tcp_tw_reuse': 1 },
    play: (s) => [churn(s, {}, 0, 5, 60), churn(s, {}, 1, 5, 60), churn(s, {}, 2, 1, 100)],
  },
}
const names = (process.env.SCENES ?? Object.keys(scenes).join()).split(',')
test.for(names)('%s', async (name) => {
  const scene = scenes[name]!
  const ruleFiles = ['alerts.yaml', 'recording.yaml'].map((file) =>
    makeFaster(readRuleFile(file), FACTOR),
  )
  await withNetns((server) =>
    withNetns(async (client) => {
      join(client, server)
      await client.call('setSysctls', {
        'net.ipv4.ip_local_port_range': `40000 ${40_000 + N - 1}`,
        'net.ipv4.tcp_tw_reuse_delay': 1000,
        ...scene.sysctls,
      })
      if (scene.peer) await server.call('setSysctls', scene.peer)
      const dests = new Map<number, any>()
      const dest = async (at: number) => {
        const known = dests.get(at)
        if (known) return known
        const to = { address: SRV, port: 9100 + at }
        const { sockets } = await server.call('open', { bind: to, listen: 60000 })
        const one = { to, listener: sockets[0] ?? -1 }
        dests.set(at, one)
        return one
      }
      const over = new AbortController()
      const stage: Stage = { client, server, dest, stop: over.signal, counts: {} }
      await scene.before?.(stage)
      await client.call('startExporter', { flags: [...FLAGS, ...(scene.flags ?? BLIND)] })
      await withRulesServer(client, { ruleFiles, targetLabels: {} }, async (rules) => {
        await delay(3000)
        const playing = scene.play(stage)
        for (let at = 0; at < SECONDS; at += 5) {
          await delay(5000)
          const page = await readFreshPage(client)
          const v = (n: string, l?: any) => {
            try {
              return page.value(n, l)
            } catch {
              return NaN
            }
          }
          const P = { pool: 'tcp_connect' }
          const alerts = (await rules.listAlerts())
            .filter((a) => a.state === 'firing')
            .map((a) => `${a.labels.alertname}/${a.labels.severity}/${a.labels.pool}`)
          const sum = page
            .list('ephemeral_port_destination_used_ports')
            .reduce((n, s) => n + s.value, 0)
          console.log(
            name,
            at + 5,
            JSON.stringify({
              avail: v('ephemeral_port_pool_available_ports', P),
              unc: v('ephemeral_port_pool_uncertain_ports', P),
              unused: v('ephemeral_port_pool_unused_ports', P),
              recl: v('ephemeral_port_pool_reclaimable_ports', P),
              bindUtil: v('ephemeral_port_pool_utilization_ratio', { pool: 'tcp_bind' }),
              bindPeak: v('ephemeral_port_pool_utilization_peak_ratio', { pool: 'tcp_bind' }),
              opened: v('ephemeral_port_connections_opened_total'),
              recycled: v('ephemeral_port_time_wait_recycled_total'),
              sum,
              used: v('ephemeral_port_used_ports', { protocol: 'tcp' }),
              cause: page
                .list('ephemeral_port_pool_cause_info')
                .map((s) => `${s.labels.pool}=${s.labels.cause}`)
                .join(),
              counts: { ...stage.counts },
            }),
            alerts.join(' '),
          )
        }
        over.abort()
        await Promise.all(playing)
      })
    }),
  )
})
