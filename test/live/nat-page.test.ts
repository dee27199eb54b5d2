// What the page says of a NAT beside its promises: counters of drops, names of clients, and nothing that is not known.

import { execFileSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { Page } from '../support/netns/actor-page.ts'
import {
  clientPeers,
  NAT_FLAGS,
  type Peer,
  readFreshNat,
  SERVER,
  whyNoNatLab,
  withNatLab,
} from '../support/netns/nat-lab.ts'
import { withNodeExporter } from '../support/program/node-page.ts'

const NAMESERVER: Peer = { address: '10.77.2.2', port: 53 }
const CONNECT_MS = 5000
const skipReason = whyNoNatLab()

const masquerade = (ports: string) =>
  'table ip nat { chain post { type nat hook postrouting priority 100; ' +
  `ip saddr 10.77.1.0/24 meta l4proto { tcp, udp } masquerade to :${ports}; }; }`

describe('the page about a NAT', () => {
  test('what finds no port is counted, with the ports that it met in vain', async (ctx) => {
    if (skipReason !== undefined) return ctx.skip(skipReason)
    await withNatLab(async (lab) => {
      await lab.server.call('serve', [53])
      lab.rules(masquerade('40000-40009'))
      await withNodeExporter(NAT_FLAGS, async (exporter) => {
        const before = await (async () => {
          await lab.client.call('ask', { to: NAMESERVER, from: clientPeers(4), timeoutMs: 300 })
          return readFreshNat(exporter, lab.netns)
        })()
        const of = (page: Page, name: string) =>
          page.value(`ephemeral_port_nat_${name}_total`, { netns: lab.netns })
        expect(of(before, 'insert_failed')).toBe(0)
        // Ten ports, four of them taken: the last four of ten datagrams find none.
        await lab.client.call('ask', { to: NAMESERVER, from: clientPeers(10), timeoutMs: 300 })
        const after = await readFreshNat(exporter, lab.netns)
        expect(of(after, 'insert_failed')).toBe(4)
        expect(of(after, 'dropped')).toBe(4)
        // Each of the four met all ten ports in vain.
        expect(of(after, 'collisions') - of(before, 'collisions')).toBeGreaterThanOrEqual(40)
        const pool = { netns: lab.netns, pool: 'nat_udp' }
        expect(after.value('ephemeral_port_pool_available_ports', pool)).toBe(0)
        expect(after.value('ephemeral_port_exhaustion_risk_ratio', pool)).toBe(1)
        expect(after.value('ephemeral_port_nat_failure_probability_ratio', pool)).toBe(1)
        // No client has eight ports, so that all of them are in one row.
        const clients = 'ephemeral_port_nat_client_used_ports'
        expect(
          after.list(clients, { netns: lab.netns }).map(({ labels }) => labels.client),
        ).toEqual(['other'])
      })
    })
  })

  test('names a client by the namespace that has its address', async (ctx) => {
    if (skipReason !== undefined) return ctx.skip(skipReason)
    await withNatLab(async (lab) => {
      await lab.server.call('serve', [9001])
      lab.rules(masquerade('40000-40099'))
      // Other labs of this machine have the same addresses, and an address of two namespaces names neither.
      const address = `10.77.1.${randomInt(100, 255)}`
      const clients = lab.clientNetns.slice('named/'.length)
      execFileSync('ip', ['-n', clients, 'addr', 'add', `${address}/24`, 'dev', 'c0'])
      const from = Array.from({ length: 12 }, (_, at) => ({ address, port: 20_000 + at }))
      await lab.client.call('connect', { to: SERVER, from, timeoutMs: CONNECT_MS })
      await withNodeExporter(NAT_FLAGS, async (exporter) => {
        const row = { client: address, owner: lab.clientNetns, owner_kind: 'netns' }
        const value = await exporter.until((page) =>
          page.find('ephemeral_port_nat_client_used_ports', { netns: lab.netns, ...row }),
        )
        expect(value).toBe(12)
      })
    })
  })

  test('without the right to list there are counters and no pools', async (ctx) => {
    if (skipReason !== undefined) return ctx.skip(skipReason)
    await withNatLab(async (lab) => {
      await lab.server.call('serve', [9001])
      lab.rules(masquerade('40000-40099'))
      await lab.client.call('connect', {
        to: SERVER,
        from: clientPeers(20),
        timeoutMs: CONNECT_MS,
      })
      const withoutNetAdmin = {
        command: ['setpriv', '--bounding-set=-net_admin', process.execPath, 'dist/main.js'],
      }
      await withNodeExporter(
        NAT_FLAGS,
        async ({ until, read }) => {
          const { netns } = lab
          await until((page) => page.find('ephemeral_port_conntrack_entries', { netns }))
          await delay(500)
          const page = await read()
          expect(page.value('ephemeral_port_conntrack_entries', { netns })).toBe(20)
          expect(page.value('ephemeral_port_nat_insert_failed_total', { netns })).toBe(0)
          expect(page.text).not.toMatch(/nat_tcp|nat_udp|nat_failure|nat_destination/)
          expect(page.value('ephemeral_port_scrape_collector_success', { collector: 'nat' })).toBe(
            1,
          )
        },
        withoutNetAdmin,
      )
    })
  })

  test('says nothing of NAT where nothing is translated, and nothing of conntrack where there is none', async (ctx) => {
    if (skipReason !== undefined) return ctx.skip(skipReason)
    await withNatLab(async (lab) => {
      await lab.server.call('serve', [SERVER.port])
      // Conntrack follows, and translates nothing.
      lab.rules(
        'table ip watch { chain out { type filter hook output priority 0; ct state new accept; }; }',
      )
      const from = Array.from({ length: 30 }, (_, at) => ({
        address: '10.77.2.1',
        port: 41_000 + at,
      }))
      await lab.nat.call('connect', { to: SERVER, from, timeoutMs: CONNECT_MS })
      const read = (flags: readonly string[]) =>
        withNodeExporter([...NAT_FLAGS, ...flags], async ({ until, readFreshOf }) => {
          // The risk comes last: it needs more than one sample.
          const at = { netns: lab.netns, pool: 'udp' }
          await until((page) => page.find('ephemeral_port_exhaustion_risk_ratio', at))
          // Without the help of families that only namespaces of others have.
          const samplesOf = async (netns: string) =>
            (await readFreshOf(netns)).text
              .split('\n')
              .filter((line) => line.includes(`netns="${netns}"`))
              .join('\n')
          return [await samplesOf(lab.netns), await samplesOf(lab.clientNetns)]
        })
      const [watched = '', clients = ''] = await read([])
      expect(watched).toContain('ephemeral_port_conntrack_entries{')
      expect(watched).not.toMatch(
        /nat_tcp|nat_udp|nat_failure|nat_destination|nat_client|nat_range/,
      )
      expect(clients).not.toMatch(/^ephemeral_port_(nat|conntrack)_/m)
      // Without the collector every other number is the same, but for those that come once enough has been seen.
      const [without = ''] = await read(['--no-collector.nat'])
      const numbers = (text: string) =>
        text
          .split('\n')
          .filter(
            (line) =>
              line.includes(`netns="${lab.netns}"`) &&
              !/_nat_|conntrack|seconds|exhaustion_risk|listeners/.test(line),
          )
      expect(numbers(watched).length).toBeGreaterThan(30)
      expect(numbers(watched)).toEqual(numbers(without))
    })
  })
})
