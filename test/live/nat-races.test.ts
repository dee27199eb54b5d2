// What the diagnosis says of packets that conntrack drops: races of two processes for one port of a NAT that has enough are
// races, and a full range is none, however alike the counters are.

import { execFileSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import {
  clientPeers,
  type NatLab,
  type Peer,
  type PeerProcess,
  SERVER,
  whyNoNatLab,
  withNatLab,
} from '../support/netns/nat-lab.ts'
import { type NodeExporter, withNodeExporter } from '../support/program/node-page.ts'

const NAMESERVER: Peer = { address: '10.77.2.2', port: 53 }
const FLAGS = ['--sample.interval=1s', '--sample.cpu-budget=1', '--detail.min-utilization=0']
const WITHOUT_NET_ADMIN = {
  command: ['setpriv', '--bounding-set=-net_admin', process.execPath, 'dist/main.js'],
}
const LEAST_RACES = 20
const RACING_MS = 60_000
const VOLLEY = { count: 50, slotMs: 20, startsInMs: 300 }
const POLL_MS = 200
const DROPS = /dropped since the sample before: (.*)$/
const skipReason = whyNoNatLab()

const masquerade = (to: string) =>
  `table ip nat { chain post { type nat hook postrouting priority 100;
     ip saddr 10.77.1.0/24 meta l4proto { tcp, udp } masquerade ${to}; }; }\n`

/**
 * Between the choice of a port and the entry of the connection, 16,384 rules that match nothing: some hundred microseconds in
 * which another packet chooses the same port.
 */
function slowPath(): string {
  const chain = (name: string, count: number, rule: string) =>
    `chain ${name} { ${Array.from({ length: count }, () => rule).join('; ')}; };`
  return `table ip slow { ${chain('a', 64, 'udp sport 1 counter')} ${chain('b', 32, 'jump a')}
    ${chain('c', 8, 'jump b')}
    chain post { type filter hook postrouting priority 300; udp dport 53 jump c; }; }\n`
}

/** Has both run whenever they want to, where that is permitted: else it takes more volleys. */
function hurry(...peers: readonly PeerProcess[]): void {
  for (const { pid } of peers) {
    try {
      execFileSync('chrt', ['-f', '-p', '10', String(pid)], { stdio: 'ignore' })
    } catch {
      return
    }
  }
}

interface Heard {
  readonly drops: Set<string>
  races: boolean
  readonly headlines: Set<string>
}

/** What the diagnosis says of the drops of the namespace in all samples until `act` has ended, which is told of it as it comes. */
async function listen(
  { readDiagnosis }: NodeExporter,
  netns: string,
  act: (heard: Heard) => Promise<void>,
): Promise<Heard> {
  const heard: Heard = { drops: new Set(), races: false, headlines: new Set() }
  let over = false
  const acting = act(heard).finally(() => {
    over = true
  })
  try {
    while (!over) {
      const { findings, pools, dropping, doubted } = await readDiagnosis()
      const isOfIt =
        [...dropping, ...doubted].includes(netns) || pools.some((pool) => pool.netns === netns)
      heard.headlines.add(isOfIt ? 'unwell' : 'well')
      for (const { what, namespaces } of findings) {
        if (!namespaces.includes(netns)) continue
        const [, why] = DROPS.exec(what) ?? []
        if (why !== undefined) heard.drops.add(why)
        if (/races? for one conntrack entry cost no packet$/.test(what)) heard.races = true
      }
      await delay(POLL_MS)
    }
  } finally {
    await acting
  }
  return heard
}

const countsOf = async ({ read }: NodeExporter, netns: string) => {
  const page = await read()
  const of = (name: string) => page.find(`ephemeral_port_nat_${name}_total`, { netns }) ?? 0
  return { failed: of('insert_failed'), resolved: of('clashes_resolved'), met: of('collisions') }
}

/** Whether the page says that most searches fail; it says so one sample after they do. */
async function fails(exporter: NodeExporter, netns: string, pool: string): Promise<boolean> {
  const name = 'ephemeral_port_nat_failure_probability_ratio'
  const ratio = await exporter.until((page) => page.find(name, { netns, pool }))
  return ratio > 0.5
}

type Counts = Awaited<ReturnType<typeof countsOf>>

/** Fires volleys from both processes at the same moments, until so many races were counted. */
async function raceUntil(
  exporter: NodeExporter,
  lab: NatLab,
  rivals: readonly (readonly [PeerProcess, string])[],
  enough: (counts: Counts) => boolean,
): Promise<Counts> {
  const deadline = Date.now() + RACING_MS
  for (let port = 20_000; ; port += VOLLEY.count) {
    const counts = await countsOf(exporter, lab.netns)
    if (enough(counts) || Date.now() > deadline) return counts
    const startMs = Number(process.hrtime.bigint()) / 1e6 + VOLLEY.startsInMs
    await Promise.all(
      rivals.map(([peer, address]) =>
        peer.call('fire', { to: NAMESERVER, from: { address, port }, startMs, ...VOLLEY }),
      ),
    )
    await delay(1500)
  }
}

const UNCLEAR = [
  'threads raced for NAT ports, or no port was found',
  'threads raced for NAT ports, or a range of at most 32 ports is full',
]

describe('packets that conntrack drops', () => {
  test('are races where two processes took one port of a NAT that has enough', async (ctx) => {
    if (skipReason !== undefined) return ctx.skip(skipReason)
    if (availableParallelism() < 2) return ctx.skip('needs two processors')
    await withNatLab(async (lab) => {
      await lab.server.call('serve', [NAMESERVER.port])
      lab.rules(slowPath() + masquerade(''))
      const other = await lab.startClient()
      await withNodeExporter(FLAGS, async (exporter) => {
        await lab.client.call('ask', { to: NAMESERVER, from: clientPeers(1), timeoutMs: 300 })
        await exporter.until((page) =>
          page.find('ephemeral_port_nat_failure_probability_ratio', {
            netns: lab.netns,
            pool: 'nat_udp',
          }),
        )
        await delay(1500)
        hurry(lab.client, other)
        const rivals = [
          [lab.client, '10.77.1.2'],
          [other, '10.77.1.3'],
        ] as const
        let counts: Counts | undefined
        const heard = await listen(exporter, lab.netns, async ({ drops }) => {
          counts = await raceUntil(
            exporter,
            lab,
            rivals,
            ({ failed }) => failed >= LEAST_RACES && drops.size > 0,
          )
        })
        expect(counts?.failed).toBeGreaterThanOrEqual(LEAST_RACES)
        expect([...heard.drops]).toEqual(['threads raced for NAT ports'])
        // Pairs that do not race meet a taken port each: with many of those it is unclear.
        const name = 'ephemeral_port_nat_drop_signature_info'
        const [signature] = (await exporter.read()).list(name, { netns: lab.netns })
        expect(['races_or_small_range', 'unclear']).toContain(signature?.labels.signature)
        expect([...heard.headlines]).toEqual(['well'])

        // Two threads with one socket: the kernel makes one connection of both.
        const twins = rivals.map(([peer]) => [peer, '10.77.1.4'] as const)
        const before = await countsOf(exporter, lab.netns)
        const resolved = await listen(exporter, lab.netns, async (soFar) => {
          counts = await raceUntil(
            exporter,
            lab,
            twins,
            (now) => soFar.races && now.resolved >= before.resolved + LEAST_RACES,
          )
        })
        expect(counts?.resolved).toBeGreaterThanOrEqual(before.resolved + LEAST_RACES)
        expect(resolved.races).toBe(true)
        expect([...resolved.headlines]).toEqual(['well'])
      })
    })
  })

  test('are no races where a range is full, also where its search meets no taken port', async (ctx) => {
    if (skipReason !== undefined) return ctx.skip(skipReason)
    await withNatLab(async (lab) => {
      await lab.server.call('serve', [SERVER.port, NAMESERVER.port])
      const tcp = async (count: number, timeoutMs: number) => {
        const wanted = { to: SERVER, from: clientPeers(count), timeoutMs }
        return (await lab.client.call('connect', wanted)).length
      }
      const udp = (count: number, timeoutMs: number) =>
        lab.client.call('ask', { to: NAMESERVER, from: clientPeers(count), timeoutMs })
      await withNodeExporter(FLAGS, async (exporter) => {
        for (const [ports, open] of [
          [20, tcp],
          [20, udp],
          [200, tcp],
        ] as const) {
          lab.rules(masquerade(`to :40000-${40_000 + ports - 1}`))
          await open(ports, 3000)
          // One search sees a part of 200 ports, so that the last of them may still be free.
          const pool = open === tcp ? 'nat_tcp' : 'nat_udp'
          while (!(await fails(exporter, lab.netns, pool))) await open(10, 1200)
          const before = await countsOf(exporter, lab.netns)
          const heard = await listen(exporter, lab.netns, async () => {
            for (let round = 0; round < 2; round++) await open(10, 1200)
            const name = 'ephemeral_port_nat_insert_failed_total'
            await exporter.until((page) =>
              (page.find(name, { netns: lab.netns }) ?? 0) > before.failed ? true : undefined,
            )
            await delay(2000)
          })
          // Without a destination where the pool that was full has gone since.
          const found = /^no NAT port was found for them(, at worst to 10\.77\.2\.2|$)/
          const whys = [...heard.drops]
          expect(whys.some((why) => found.test(why))).toBe(true)
          // A sample whose turn to list was that of other tests' tables does not tell which of both it was.
          const others = whys.filter((why) => !found.test(why) && !UNCLEAR.includes(why))
          expect(others).toEqual([])
          expect(heard.headlines).toContain('unwell')
          await lab.client.call('drop', undefined)
        }
      })
    })
  })

  test('are not called races where conntrack may not be listed and a small range is full', async (ctx) => {
    if (skipReason !== undefined) return ctx.skip(skipReason)
    await withNatLab(async (lab) => {
      await lab.server.call('serve', [SERVER.port])
      lab.rules(masquerade('to :40000-40019'))
      await withNodeExporter(
        FLAGS,
        async (exporter) => {
          const open = (count: number, timeoutMs: number) =>
            lab.client.call('connect', { to: SERVER, from: clientPeers(count), timeoutMs })
          await open(20, 3000)
          await exporter.until((page) =>
            page.find('ephemeral_port_conntrack_entries', { netns: lab.netns }),
          )
          await delay(1500)
          const heard = await listen(exporter, lab.netns, async () => {
            for (let round = 0; round < 2; round++) await open(10, 1200)
            await delay(2000)
          })
          expect(heard.drops.size).toBeGreaterThan(0)
          for (const why of heard.drops) expect(why).toMatch(/^threads raced for NAT ports, or /)
        },
        WITHOUT_NET_ADMIN,
      )
    })
  })
})
