// A resolver chooses a random UDP port for each question. It is not hundreds of services.

import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { withNetns } from '../support/netns/actor.ts'
import { readFreshPage } from '../support/netns/actor-page.ts'
import { whyNotExact } from '../support/netns/live.ts'
import { depth } from '../support/program/depth.ts'

const FLAGS = ['--sample.interval=1s', '--sample.cpu-budget=1']
const SOCKETS = 100
const FIRST = 40_000
const RANGE_PORTS = 20_000
const SERVICE = 39_999 + RANGE_PORTS
const UDP = { protocol: 'udp' }
/** A minute and some samples; the short test ends before it is known who is a service. */
const SECONDS = depth(70, 5)

test('random UDP ports that are gone a second later are no services', async (context) => {
  const reason = whyNotExact()
  if (reason !== undefined) return context.skip(reason)
  await withNetns(async (netns) => {
    const { call } = netns
    await call('setSysctls', { 'net.ipv4.ip_local_port_range': `${FIRST} ${SERVICE}` })
    const bind = (port: number) =>
      call('open', { protocol: 'udp', bind: { address: '0.0.0.0', port } })
    await bind(SERVICE)
    await call('startExporter', { flags: FLAGS })
    const until = Date.now() + SECONDS * 1000
    let port = FIRST
    for (;;) {
      const asked: number[] = []
      for (let at = 0; at < SOCKETS; at++) {
        port = port + 1 < SERVICE ? port + 1 : FIRST
        asked.push(...(await bind(port)).sockets)
      }
      const page = await readFreshPage(netns)
      expect(page.value('ephemeral_port_used_ports', UDP)).toBe(SOCKETS + 1)
      const known = page.find('ephemeral_port_listeners', UDP)
      const named = page.list('ephemeral_port_listener_info', UDP).map(({ labels }) => labels.port)
      expect({ known, named }).toEqual(
        known === undefined ? { known, named: [] } : { known: 1, named: [String(SERVICE)] },
      )
      await call('close', { sockets: asked })
      if (Date.now() > until) {
        expect(known === undefined).toBe(SECONDS < 60)
        return
      }
      await delay(500)
    }
  })
})
