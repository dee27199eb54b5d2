// How often a search for a NAT port fails, as the page says it and as the kernel does it: ranges of 1,000 ports and the
// whole class of ordinary clients, spread and clustered.

import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  clientPeers,
  type NatLab,
  readFreshNat,
  SERVER,
  whyNoNatLab,
  withNatLab,
} from '../support/netns/nat-lab.ts'
import { depth, isWhole } from '../support/program/depth.ts'
import { withNodeExporter } from '../support/program/node-page.ts'

/** Connections tried in each setting. */
const ASKED = isWhole ? 300 : depth(150, 60)
const FLAGS = ['--sample.interval=1s', '--sample.cpu-budget=1', '--detail.min-utilization=0']
/** Shorter than the first retry of a SYN, and long for a machine that is busy. */
const SYN_MS = 900
const skipReason = whyNoNatLab()

interface Setting {
  readonly name: string
  readonly rule: string
  readonly first: number
  /** Offsets of the ports that are taken. */
  readonly taken: readonly number[]
}

function spread(size: number, count: number, seed: number): number[] {
  let state = seed
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state
  }
  const places = Array.from({ length: size }, (_, offset) => ({ offset, at: random() }))
  return places
    .sort((left, right) => left.at - right.at)
    .slice(0, count)
    .map(({ offset }) => offset)
}

const block = (from: number, count: number) => Array.from({ length: count }, (_, at) => from + at)
const thousand = { rule: 'masquerade to :40000-40999', first: 40_000 }
const whole = { rule: 'masquerade random', first: 1024 }
const settings: readonly Setting[] = [
  { name: '995 of 1,000, spread', ...thousand, taken: spread(1000, 995, 5) },
  { name: '800 of 1,000 in one block', ...thousand, taken: block(100, 800) },
  { name: '64,190 of 64,512, spread', ...whole, taken: spread(64_512, 64_190, 7) },
  ...(isWhole
    ? [
        { name: '980 of 1,000, spread', ...thousand, taken: spread(1000, 980, 1) },
        { name: '990 of 1,000, spread', ...thousand, taken: spread(1000, 990, 2) },
        { name: '600 of 1,000 in one block', ...thousand, taken: block(300, 600) },
        {
          name: '900 of 1,000 in a block that wraps',
          ...thousand,
          taken: [...block(500, 500), ...block(0, 400)],
        },
        {
          name: '199 of 200',
          rule: 'masquerade to :40000-40199',
          first: 40_000,
          taken: block(0, 199),
        },
        { name: '63,222 of 64,512, spread', ...whole, taken: spread(64_512, 63_222, 3) },
        { name: '64,448 of 64,512, spread', ...whole, taken: spread(64_512, 64_448, 4) },
      ]
    : []),
]

function take(lab: NatLab, { first, taken }: Setting): void {
  const file = join(tmpdir(), `${lab.netns.replace('/', '-')}.conntrack`)
  const lines = taken.map(
    (offset, at) =>
      `-A -p tcp --orig-src 10.77.9.${1 + (at % 250)} --orig-dst ${SERVER.address} ` +
      `--sport ${1024 + Math.floor(at / 250)} --dport ${SERVER.port} --reply-src ${SERVER.address} ` +
      `--reply-dst 10.77.2.1 --reply-port-src ${SERVER.port} --reply-port-dst ${first + offset} ` +
      '-t 6000 -u ASSURED --state ESTABLISHED\n',
  )
  writeFileSync(file, lines.join(''))
  try {
    lab.inNat('conntrack', '-R', file)
  } finally {
    rmSync(file)
  }
}

/** Forgets what the clients of the lab have; what was taken for them stays. */
const forget = (lab: NatLab) =>
  lab.inNat('sh', '-c', 'conntrack -D -p tcp --orig-src 10.77.1.0/24 2>/dev/null || true')

async function failedShare(lab: NatLab, free: number): Promise<number> {
  const batch = Math.max(1, Math.min(20, Math.floor(free / 20)))
  let asked = 0
  let failed = 0
  while (asked < ASKED) {
    const from = clientPeers(batch)
    const ids = await lab.client.call('connect', { to: SERVER, from, timeoutMs: SYN_MS })
    asked += batch
    failed += batch - ids.length
    await lab.client.call('drop', undefined)
    forget(lab)
  }
  return failed / asked
}

describe('the search for a NAT port', () => {
  test.for(settings)('fails as often as the page says: $name', async (setting, ctx) => {
    if (skipReason !== undefined) return ctx.skip(skipReason)
    const { predicted, seen } = await withNatLab(async (lab) => {
      await lab.server.call('serve', [SERVER.port])
      lab.rules(
        `table ip nat { chain post { type nat hook postrouting priority 100; oifname "n1" meta l4proto tcp ${setting.rule}; }; }`,
      )
      return withNodeExporter(FLAGS, async (exporter) => {
        // What makes the namespace one that translates.
        await lab.client.call('connect', {
          to: { ...SERVER, address: '10.77.2.3' },
          from: clientPeers(1),
          timeoutMs: 500,
        })
        take(lab, setting)
        const page = await readFreshNat(exporter, lab.netns)
        const name = 'ephemeral_port_nat_failure_probability_ratio'
        const free = page.value('ephemeral_port_pool_available_ports', {
          netns: lab.netns,
          pool: 'nat_tcp',
        })
        return {
          predicted: page.value(name, { netns: lab.netns, pool: 'nat_tcp' }),
          seen: await failedShare(lab, free),
        }
      })
    })
    const chance = 4 * Math.sqrt((predicted * (1 - predicted)) / ASKED)
    console.log(`${setting.name}: predicted ${predicted.toFixed(3)}, failed ${seen.toFixed(3)}`)
    expect(Math.abs(predicted - seen)).toBeLessThan(isWhole ? 0.1 : 0.02 + chance)
  })
})
