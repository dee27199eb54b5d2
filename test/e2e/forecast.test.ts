// The forecast in reality: real connects that leave TIME_WAIT behind, in a range of 2,000 ports. A rate whose TIME_WAIT
// comes to rest below the range is no alert at any time; one that does not is an alert before the kernel first refuses.

import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { listFirings } from '../bench/forecast/pages.ts'
import { type Netns, withNetns } from '../support/netns/actor.ts'
import { parsePage } from '../support/netns/actor-page.ts'
import { whyNotExact } from '../support/netns/live.ts'

const RANGE_PORTS = 2000
const TIME_WAIT_SECONDS = 60
const TICK_MS = 500
/** No more than its worth of connections in one tick. */
const MOST_AT_ONCE_MS = 1000
/** A failure is as likely as not. */
const ALERT_RISK = 0.5
const EVALUATION_SECONDS = 15
/** A little longer than the risk may be absent while chance may hide a trend. */
const PLATEAU_SECONDS = 315
const SERVER = { address: '127.0.0.1', port: 8001 }
/** The exporter sees the quiet pool first, as it does on a host whose load steps up. */
const QUIET_SECONDS = 40

interface Look {
  readonly reading: { readonly atSeconds: number }
  readonly riskRatio: number | undefined
  readonly etaSeconds: number | undefined
  readonly usedRatio: number
}

async function look(netns: Netns, atSeconds: number): Promise<Look> {
  const page = parsePage((await netns.call('get', { path: '/metrics' })).body)
  const pool = { netns: 'self', pool: 'tcp_connect' }
  return {
    reading: { atSeconds },
    riskRatio: page.find('ephemeral_port_exhaustion_risk_ratio', pool),
    etaSeconds: page.find('ephemeral_port_exhaustion_eta_seconds', pool),
    usedRatio: page.value('ephemeral_port_pool_utilization_ratio', pool),
  }
}

/**
 * Connects at that rate, closing each connection at once from the client's side, until the kernel refuses or the time is
 * over. Gives what the exporter said meanwhile, and when the kernel refused, in seconds of the load.
 */
async function churn(
  ratePerSecond: number,
  seconds: number,
): Promise<{ looks: Look[]; refusedAtSeconds: number | undefined; refusal: string | undefined }> {
  return await withNetns(async (netns) => {
    await netns.call('setSysctls', {
      'net.ipv4.ip_local_port_range': `40000 ${40_000 + RANGE_PORTS - 1}`,
      'net.ipv4.tcp_tw_reuse': 0,
    })
    const server = await netns.call('open', { bind: SERVER, listen: 1000 })
    const [listener = -1] = server.sockets
    await netns.call('startExporter', { flags: [] })
    await delay(QUIET_SECONDS * 1000)

    const looks: Look[] = []
    let start = performance.now()
    let opened = 0
    for (;;) {
      // A machine that stalls is not caught up with, which would be a real surge: the load stands still as long.
      const reachedAt = start + (opened / ratePerSecond) * 1000
      start += Math.max(0, performance.now() - reachedAt - MOST_AT_ONCE_MS)
      const atSeconds = (performance.now() - start) / 1000
      if (atSeconds > seconds) return { looks, refusedAtSeconds: undefined, refusal: undefined }
      const count = Math.max(0, Math.round(ratePerSecond * atSeconds) - opened)
      opened += count
      const { sockets, locals, refusal } = await netns.call('open', { connect: SERVER, count })
      if (refusal !== undefined) return { looks, refusedAtSeconds: atSeconds, refusal }
      const accepted = await netns.call('accept', { listener, peers: locals })
      await netns.call('close', { sockets })
      await netns.call('close', { sockets: accepted })
      looks.push(await look(netns, atSeconds))
      await delay(TICK_MS)
    }
  })
}

describe.concurrent('the forecast through the running exporter', () => {
  test('does not alert while TIME_WAIT climbs to a plateau of 75 %', {
    timeout: 600_000,
  }, async (ctx) => {
    const reason = whyNotExact()
    if (reason !== undefined) ctx.skip(reason)
    const rate = (0.75 * RANGE_PORTS) / TIME_WAIT_SECONDS
    const { looks, refusedAtSeconds } = await churn(rate, PLATEAU_SECONDS)
    ctx.expect(refusedAtSeconds).toBeUndefined()
    ctx.expect(listFirings(looks, EVALUATION_SECONDS, PLATEAU_SECONDS)).toEqual([])
    // It was a plateau, and the exporter knew what it was looking at.
    const last = looks.at(-1)
    ctx.expect(last?.usedRatio).toBeGreaterThan(0.65)
    ctx.expect(last?.usedRatio).toBeLessThan(0.85)
    ctx.expect(last?.riskRatio).toBeDefined()
  })

  test('alerts before the first EADDRNOTAVAIL when TIME_WAIT has no room to come to rest', {
    timeout: 600_000,
  }, async (ctx) => {
    const reason = whyNotExact()
    if (reason !== undefined) ctx.skip(reason)
    const rate = (1.5 * RANGE_PORTS) / TIME_WAIT_SECONDS
    const { looks, refusedAtSeconds, refusal } = await churn(rate, 150)
    ctx.expect(refusal).toBe('EADDRNOTAVAIL')
    const alert = looks.find(({ riskRatio }) => (riskRatio ?? 0) >= ALERT_RISK)
    ctx.expect(alert, 'no alert at all').toBeDefined()
    // Half of the climb is left when it comes, and it says so.
    const left = (refusedAtSeconds ?? 0) - (alert?.reading.atSeconds ?? 0)
    ctx.expect(left).toBeGreaterThan(0.5 * (refusedAtSeconds ?? 0))
    ctx.expect(alert?.etaSeconds).toBeDefined()
    expect(looks.length).toBeGreaterThan(10)
  })
})
