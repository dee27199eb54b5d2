// The alert about ports in doubt, in reality: outages that no counter and no listing shows must warn, and loads that leave as much
// in doubt and fail nothing must not. A Prometheus server with all rules scrapes an exporter without the rights to read bind
// buckets and to count failures; the durations of the rules are divided by thirty.

import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, type TestContext, test } from 'vitest'
import { type Netns, withNetns } from '../support/netns/actor.ts'
import { readFreshPage } from '../support/netns/actor-page.ts'
import type { OpenRequest } from '../support/netns/actor-sockets.ts'
import { whyNotExact } from '../support/netns/live.ts'
import { joinByVeth } from '../support/netns/veth.ts'
import { hasProgram } from '../support/program/tools.ts'
import { makeFaster } from '../support/prometheus/rules-faster.ts'
import { readRuleFile } from '../support/prometheus/rules-files.ts'
import { type RulesServer, withRulesServer } from '../support/prometheus/rules-server.ts'

const FACTOR = 30
const PORTS = 100
const FIRST = 40_000
const CLIENT = '10.78.0.1'
const SERVER = '10.78.0.2'
const BLIND = ['--no-collector.buckets', '--no-collector.failures']
const FLAGS = [
  ...BLIND,
  '--netns=self',
  '--sample.interval=1s',
  '--sample.peak-window=4s',
  '--sample.cpu-budget=1',
]
const OFTEN = { interval: 500 }
/** Twice what the alert waits for, and more. */
const HEALTHY_MS = 18_000
const CONNECT = { pool: 'tcp_connect' }
const anyPort = { address: CLIENT, port: 0 }

function skipWithout(ctx: TestContext): void {
  const isMissing = ['prometheus', 'nsenter', 'ip'].some((name) => !hasProgram(name))
  if (isMissing && process.env.CI !== 'true') ctx.skip('needs prometheus, nsenter and ip')
  const reason = whyNotExact()
  if (reason !== undefined) ctx.skip(reason)
}

interface Scene {
  readonly client: Netns
  readonly server: Netns
  readonly rules: RulesServer
  /** Connects to a destination that is known by its number and closes first, so that our TIME_WAITs are left. */
  readonly churn: (to: number, request?: OpenRequest) => Promise<void>
  /** Connects to it and stays. */
  readonly hold: (to: number, request: OpenRequest) => Promise<void>
}

type Load = (scene: Scene) => Promise<unknown>

/** Plays a load until `judge` has seen enough. Each call of the load follows the one before. */
async function withLoad(
  {
    sysctls = {},
    peerTimestamps = 1,
    flags = [],
    load,
  }: {
    readonly flags?: readonly string[]
    readonly sysctls?: Readonly<Record<string, number>>
    readonly peerTimestamps?: number
    readonly load: Load
  },
  judge: (scene: Scene) => Promise<void>,
): Promise<void> {
  const ruleFiles = ['alerts.yaml', 'recording.yaml'].map((name) =>
    makeFaster(readRuleFile(name), FACTOR),
  )
  await withNetns((server) =>
    withNetns(async (client) => {
      joinByVeth({ netns: client, address: CLIENT }, { netns: server, address: SERVER })
      const range = `${FIRST} ${FIRST + PORTS - 1}`
      await client.call('setSysctls', { 'net.ipv4.ip_local_port_range': range, ...sysctls })
      await server.call('setSysctls', { 'net.ipv4.tcp_timestamps': peerTimestamps })
      const reach = createPeer(server)
      await client.call('startExporter', { flags: [...FLAGS, ...flags] })
      await withRulesServer(client, { ruleFiles, targetLabels: {} }, async (rules) => {
        await expect.poll(() => rules.query('up == 1'), OFTEN).toHaveLength(1)
        const over = new AbortController()
        const scene: Scene = {
          ...{ client, server, rules },
          churn: async (to, request = {}) => {
            const { connect, listener } = await reach(to)
            const { sockets, locals } = await client.call('open', { ...request, connect })
            const accepted = await server.call('accept', { listener, peers: locals })
            await client.call('close', { sockets })
            await server.call('close', { sockets: accepted })
          },
          hold: async (to, request) => {
            const { connect } = await reach(to)
            await client.call('open', { ...request, connect })
          },
        }
        const playing = (async () => {
          while (!over.signal.aborted) await load(scene)
        })()
        try {
          await Promise.race([judge(scene), playing])
        } finally {
          over.abort()
          await playing
        }
      })
    }),
  )
}

