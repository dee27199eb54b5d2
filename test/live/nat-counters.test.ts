// What the counters alone say of a NAT whose range is full, without the right to list conntrack: a range of 100 ports with
// as many entries, of IPv4 and of IPv6.

import { execFileSync } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import {
  clientPeers,
  type NatLab,
  type Peer,
  SERVER,
  whyNoNatLab,
  withNatLab,
} from '../support/netns/nat-lab.ts'
import { withNodeExporter } from '../support/program/node-page.ts'

const FLAGS = ['--sample.interval=1s', '--sample.cpu-budget=1', '--detail.min-utilization=0']
const WITHOUT_NET_ADMIN = {
  command: ['setpriv', '--bounding-set=-net_admin', process.execPath, 'dist/main.js'],
}
const SIGNATURE = 'ephemeral_port_nat_drop_signature_info'
const PORTS = 100
const IPV6 = { client: 'fd77:1::2', server: { address: 'fd77:2::2', port: SERVER.port } } as const
const WAIT_MS = 240_000
const skipReason = whyNoNatLab()

const masquerade = (family: string) =>
  `table ${family} nat { chain post { type nat hook postrouting priority 100;
     meta l4proto tcp oifname "n1" masquerade to :40000-${40_000 + PORTS - 1}; }; }\n`

/** Gives the lab IPv6 addresses beside those that it has. */
function addIpv6({ netns, clientNetns, inNat }: NatLab): void {
  const [nat, clients] = [netns, clientNetns].map((name) => name.slice('named/'.length))
  const server = nat?.replace(/n$/, 's')
  for (const [name, address, device] of [
    [clients, IPV6.client, 'c0'],
    [nat, 'fd77:1::1', 'n0'],
    [nat, 'fd77:2::1', 'n1'],
    [server, IPV6.server.address, 's0'],
  ] as const) {
    const args = ['-n', name ?? '', 'addr', 'add', `${address}/64`, 'dev', device, 'nodad']
    execFileSync('ip', args)
  }
  execFileSync('ip', ['-6', '-n', clients ?? '', 'route', 'add', 'default', 'via', 'fd77:1::1'])
  inNat('sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1')
}

const ipv6Peers = (count: number): Peer[] =>
  clientPeers(count).map(({ port }, at) => ({ address: IPV6.client, port: port + 7 * at }))

describe('the counters of conntrack', () => {
  test('tell without any right that a small range is full, of IPv4 and of IPv6', async (ctx) => {
    if (skipReason !== undefined) return ctx.skip(skipReason)
    await withNatLab((first) =>
      withNatLab(async (second) => {
        addIpv6(second)
        const sides = [
          { lab: first, family: 'ip', to: SERVER, peers: clientPeers },
          { lab: second, family: 'ip6', to: IPV6.server, peers: ipv6Peers },
        ] as const
        for (const { lab, family } of sides) {
          await lab.server.call('serve', [SERVER.port])
          lab.rules(masquerade(family))
        }
        await withNodeExporter(
          FLAGS,
          async ({ until, read, readDiagnosis }) => {
            await Promise.all(
              sides.map(async ({ lab: { client, netns }, to, peers }) => {
                const open = async (count: number, timeoutMs: number) => {
                  const from = peers(count)
                  return (await client.call('connect', { to, from, timeoutMs })).length
                }
                expect(await open(PORTS, 10_000)).toBe(PORTS)
                await until((page) => page.find('ephemeral_port_conntrack_entries', { netns }))
                await delay(3000)
                expect((await readDiagnosis()).dropping).not.toContain(netns)
                const filled = await read()
                const deadline = Date.now() + WAIT_MS
                const isFull = async () =>
                  (await read()).find(SIGNATURE, { netns, signature: 'range_full' }) === 1
                for (let round = 1; !(await isFull()) && Date.now() < deadline; round++) {
                  expect(await open(1 + (round % 5), 700)).toBe(0)
                }
                const page = await read()
                expect(page.list(SIGNATURE, { netns })).toMatchObject([
                  { labels: { signature: 'range_full' } },
                ])
                expect(page.find('ephemeral_port_conntrack_entries', { netns })).toBe(PORTS)
                const grown = (name: string) => {
                  const family = `ephemeral_port_nat_${name}_total`
                  return page.value(family, { netns }) - filled.value(family, { netns })
                }
                // The last 32 tries of each search count nothing.
                expect(grown('insert_failed')).toBeGreaterThanOrEqual(20)
                const met = grown('collisions') / (PORTS - 32) - grown('insert_failed')
                // A sample may be taken in the middle of a search.
                expect(Math.abs(met)).toBeLessThanOrEqual(1)
                const { dropping, findings } = await readDiagnosis()
                expect(dropping).toContain(netns)
                expect(
                  findings.filter(
                    ({ what, namespaces }) =>
                      namespaces.includes(netns) && /no NAT port was found for them/.test(what),
                  ),
                ).toMatchObject([{ severity: 'critical' }])
              }),
            )
          },
          WITHOUT_NET_ADMIN,
        )
      }),
    )
  })
})
