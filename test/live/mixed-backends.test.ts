// An address behind which machines with and without TCP timestamps stand. Live connections tell of the ones, and of the others
// only refusals do: what the page says before and after, and what the kernel really grants.

import { afterAll, beforeAll, expect, test } from 'vitest'
import { whyNoBuckets } from '../kernel/bpf/permitted.ts'
import { untilInstance } from '../support/failures/failure-scene.ts'
import { listenTo } from '../support/failures/own-destinations.ts'
import { openTracefs, type TracefsPlace, whyNotTraced } from '../support/failures/tracefs-place.ts'
import { withNetns } from '../support/netns/actor.ts'
import { lookAtConnect } from '../support/netns/actor-page.ts'
import { joinByVeth } from '../support/netns/veth.ts'
import { hasProgram } from '../support/program/tools.ts'

const PORTS = 100
const LIVE = 2
const CLIENT = '10.79.0.1'
const SERVER = { address: '10.79.0.2', port: 9100 }
/** Shorter than a TIME_WAIT. */
const LEARNS_MS = 55_000

const skipReason =
  (await whyNoBuckets()) ?? whyNotTraced() ?? (hasProgram('ip') ? undefined : 'needs ip')
let tracefs: TracefsPlace | undefined

beforeAll(() => {
  if (skipReason === undefined) tracefs = openTracefs()
})
afterAll(() => tracefs?.close())

test('refusals tell of the machines without timestamps', async (context) => {
  if (skipReason !== undefined) return context.skip(skipReason)
  await withNetns((server) =>
    withNetns(async (client) => {
      joinByVeth({ netns: client, address: CLIENT }, { netns: server, address: SERVER.address })
      await client.call('setSysctls', {
        'net.ipv4.ip_local_port_range': `40000 ${40_000 + PORTS - 1}`,
        'net.ipv4.tcp_tw_reuse': 1,
        'net.ipv4.tcp_tw_reuse_delay': 1,
      })
      const listening = await server.call('open', { bind: SERVER, listen: 1000 })
      const listener = listening.sockets[0] ?? -1
      const flags = ['--sample.interval=200ms', '--sample.cpu-budget=1', '--collector.buckets']
      const counting = ['--collector.failures', `--path.tracefs=${tracefs?.place}`]
      const { pid } = await client.call('startExporter', {
        flags: [...flags, ...counting, '--detail.min-utilization=0'],
      })
      // So that no neighbour fills its rings.
      const place = tracefs?.place ?? ''
      listenTo(await untilInstance(place, pid), `dport == ${SERVER.port}`)
      expect(await lookAtConnect(client)).toEqual({
        available: 100,
        uncertain: 0,
        exactness: 'exact',
      })

      await client.call('open', { connect: SERVER, count: LIVE })
      await server.call('setSysctls', { 'net.ipv4.tcp_timestamps': 0 })
      const opened = await client.call('open', { connect: SERVER, count: PORTS - LIVE })
      const accepted = await server.call('accept', { listener, peers: opened.locals })
      await client.call('close', { sockets: opened.sockets })
      await server.call('close', { sockets: accepted })
      const untilMs = Date.now() + LEARNS_MS
      await server.call('setSysctls', { 'net.ipv4.tcp_timestamps': 1 })
      // Nothing has told yet: the page infers from the two that live, and says so.
      await expect
        .poll(() => lookAtConnect(client), { timeout: untilMs - Date.now() })
        .toEqual({ available: PORTS - LIVE, uncertain: 0, exactness: 'inferred' })

      const wanted = { truth: 0, available: 0, uncertain: 0, exactness: 'inferred' }
      const tryOnce = async () => {
        const { count } = await client.call('fill', { connect: SERVER, refusals: 3 })
        return { truth: count, ...(await lookAtConnect(client)) }
      }
      await expect.poll(tryOnce, { timeout: untilMs - Date.now() }).toEqual(wanted)
    }),
  )
})
