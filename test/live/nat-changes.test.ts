// What becomes of a NAT while the exporter runs: rules that come, change and go, entries that are flushed, many addresses,
// two rules for one destination, and IPv6, which is not read. What the page says is true, or it says nothing.

import { execFileSync } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { Page } from '../support/netns/actor-page.ts'
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
import { isWhole } from '../support/program/depth.ts'
import { type NodeExporter, withNodeExporter } from '../support/program/node-page.ts'

const CONNECT_MS = 3000
/** The range of an address that is not there: with so small a one the NAT is listed at each sample, whatever is read. */
const SMALL_RANGE = '--nat.port-range=192.0.2.1=40000-40039'
const skipReason = whyNoNatLab()

const nat = (rules: string, family = 'ip') =>
  `table ${family} nat { chain post { type nat hook postrouting priority 100; ${rules}; }; }\n`
const masquerade = (to: string) => nat(`ip saddr 10.77.1.0/24 meta l4proto tcp masquerade ${to}`)

async function connect(lab: NatLab, from: readonly Peer[], to = SERVER): Promise<number> {
  return (await lab.client.call('connect', { to, from, timeoutMs: CONNECT_MS })).length
}

/** From one client, so that a rule can single it out. */
const peersOf = (address: string, first: number, count: number): Peer[] =>
  Array.from({ length: count }, (_, at) => ({ address, port: first + at }))

const poolOf = async (exporter: NodeExporter, netns: string) => {
  const page = await readFreshNat(exporter, netns)
  const at = { netns, pool: 'nat_tcp' }
  return {
    capacity: page.value('ephemeral_port_pool_capacity_ports', at),
    available: page.value('ephemeral_port_pool_available_ports', at),
    failure: page.value('ephemeral_port_nat_failure_probability_ratio', at),
  }
}