/** Listens wherever it is asked to. */
function createPeer({ call }: Netns) {
  const known = new Map<
    number,
    Promise<{ connect: OpenRequest['connect'] & {}; listener: number }>
  >()
  const listen = async (to: number) => {
    const connect = { address: SERVER, port: 9100 + to }
    const { sockets } = await call('open', { bind: connect, listen: 65_535 })
    return { connect, listener: sockets[0] ?? -1 }
  }
  return (to: number) => {
    const peer = known.get(to) ?? listen(to)
    known.set(to, peer)
    return peer
  }
}

/** Names what fires of a pool of connect(), severity and all. */
async function listFiring({ rules }: Scene): Promise<readonly string[]> {
  const alerts = await rules.listAlerts()
  return alerts
    .filter(({ labels, state }) => state === 'firing' && labels.pool?.startsWith('tcp') === true)
    .map(({ labels }) => `${labels.alertname} ${labels.severity} ${labels.pool}`)
}

/** Of the connections that were opened. */
async function readRecycledShare(client: Netns): Promise<number> {
  const page = await readFreshPage(client)
  return (
    page.value('ephemeral_port_time_wait_recycled_total') /
    page.value('ephemeral_port_connections_opened_total')
  )
}

const WARNING = 'EphemeralPortPoolMayBeFull warning tcp_connect'
const PAGE = 'EphemeralPortExhausted critical tcp_connect'
const RECYCLES = { 'net.ipv4.tcp_tw_reuse': 1 }

/** One load for all destinations at once, then a pause. */
const together =
  (count: number, pauseMs: number, act: (scene: Scene, to: number) => Promise<void>): Load =>
  async (scene) => {
    await Promise.all(Array.from({ length: count }, (_, to) => act(scene, to)))
    await delay(pauseMs)
  }

/** What is done once, and then stays. */
function once(act: Load): Load {
  let isDone = false
  return async (scene) => {
    if (!isDone) await act(scene)
    isDone = true
    await delay(200)
  }
}

describe('warns', () => {
  test.for([
    ['and no other connections', 1],
    ['beside two others that have ports left', 3],
  ] as const)('of TIME_WAITs of a peer without timestamps, %s', async ([, peers], ctx) => {
    skipWithout(ctx)
    // All at once, so that nothing tells before the first of them end.
    const load = together(peers, 300, ({ churn }, to) => churn(to, { count: to === 0 ? PORTS : 1 }))
    await withLoad({ sysctls: RECYCLES, peerTimestamps: 0, load }, async (scene) => {
      const isWarned = async () => {
        const firing = await listFiring(scene)
        // Where connect() passes TIME_WAITs by, the pool is known to be exhausted.
        return firing.includes(WARNING) || firing.includes(PAGE)
      }
      await expect.poll(isWarned, OFTEN).toBe(true)
      const connect = { address: SERVER, port: 9100 }
      const { refusal } = await scene.client.call('open', { connect, count: PORTS })
      expect(refusal).toBe('EADDRNOTAVAIL')
    })
  })

  test('of TIME_WAITs from before our own timestamps were switched on', async (ctx) => {
    skipWithout(ctx)
    const own = 'net.ipv4.tcp_timestamps'
    const load = once(async ({ client, churn }) => {
      await client.call('setSysctls', { [own]: 0 })
      await readFreshPage(client)
      await churn(0, { count: PORTS })
      // How old a TIME_WAIT is can be told to a second.
      await delay(2000)
      await client.call('setSysctls', { [own]: 1 })
    })
    await withLoad({ sysctls: RECYCLES, load }, async (scene) => {
      await expect.poll(() => listFiring(scene), OFTEN).toContain(PAGE)
    })
  })

  test('of connections of listeners that nobody has seen', async (ctx) => {
    skipWithout(ctx)
    const load = once(async ({ client, server }) => {
      const listeners: number[] = []
      for (let port = FIRST; port < FIRST + PORTS; port++) {
        const bind = { address: CLIENT, port }
        const { sockets } = await client.call('open', { bind, listen: 9 })
        const { locals } = await server.call('open', { connect: bind })
        await client.call('accept', { listener: sockets[0] ?? -1, peers: locals })
        listeners.push(...sockets)
      }
      await client.call('close', { sockets: listeners })
    })
    await withLoad({ load }, async (scene) => {
      const isWarned = async () =>
        (await listFiring(scene)).some((one) => /critical|warning/.test(one))
      await expect.poll(isWarned, OFTEN).toBe(true)
    })
  })
})

