// The forecast in reality, for loads that once fooled it: many destinations, a collector, a pool of connections that fills to
// its cap, and a ramp with noise. Real connects in namespaces with small ranges, judged as the shipped page judges.

import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { createNoise } from '../bench/forecast/family.ts'
import { type Firing, listFirings } from '../bench/forecast/pages.ts'
import { createRandom } from '../bench/forecast/random.ts'
import { type Netns, withNetns } from '../support/netns/actor.ts'
import { parsePage } from '../support/netns/actor-page.ts'
import { whyNotExact } from '../support/netns/live.ts'

const PORT = 8001
const TICK_MS = 500
/** What a machine that stalls has missed beyond that is not caught up with: it would be a real surge. */
const MOST_AT_ONCE_SECONDS = 1
const EVALUATION_SECONDS = 15
/** For so long the risk may be absent while chance may hide a trend. */
const LEARN_SECONDS = 300

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
  readonly pages: readonly Firing[]
  readonly highestUtilization: number
  /** Looks without a risk, when there must be one. */
  readonly unknown: number
}

async function run(load: Load): Promise<Outcome> {
  return await withNetns(async (netns) => {
    await netns.call('setSysctls', {
      'net.ipv4.ip_local_port_range': `40000 ${40_000 + load.ports - 1}`,
      'net.ipv4.tcp_tw_reuse': 0,
    })
    const listeners: number[] = []
    for (let i = 0; i < load.destinations; i++) {
      const bind = { address: takeAddress(i), port: PORT }
      listeners.push(...(await netns.call('open', { bind, listen: 1000 })).sockets)
    }
    await netns.call('startExporter', { flags: [] })
    const looks: Parameters<typeof listFirings>[0][number][] = []
    const open: { ours: number; theirs: number }[] = []
    let refusedAtSeconds: number | undefined
    let [due, last, next, highestUtilization] = [0, 0, 0, 0]
    const start = performance.now()
    while (last < load.seconds && refusedAtSeconds === undefined) {
      const now = (performance.now() - start) / 1000
      due += load.rate(now, open.length) * Math.min(MOST_AT_ONCE_SECONDS, now - last)
      last = now
      const counts = new Array<number>(load.destinations).fill(0)
      for (; due >= 1; due--, next++) {
        const index = next % load.destinations
        counts[index] = (counts[index] ?? 0) + 1
      }
      // All at once, or a hundred round trips would take as long as what they load.
      const opened = await Promise.all(
        counts.map(async (count, index) =>
          count === 0
            ? undefined
            : await connect(netns, {
                address: takeAddress(index),
                count,
                listener: listeners[index] ?? -1,
              }),
        ),
      )
      for (const one of opened) {
        if (one?.refused) refusedAtSeconds = now
        open.push(...(one?.pairs ?? []))
      }
      if (load.closes === 'at once' || load.closes(now)) {
        await closeAll(netns, open, load.peerCloses)
      }

      const page = parsePage((await netns.call('get', { path: '/metrics' })).body)
      const pool = { netns: 'self', pool: 'tcp_connect' }
      const usedRatio = page.value('ephemeral_port_pool_utilization_ratio', pool)
      looks.push({
        reading: { atSeconds: now },
        usedRatio,
        riskRatio: page.find('ephemeral_port_exhaustion_risk_ratio', pool),
        etaSeconds: page.find('ephemeral_port_exhaustion_eta_seconds', pool),
      })
      highestUtilization = Math.max(highestUtilization, usedRatio)
      await delay(TICK_MS)
    }
    return {
      refusedAtSeconds,
      pages: listFirings(looks, EVALUATION_SECONDS, last),
      highestUtilization,
      unknown: looks.filter(
        ({ reading, riskRatio }) =>
          reading.atSeconds > LEARN_SECONDS + EVALUATION_SECONDS && riskRatio === undefined,
      ).length,
    }
  })
}

/** Both ends of a connection, as the namespace names them. */
interface Pair {
  readonly ours: number
  readonly theirs: number
}

const takeAddress = (index: number) => `127.0.1.${1 + index}`

async function connect(
  netns: Netns,
  to: { readonly address: string; readonly listener: number; readonly count: number },
): Promise<{ readonly pairs: readonly Pair[]; readonly refused: boolean }> {
  const { address, listener, count } = to
  const { sockets, locals, refusal } = await netns.call('open', {
    connect: { address, port: PORT },
    count,
  })
  const accepted = await netns.call('accept', { listener, peers: locals })
  const pairs = sockets.map((ours, i) => ({ ours, theirs: accepted[i] ?? -1 }))
  return { pairs, refused: refusal !== undefined }
}

async function closeAll(netns: Netns, open: Pair[], peerCloses: boolean): Promise<void> {
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
    ctx.expect(outcome.unknown).toBe(0)
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
    ctx.expect(outcome.pages.filter(({ toSeconds }) => toSeconds > 270)).toEqual([])
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
    ctx.expect(outcome.pages.filter(({ toSeconds }) => toSeconds > 240)).toEqual([])
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
    // The page is there, has not ended, and has been there for a while.
    const page = outcome.pages.at(-1)
    ctx
      .expect(page?.toSeconds)
      .toBeGreaterThanOrEqual((outcome.refusedAtSeconds ?? 0) - EVALUATION_SECONDS)
    ctx
      .expect((outcome.refusedAtSeconds ?? 0) - (page?.fromSeconds ?? Number.POSITIVE_INFINITY))
      .toBeGreaterThan(60)
  })
})