describe('a NAT that changes', () => {
  test('is found while the exporter runs, followed when its rules change, and empty when they go', async (ctx) => {
    if (skipReason !== undefined) return ctx.skip(skipReason)
    await withNatLab(async (lab) => {
      const { netns } = lab
      await lab.server.call('serve', [SERVER.port])
      lab.rules(
        'table ip watch { chain pass { type filter hook forward priority 0; ct state new accept; }; }',
      )
      await lab.nat.call('connect', {
        to: SERVER,
        from: peersOf('10.77.2.1', 41_000, 25),
        timeoutMs: CONNECT_MS,
      })
      await withNodeExporter(NAT_FLAGS, async (exporter) => {
        if (isWhole) {
          // Listed, and found to translate nothing: the next listing is due in a minute.
          await exporter.until((page) => page.find('ephemeral_port_conntrack_entries', { netns }))
          await delay(1000)
          expect((await exporter.readOf(netns)).text).not.toMatch(/nat_tcp|nat_failure/)
        }

        lab.rules(masquerade('to :40000-40039'))
        expect(await connect(lab, clientPeers(46))).toBe(40)
        expect(await poolOf(exporter, netns)).toEqual({ capacity: 40, available: 0, failure: 1 })

        await lab.client.call('drop', undefined)
        lab.rules(masquerade('to :50000-50059'))
        expect(await connect(lab, clientPeers(30))).toBe(30)
        expect(await poolOf(exporter, netns)).toEqual({ capacity: 60, available: 30, failure: 0 })

        lab.rules('')
        const at = { netns, pool: 'nat_tcp' }
        const page = await exporter.until((now) =>
          now.find('ephemeral_port_pool_utilization_ratio', at) === 0 ? now : undefined,
        )
        expect(page.value('ephemeral_port_nat_failure_probability_ratio', at)).toBe(0)
        expect(page.list('ephemeral_port_nat_destination_used_ports', { netns })).toEqual([])
      })
    })
  })

  test('says that its range is assumed while there are more rules than are read', async (ctx) => {
    if (skipReason !== undefined) return ctx.skip(skipReason)
    await withNatLab(async (lab) => {
      const { netns } = lab
      await lab.server.call('serve', [SERVER.port])
      const many = 'add rule ip many unused accept\n'.repeat(50_001)
      lab.rules(`${masquerade('to :40000-40039')}table ip many { chain unused { }; }\n${many}`)
      await withNodeExporter([...NAT_FLAGS, SMALL_RANGE], async (exporter) => {
        expect(await connect(lab, clientPeers(30))).toBe(30)
        expect(await poolOf(exporter, netns)).toEqual({
          capacity: 64_512,
          available: 64_482,
          failure: 0,
        })
        const originOf = (page: Page) =>
          page.list('ephemeral_port_nat_range_info', { netns, protocol: 'tcp' })[0]?.labels.origin
        expect(originOf(await readFreshNat(exporter, netns))).toBe('default')
        const nat = { collector: 'nat' }
        const page = await exporter.readOf(netns)
        expect(page.value('ephemeral_port_scrape_collector_success', nat)).toBe(1)

        lab.inNat('nft', 'delete', 'table', 'ip', 'many')
        await exporter.until((now) => (originOf(now) === 'rule' ? now : undefined))
        expect(await poolOf(exporter, netns)).toEqual({ capacity: 40, available: 10, failure: 0 })
      })
    })
  })

  test('has the range that is full, where several lead to one destination', async (ctx) => {
    if (skipReason !== undefined) return ctx.skip(skipReason)
    const from = (client: string, rule: string) =>
      `ip saddr 10.77.1.${client} meta l4proto tcp ${rule}; `
    const small = from('2', 'masquerade to :40000-40029')
    const rules: Readonly<Record<string, string>> = {
      'ranges that are apart': small + from('3', 'masquerade to :50000-50099'),
      'a range that is part of another': small + from('3', 'masquerade to :30000-59999'),
      'a rule that names the address': small + from('3', 'snat to 10.77.2.1'),
      'an address that a map decides':
        from('3', 'masquerade') +
        from('2', 'meta mark set 0x1 snat to ip saddr map { 10.77.1.2 : 10.77.2.1 } : 40000-40029'),
    }
    await withNatLab(async (lab) => {
      await lab.server.call('serve', [SERVER.port])
      await withNodeExporter(NAT_FLAGS, async (exporter) => {
        for (const [name, text] of Object.entries(rules)) {
          lab.rules(nat(text))
          // The kernel keeps these ports, where the rule has them.
          const [others, full] = [
            peersOf('10.77.1.3', 50_000, 60),
            peersOf('10.77.1.2', 10_000, 30),
          ]
          const through = [await connect(lab, others), await connect(lab, full)]
          const said = await poolOf(exporter, lab.netns)
          const more = [
            await connect(lab, peersOf('10.77.1.2', 20_000, 5)),
            await connect(lab, peersOf('10.77.1.3', 51_000, 5)),
          ]
          expect({ name, through, ...said, more }).toEqual({
            name,
            through: [60, 30],
            ...{ capacity: 30, available: 0, failure: 1 },
            more: [0, 5],
          })
          await lab.client.call('drop', undefined)
        }
      })
    })
  })

  test('counts clients with low ports, and connections of the node itself', async (ctx) => {
    if (skipReason !== undefined) return ctx.skip(skipReason)
    await withNatLab(async (lab) => {
      const { netns } = lab
      await lab.server.call('serve', [SERVER.port])
      const low = (first: number, count: number) =>
        clientPeers(count).map(({ address }, at) => ({
          address,
          port: first + Math.floor(at / 30),
        }))
      lab.rules(nat('meta l4proto tcp masquerade'))
      expect(await connect(lab, low(600, 390))).toBe(390)
      await withNodeExporter(NAT_FLAGS, async (exporter) => {
        expect(await poolOf(exporter, netns)).toMatchObject({ capacity: 424, available: 34 })
        const got = await connect(lab, low(700, 60))
        const { available = 0, failure } = await poolOf(exporter, netns)
        expect(available).toBeLessThanOrEqual(34 - got)
        expect(failure).toBeGreaterThan(0.01)

        await lab.client.call('drop', undefined)
        lab.rules(nat('meta l4proto tcp masquerade to :40000-40029'))
        const from = peersOf('10.77.2.1', 50_000, 36)
        const wanted = { to: SERVER, from, timeoutMs: CONNECT_MS, enough: 30 }
        expect(await lab.nat.call('connect', wanted)).toHaveLength(30)
        expect(await poolOf(exporter, netns)).toEqual({ capacity: 30, available: 0, failure: 1 })
      })
    })
  })

  test('counts every port of dozens of addresses', async (ctx) => {
    if (skipReason !== undefined) return ctx.skip(skipReason)
    await withNatLab(async (lab) => {
      const { netns } = lab
      await lab.server.call('serve', [SERVER.port])
      const addresses = Array.from({ length: 40 }, (_, at) => `10.77.2.${100 + at}`)
      for (const address of addresses) {
        execFileSync('ip', ['-n', netns.slice(6), 'addr', 'add', `${address}/24`, 'dev', 'n1'])
      }
      lab.rules(
        nat(
          `ip saddr 10.77.1.0/24 meta l4proto tcp snat to ${addresses[0]}-${addresses.at(-1)}:40000-40099`,
        ),
      )
      await withNodeExporter(NAT_FLAGS, async (exporter) => {
        expect(await connect(lab, clientPeers(300))).toBe(300)
        const page = await readFreshNat(exporter, netns)
        const rows = page.list('ephemeral_port_nat_destination_used_ports', { netns })
        expect(rows.reduce((sum, { value }) => sum + value, 0)).toBe(300)
        const at = { netns, pool: 'nat_tcp' }
        expect(page.value('ephemeral_port_pool_capacity_ports', at)).toBe(100)
        expect(page.value('ephemeral_port_nat_failure_probability_ratio', at)).toBe(0)
      })
    })
  })

  test('is said to be unknown where it translates IPv6, and never well when that runs out', async (ctx) => {
    if (skipReason !== undefined) return ctx.skip(skipReason)
    await withNatLab(async (lab) => {
      const { netns } = lab
      const namespaceOf = (name: string) => name.slice('named/'.length)
      const server = namespaceOf(netns).replace(/-n$/, '-s')
      const add = (name: string, device: string, address: string) =>
        execFileSync('ip', ['-n', name, 'addr', 'add', `${address}/64`, 'dev', device, 'nodad'])
      add(namespaceOf(lab.clientNetns), 'c0', 'fd77:1::2')
      add(namespaceOf(netns), 'n0', 'fd77:1::1')
      add(namespaceOf(netns), 'n1', 'fd77:2::1')
      add(server, 's0', 'fd77:2::2')
      const route = ['route', 'add', 'default', 'via', 'fd77:1::1']
      execFileSync('ip', ['-6', '-n', namespaceOf(lab.clientNetns), ...route])
      lab.inNat('sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1')
      await lab.server.call('serve', [SERVER.port])
      lab.rules(nat('meta l4proto tcp masquerade to :40000-40099', 'ip6'))
      const to = { address: 'fd77:2::2', port: SERVER.port }
      await withNodeExporter(['--sample.interval=1s', ...NAT_FLAGS.slice(1)], async (exporter) => {
        expect(await connect(lab, peersOf('fd77:1::2', 10_000, 100), to)).toBe(100)
        const note = 'the ports of IPv6 NAT are not known'
        const whatsOf = async () => {
          const { findings, severity, headline, doubted } = await exporter.readDiagnosis()
          const mine = findings.filter(({ namespaces }) => namespaces.includes(netns))
          return { whats: mine.map(({ what }) => what), severity, headline, doubted }
        }
        await exporter.until((page) =>
          page.find('ephemeral_port_conntrack_entries', { netns }) === 100 ? true : undefined,
        )
        await expect.poll(async () => (await whatsOf()).whats, { timeout: 120_000 }).toContain(note)
        expect((await exporter.readOf(netns)).text).not.toMatch(
          /^(?!#).*(nat_tcp|nat_udp|nat_failure|nat_destination|nat_client|nat_range)/m,
        )
        let isTold = false
        const trying = (async () => {
          let through = 0
          for (let port = 20_000; !isTold; port += 20) {
            through += await connect(lab, peersOf('fd77:1::2', port, 20), to)
          }
          return through
        })()
        let told: Awaited<ReturnType<typeof whatsOf>> | undefined
        try {
          await expect
            .poll(
              async () => {
                told = await whatsOf()
                return told.whats.join('\n')
              },
              { timeout: 120_000, interval: 200 },
            )
            .toMatch(/dropped since the sample before: threads raced for NAT ports, or no port was/)
        } finally {
          isTold = true
        }
        expect(told?.doubted).toContain(netns)
        expect(told?.severity).not.toBe('ok')
        expect(told?.headline).not.toMatch(/enough ports/)
        expect(await trying).toBe(0)
      })
    })
  })
})
