// A resolver chooses a random UDP port for each question, and servers of passive FTP or test runs listen on a port for seconds.
// They are not hundreds of services.

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
/** Bound again and again, each time by another socket. */
const AGAIN = SERVICE - 1
const UDP = { protocol: 'udp' }
const TCP = { protocol: 'tcp' }
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
    let again = (await bind(AGAIN)).sockets
    await call('startExporter', { flags: FLAGS })
    const until = Date.now() + SECONDS * 1000
    let port = FIRST
    for (;;) {
      const asked: number[] = []
      for (let at = 0; at < SOCKETS; at++) {
        port = port + 1 < AGAIN ? port + 1 : FIRST
        asked.push(...(await bind(port)).sockets)
      }
      const page = await readFreshPage(netns)
      expect(page.value('ephemeral_port_used_ports', UDP)).toBe(SOCKETS + 2)
      const known = page.find('ephemeral_port_listeners', UDP)
      const named = page.list('ephemeral_port_listener_info', UDP).map(({ labels }) => labels.port)
      expect({ known, named }).toEqual(
        known === undefined ? { known, named: [] } : { known: 1, named: [String(SERVICE)] },
      )
      await call('close', { sockets: asked })
      await call('close', { sockets: again })
      again = (await bind(AGAIN)).sockets
      if (Date.now() > until) {
        expect(known === undefined).toBe(SECONDS < 60)
        return
      }
      await delay(500)
    }
  })
})

test('TCP ports that are listened on for a moment are no services, whoever chose them', async (context) => {
  const reason = whyNotExact()
  if (reason !== undefined) return context.skip(reason)
  await withNetns(async (netns) => {
    const { call } = netns
    await call('setSysctls', { 'net.ipv4.ip_local_port_range': `${FIRST} ${SERVICE}` })
    const listen = async (port: number, count = 1) =>
      (await call('open', { bind: { address: '0.0.0.0', port }, listen: 5, count })).sockets
    await listen(SERVICE)
    // It tells others which port it has got, and relies on none.
    await listen(0)
    await call('startExporter', { flags: ['--sample.interval=200ms', '--sample.cpu-budget=1'] })
    for (let turn = 0; turn < 8; turn++) {
      const passing = [...(await listen(0, 5))]
      for (let at = 0; at < 3; at++) {
        // Even: the kernel gives bind(0) the odd ones.
        passing.push(...(await listen(FIRST + RANGE_PORTS / 2 + 6 * (3 * turn + at))))
      }
      const page = await readFreshPage(netns)
      const names = page.list('ephemeral_port_listener_info', TCP).map(({ labels }) => labels.port)
      expect(names).toEqual([String(SERVICE)])
      expect(page.value('ephemeral_port_listeners', TCP)).toBe(1)
      // All of them close their ports to connect() meanwhile.
      expect(page.value('ephemeral_port_blocked_ports', { holder: 'listener' })).toBe(10)
      await call('close', { sockets: passing })
    }
  })
})
