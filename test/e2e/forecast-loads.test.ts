// The forecast in reality, for loads that once fooled it: many destinations, a collector, a pool of connections that fills to
// its cap, and a ramp with noise. Real connects in namespaces with small ranges, judged as the shipped page judges.

import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { createNoise } from '../bench/forecast/family.ts'
import { createRandom } from '../bench/forecast/random.ts'
import { type Netns, withNetns } from '../support/netns/actor.ts'
import { parsePage } from '../support/netns/actor-page.ts'
import { whyNotExact } from '../support/netns/live.ts'

const PORT = 8001
const TICK_MS = 500
/** What a machine that stalls has missed beyond that is not caught up with: it would be a real surge. */
const MOST_AT_ONCE_SECONDS = 1
const PAGE = { risk: 0.5, etaSeconds: 900, seconds: 60 }

interface Load {
  readonly ports: number
  readonly destinations: number
  readonly seconds: number
  /** Connections per second to all destinations together, when so many are open. */
  readonly rate: (atSeconds: number, open: number) => number
  /** Whether all that is open is closed now; 'at once' closes each connection as soon as it is there. */
  readonly closes: 'at once' | ((atSeconds: number) => boolean)
  /** The peer closes first, and no TIME_WAIT is left with us. */
  readonly peerCloses: boolean
}

interface Outcome {
  readonly refusedAtSeconds: number | undefined
  /** When the shipped rule would have fired, in seconds of the load. */
  readonly pages: readonly number[]
  readonly highestUtilization: number
  readonly knownShare: number
}

async function run(load: Load): Promise<Outcome> {
  return await withNetns(async (netns) => {
    await netns.call('setSysctls', {
      'net.ipv4.ip_local_port_range': `40000 ${40_000 + load.ports - 1}`,
      'net.ipv4.tcp_tw_reuse': 0,
    })
    const server = await netns.call('open', {
      bind: { address: '0.0.0.0', port: PORT },
      listen: 1000,
    })
    const [listener = -1] = server.sockets
    await netns.call('startExporter', { flags: [] })
    const pages: number[] = []
    const open: { ours: number; theirs: number }[] = []
    let [refusedAtSeconds, dangerSince] = [undefined, undefined] as (number | undefined)[]
    let [due, last, next, highestUtilization, known, looks] = [0, 0, 0, 0, 0, 0]
    const start = performance.now()
    while (last < load.seconds && refusedAtSeconds === undefined) {
      const now = (performance.now() - start) / 1000
      due += load.rate(now, open.length) * Math.min(MOST_AT_ONCE_SECONDS, now - last)
      last = now
      for (; due >= 1 && refusedAtSeconds === undefined; next++) {
        const count = load.destinations > 1 ? 1 : Math.floor(due)
        due -= count
        const address = `127.0.1.${1 + (next % load.destinations)}`
        const { sockets, locals, refusal } = await netns.call('open', {
          connect: { address, port: PORT },
          count,
        })
        if (refusal !== undefined) refusedAtSeconds = now
        const accepted = await netns.call('accept', { listener, peers: locals })
        sockets.forEach((ours, i) => {
          open.push({ ours, theirs: accepted[i] ?? -1 })
        })
        if (load.closes === 'at once') await closeAll(netns, open, load.peerCloses)
      }
      if (load.closes !== 'at once' && load.closes(now))
        await closeAll(netns, open, load.peerCloses)

      const page = parsePage((await netns.call('get', { path: '/metrics' })).body)
      const pool = { netns: 'self', pool: 'tcp_connect' }
      const risk = page.find('ephemeral_port_exhaustion_risk_ratio', pool)
      const eta = page.find('ephemeral_port_exhaustion_eta_seconds', pool)
      highestUtilization = Math.max(
        highestUtilization,
        page.value('ephemeral_port_pool_utilization_ratio', pool),
      )
      looks++
      if (risk !== undefined) known++
      const danger = (risk ?? 0) >= PAGE.risk && (eta ?? Number.POSITIVE_INFINITY) < PAGE.etaSeconds
      if (!danger) dangerSince = undefined
      else dangerSince ??= now
      if (dangerSince !== undefined && now - dangerSince >= PAGE.seconds) pages.push(now)
      await delay(TICK_MS)
    }
    return { refusedAtSeconds, pages, highestUtilization, knownShare: known / looks }
  })
}