const healthy: Readonly<
  Record<string, { readonly sysctls?: Record<string, number>; readonly load: Load }>
> = {
  'a proxy with connections to forty destinations': {
    load: once(async (scene) => {
      for (let to = 0; to < 40; to++) await scene.hold(to, { count: 2 })
    }),
  },
  'ten destinations with three quarters of the ports each': {
    load: once(async (scene) => {
      for (let to = 0; to < 10; to++) {
        await scene.hold(to, { bind: anyPort, bindAddressNoPort: true, count: 0.75 * PORTS })
      }
    }),
  },
  'ten destinations whose TIME_WAITs are recycled': {
    sysctls: RECYCLES,
    load: together(10, 20, ({ churn }, to) => churn(to, { count: 2 })),
  },
  'one destination that takes most of the ports each second': {
    sysctls: RECYCLES,
    load: together(1, 60, ({ churn }, to) => churn(to, { count: 5 })),
  },
  'large destinations in TIME_WAIT that share ports': {
    sysctls: { 'net.ipv4.tcp_tw_reuse': 0 },
    load: once(async (scene) => {
      for (let to = 0; to < 6; to++) await scene.churn(to, { count: 0.8 * PORTS })
    }),
  },
}

describe('keeps silent about', () => {
  test.for(Object.entries(healthy))('%s', async ([, one], ctx) => {
    skipWithout(ctx)
    await withLoad(one, async (scene) => {
      // Its first connections take ports that were free, and slowly where the machine is busy: nothing vouches for them.
      if (one.sysctls === RECYCLES)
        await expect.poll(() => readRecycledShare(scene.client), OFTEN).toBeGreaterThan(0.75)
      const until = Date.now() + HEALTHY_MS
      let mostUncertain = 0
      while (Date.now() < until) {
        const page = await readFreshPage(scene.client)
        const uncertain = page.value('ephemeral_port_pool_uncertain_ports', CONNECT)
        mostUncertain = Math.max(mostUncertain, uncertain)
        expect(await listFiring(scene)).not.toContain(WARNING)
        await delay(500)
      }
      // Something was in doubt.
      expect(mostUncertain).toBeGreaterThan(10)
      // And nothing failed.
      const { refusal } = await scene.client.call('open', {
        connect: { address: SERVER, port: 9100 },
      })
      expect(refusal).toBeUndefined()
    })
  })

  test('what nobody sees: without a list of bound sockets nothing is said of doubt', async (ctx) => {
    skipWithout(ctx)
    const load = together(10, 20, ({ churn }, to) => churn(to, { count: 2 }))
    const flags = ['--source=procfs']
    await withLoad({ flags, sysctls: RECYCLES, load }, async (scene) => {
      await delay(HEALTHY_MS)
      const page = await readFreshPage(scene.client)
      expect(page.list('ephemeral_port_pool_uncertain_ports')).toEqual([])
      expect(page.list('ephemeral_port_source_info')[0]?.labels.exactness).toBe('upper_bound')
      expect(await listFiring(scene)).not.toContain(WARNING)
    })
  })
})
