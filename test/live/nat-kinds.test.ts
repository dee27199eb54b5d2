// Kinds of NAT beside the plain ones of nat.test.ts: hairpin, zones, several rules, rules in other places, entries that
// conntrack took up half-way, connections from outside. What the page promises, and then what the kernel lets through.

import { describe, expect, test } from 'vitest'
import {
  clientPeers,
  NAT_FLAGS,
  type NatLab,
  type Peer,
  readFreshNat,
  SERVER,
  whyNoNatLab,
  withNatLab,
} from '../support/netns/nat-lab.ts'
import { withNodeExporter } from '../support/program/node-page.ts'

const OTHER: Peer = { address: '10.77.2.2', port: 9002 }
const SERVICE: Peer = { address: '10.77.99.1', port: 80 }
const BEHIND: Peer = { address: '10.77.1.31', port: 9101 }
/** Over before it for all that get through. The others hang. */
const CONNECT_MS = 2000
const skipReason = whyNoNatLab()

type Connect = (to: Peer, count: number) => Promise<number>

interface Kind {
  readonly name: string
  readonly rules: string
  readonly load: (connect: Connect, lab: NatLab) => Promise<unknown>
  /** Of the worst destination on the page, where it is not SERVER from 10.77.2.1. */
  readonly worst?: { readonly source: string; readonly destination: string }
  /** What clients connect to, where it is not the server itself. */
  readonly by?: Peer
  readonly capacity: number
}

const post = (rules: string) =>
  `table ip nat { chain post { type nat hook postrouting priority 100; ${rules}; }; }\n`
const service = (to: Peer) =>
  'table ip service { chain pre { type nat hook prerouting priority -100; ' +
  `ip daddr ${SERVICE.address} tcp dport ${SERVICE.port} dnat to ${to.address}:${to.port}; }; }\n`
const raw = (text: string) =>
  ['prerouting', 'output']
    .map((hook) => `chain ${hook} { type filter hook ${hook} priority -300; ${text}; }`)
    .join('\n')
const fifty = 'ip saddr 10.77.1.0/24 meta l4proto tcp masquerade to :40000-40049'

const kinds: readonly Kind[] = [
  {
    name: 'a service whose clients are translated to another address',
    rules:
      service(SERVER) +
      post('ip saddr 10.77.1.0/24 meta l4proto tcp snat to 10.77.2.9:40000-40049'),
    load: async (connect) => [await connect(SERVICE, 15), await connect(SERVER, 10)],
    worst: { source: '10.77.2.9', destination: '10.77.2.2:9001' },
    capacity: 50,
  },
  {
    name: 'a hairpin: a service among the clients themselves',
    rules: service(BEHIND) + post(fifty),
    load: async (connect, lab) => {
      await lab.client.call('serve', [BEHIND.port])
      await connect(SERVICE, 20)
    },
    worst: { source: '10.77.1.1', destination: '10.77.1.31:9101' },
    by: SERVICE,
    capacity: 50,
  },
  {
    name: 'two rules by port, each with its range',
    rules: post(
      'tcp dport 9001 masquerade to :40000-40029; tcp dport 9002 masquerade to :50000-50059',
    ),
    load: async (connect) => [await connect(SERVER, 5), await connect(OTHER, 45)],
    worst: { source: '10.77.2.1', destination: '10.77.2.2:9002' },
    by: OTHER,
    capacity: 60,
  },
  {
    name: 'one port',
    rules: post('meta l4proto tcp masquerade to :40000'),
    load: (connect) => connect(SERVER, 1),
    capacity: 1,
  },
  {
    name: 'a zone',
    rules: `table ip raw {\n${raw('ct zone set 7')}\n}\n${post(fifty)}`,
    load: (connect) => connect(SERVER, 20),
    worst: { source: '10.77.2.1%7', destination: '10.77.2.2:9001' },
    capacity: 50,
  },
  {
    name: 'a zone of one direction',
    rules:
      'table ip raw { chain pre { type filter hook prerouting priority -300; ' +
      `iifname "n0" ct original zone set 7; }; }\n${post(fifty)}`,
    load: (connect) => connect(SERVER, 20),
    capacity: 50,
  },
  {
    name: 'a chain that another jumps to, in a table of both families',
    rules:
      'table inet nat { chain masq { meta l4proto tcp masquerade to :40000-40049 random; }\n' +
      'chain post { type nat hook postrouting priority 100; ip saddr 10.77.1.0/24 jump masq; }; }',
    load: (connect) => connect(SERVER, 20),
    capacity: 50,
  },
  {
    name: 'a smaller range for IPv6, in a table of its own and in one of both families',
    rules: `${post(fifty)}table ip6 nat { chain post { type nat hook postrouting priority 100;
      meta l4proto tcp masquerade to :40000-40009; }; }\ntable inet both { chain post {
      type nat hook postrouting priority 101; meta nfproto ipv6 meta l4proto tcp masquerade to :40000-40004; }; }`,
    load: (connect) => connect(SERVER, 20),
    capacity: 50,
  },
  {
    name: 'a connection from the destination to the NAT node',
    rules: post(fifty),
    load: async (connect, lab) => {
      await connect(SERVER, 20)
      await lab.nat.call('serve', [40_010])
      const to = { address: '10.77.2.1', port: 40_010 }
      const from = [{ address: SERVER.address, port: 9100 }]
      await lab.server.call('connect', { to, from, timeoutMs: CONNECT_MS })
    },
    capacity: 50,
  },
  {
    name: 'connections that conntrack has forgotten',
    rules: post(fifty),
    load: async (connect, lab) => {
      await connect(SERVER, 20)
      lab.inNat('conntrack', '-F')
      await connect(SERVER, 15)
    },
    capacity: 50,
  },
]

describe('other kinds of source NAT', () => {
  test('promises are exact', async (ctx) => {
    if (skipReason !== undefined) return ctx.skip(skipReason)
    const seen: object[] = []
    await withNatLab(async (lab) => {
      await lab.server.call('serve', [SERVER.port, OTHER.port])
      const connect: Connect = async (to, count) => {
        const from = clientPeers(count)
        return (await lab.client.call('connect', { to, from, timeoutMs: CONNECT_MS })).length
      }
      await withNodeExporter(NAT_FLAGS, async (exporter) => {
        for (const { name, rules, load, worst, by = SERVER, capacity } of kinds) {
          lab.rules(rules)
          await load(connect, lab)
          const page = await readFreshNat(exporter, lab.netns)
          const at = { netns: lab.netns, pool: 'nat_tcp' }
          const [size = 0, available = 0, unused = 0] = ['capacity', 'available', 'unused'].map(
            (one) => page.value(`ephemeral_port_pool_${one}_ports`, at),
          )
          const info = page.list('ephemeral_port_pool_worst_destination_info', at)[0]?.labels
          const got = await connect(by, available + 6)
          const usual = { source: '10.77.2.1', destination: '10.77.2.2:9001' }
          expect({ name, ...info, capacity: size }).toMatchObject({
            name,
            capacity,
            ...(worst ?? usual),
          })
          seen.push({ name, kept: unused <= got && got <= available, unused, available, got })
          for (const peer of [lab.client, lab.nat, lab.server]) await peer.call('drop', undefined)
        }
      })
    })
    expect(seen).toEqual(seen.map((one) => ({ ...one, kept: true })))
  })
})