async function closeAll(
  netns: Netns,
  open: { ours: number; theirs: number }[],
  peerCloses: boolean,
): Promise<void> {
  const sockets = open.splice(0)
  const ours = { sockets: sockets.map((one) => one.ours) }
  const theirs = { sockets: sockets.map((one) => one.theirs) }
  await netns.call('close', peerCloses ? theirs : ours)
  await netns.call('close', peerCloses ? ours : theirs)
}

describe.concurrent('the forecast of real loads', () => {
  test('pages for none of 80 steady destinations at 45 % of 300 ports', {
    timeout: 900_000,
  }, async (ctx) => {
    const reason = whyNotExact()
    if (reason !== undefined) ctx.skip(reason)
    const outcome = await run({
      ports: 300,
      destinations: 80,
      seconds: 480,
      rate: () => (80 * 0.45 * 300) / 61,
      closes: 'at once',
      peerCloses: false,
    })
    ctx.expect(outcome.refusedAtSeconds).toBeUndefined()
    ctx.expect(outcome.highestUtilization).toBeGreaterThan(0.3)
    ctx.expect(outcome.pages).toEqual([])
    ctx.expect(outcome.knownShare).toBeGreaterThan(0.5)
  })

  test('pages for no collector that has closed its sockets again and again at 82 % of 400 ports', {
    timeout: 900_000,
  }, async (ctx) => {
    const reason = whyNotExact()
    if (reason !== undefined) ctx.skip(reason)
    let cycle = 0
    const outcome = await run({
      ports: 400,
      destinations: 1,
      seconds: 600,
      rate: () => (0.82 * 400) / 90,
      closes: (at) => {
        if (Math.floor(at / 90) === cycle) return false
        cycle = Math.floor(at / 90)
        return true
      },
      peerCloses: true,
    })
    ctx.expect(outcome.refusedAtSeconds).toBeUndefined()
    ctx.expect(outcome.highestUtilization).toBeGreaterThan(0.7)
    // The first piles look like a leak, and nobody can know that they are none.
    ctx.expect(outcome.pages.filter((at) => at > 270)).toEqual([])
  })

  test('lets a pool of connections fill to its cap of 90 % of 4,000 ports, once it bends', {
    timeout: 900_000,
  }, async (ctx) => {
    const reason = whyNotExact()
    if (reason !== undefined) ctx.skip(reason)
    const cap = 0.9 * 4000
    const outcome = await run({
      ports: 4000,
      destinations: 1,
      seconds: 420,
      rate: (_, open) => Math.max(0, cap - open) / 60,
      closes: () => false,
      peerCloses: true,
    })
    ctx.expect(outcome.refusedAtSeconds).toBeUndefined()
    ctx.expect(outcome.highestUtilization).toBeGreaterThan(0.85)
    ctx.expect(outcome.pages.filter((at) => at > 240)).toEqual([])
  })

  test('pages before a ramp with 5 % of noise takes the last of 4,000 ports', {
    timeout: 900_000,
  }, async (ctx) => {
    const reason = whyNotExact()
    if (reason !== undefined) ctx.skip(reason)
    const noise = createNoise(createRandom('ramp'), {
      deviation: 0.05,
      correlationSeconds: 60,
      seconds: 900,
    })
    const outcome = await run({
      ports: 4000,
      destinations: 1,
      seconds: 780,
      rate: (at) => ((0.3 + 0.08 * (at / 60)) * 4000 * noise(at)) / 61,
      closes: 'at once',
      peerCloses: false,
    })
    expect(outcome.refusedAtSeconds).toBeDefined()
    const [first = Number.POSITIVE_INFINITY] = outcome.pages
    ctx.expect((outcome.refusedAtSeconds ?? 0) - first).toBeGreaterThan(60)
  })
})
