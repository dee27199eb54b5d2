// Truth, through the running program: random sockets in a throwaway namespace, what /metrics promises about them, and
// then what the kernel really grants until it refuses.

import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, describe, expect, test } from 'vitest'
import { whyNoBuckets } from '../kernel/bpf/permitted.ts'
import { withNetns } from '../support/netns/actor.ts'
import { type Page, readFreshPage } from '../support/netns/actor-page.ts'
import { whyNotExact } from '../support/netns/live.ts'
import {
  applySettings,
  describeMix,
  type Mix,
  type MixKind,
  makeMix,
  plainSettings,
} from '../support/netns/mix.ts'
import { actions, hiddenActions, openListeners } from '../support/netns/mix-actions.ts'
import { fillBesideCanary, type Proof, type Proofs, proveAll } from '../support/netns/mix-proof.ts'
import { depth, isDeep } from '../support/program/depth.ts'

const FLAGS = [
  '--sample.interval=100ms',
  '--sample.cpu-budget=1',
  '--top=1000',
  '--web.disable-exporter-metrics',
]
/** What tells of ports whose bind history is hidden, however much of the pool is in use. */
const TELLERS = {
  probe: ['--no-collector.buckets', '--collector.probe', '--detail.min-utilization=0'],
  buckets: ['--collector.buckets', '--detail.min-utilization=0'],
  nobody: ['--no-collector.buckets'],
} as const
/** A question about peers rests for a hundred times as long as its answer took, which is long on a busy machine. */
const MOST_REST_MS = 120_000
const skipReasons = {
  probe: whyNotExact(),
  buckets: await whyNoBuckets(),
  nobody: whyNotExact(),
}
const skipReason = skipReasons.nobody

interface MixSet {
  readonly kind: MixKind
  readonly teller: keyof typeof TELLERS
  readonly title: string
  readonly firstSeed: number
  readonly mixes: number
}

interface Outcome extends Proofs {
  readonly mix: Mix
}

async function runMix(seed: number, { kind, teller }: MixSet): Promise<Outcome> {
  return withNetns(async (netns) => {
    const watch = async () => {
      await netns.call('startExporter', { flags: [...FLAGS, ...TELLERS[teller]] })
      // The ages of TIME_WAITs are whole seconds.
      await delay(1000)
    }
    // Of TIME_WAITs from before its start the exporter does not know whether our own timestamps were on.
    const isExact = teller === 'buckets'
    const mix = await makeMix(netns, { seed, kind, ...(isExact && { watch }) })
    if (!isExact) await watch()
    const doubts: string[] = []
    const readFresh = async () => {
      // What one sample finds by probing is in the numbers of the next.
      if (teller === 'probe') await readFreshPage(netns)
      let page = await readFreshPage(netns)
      if (teller !== 'buckets') return page
      const untilMs = performance.now() + MOST_REST_MS
      while (listDoubts(page).length > 0 && performance.now() < untilMs) {
        page = await readFreshPage(netns)
      }
      doubts.push(...listDoubts(page))
      return page
    }
    const fill = teller === 'probe' ? fillBesideCanary : undefined
    const { proofs, contradictions } = await proveAll(netns, readFresh, fill)
    return { mix, proofs, contradictions: [...contradictions, ...doubts] }
  })
}

/** Where the page does not claim to know everything. */
function listDoubts(page: Page): string[] {
  const { exactness } = page.list('ephemeral_port_source_info')[0]?.labels ?? {}
  const uncertain = page.value('ephemeral_port_pool_uncertain_ports', { pool: 'tcp_connect' })
  return exactness === 'exact' && uncertain === 0 ? [] : [`${exactness}, ${uncertain} in doubt`]
}

/** Undefined where the kernel did as promised. */
function judge({ kind, teller }: MixSet, proof: Proof): string | undefined {
  const { pool, what, predicted, unused, granted, refusals } = proof
  const { unseen = 0, certain = 0 } = proof
  // In an odd range each search skips the first or the last port: TCP may be refused while that one is free.
  const slack = kind === 'odd' && pool !== 'udp' ? 1 : 0
  const hidden = kind === 'hidden' && teller === 'nobody' && pool === 'tcp_connect'
  const least = hidden ? 0 : predicted - slack - unseen
  const wrong = [
    granted > predicted && 'under-estimated',
    granted < least && 'over-estimated',
    granted < certain - slack && `${certain} of them were called certain`,
    granted < unused - slack && `unused ${unused} above the truth`,
    refusals.some((refusal) => !refusalsOf[pool].includes(refusal ?? '')) && 'ended otherwise',
  ].filter((problem) => problem !== false)
  if (wrong.length === 0) return undefined
  const told = `predicted ${predicted}, the kernel granted ${granted} (${refusals.join(', ')})`
  return `${pool} ${what}: ${told}: ${wrong.join(', ')}`
}

/** How a pool says that it is empty. */
const refusalsOf: Readonly<Record<Proof['pool'], readonly string[]>> = {
  tcp_connect: ['EADDRNOTAVAIL'],
  tcp_bind: ['EADDRINUSE'],
  udp: ['EADDRINUSE', 'EAGAIN'],
}

/** What a set must have made at least once; the odd one is about the ranges. */
function requiredBy(kind: MixKind, action: string): boolean {
  return kind !== 'odd' && hiddenActions.has(action) === (kind === 'hidden')
}

/** Runs one mix ahead of the one asked for, so that two namespaces are always busy. */
function createRunner(seeds: readonly number[], set: MixSet) {
  const outcomes = new Map<number, Promise<Outcome>>()

  function start(seed: number): Promise<Outcome> {
    const outcome = outcomes.get(seed) ?? runMix(seed, set)
    outcomes.set(seed, outcome)
    outcome.catch(() => {}) // reported where it is awaited
    return outcome
  }

  return {
    run(seed: number): Promise<Outcome> {
      const outcome = start(seed)
      const next = seeds[seeds.indexOf(seed) + 1]
      if (next !== undefined) void start(next)
      return outcome
    },
    finish: () => Promise.allSettled(outcomes.values()),
  }
}

const sets: readonly MixSet[] = [
  {
    kind: 'even',
    teller: 'nobody',
    title: 'even ranges: exactly as predicted',
    firstSeed: 1,
    mixes: depth(40, 5),
  },
  {
    kind: 'odd',
    teller: 'nobody',
    title: 'odd ranges: as predicted or one less',
    firstSeed: 101,
    mixes: depth(12, 2),
  },
  {
    kind: 'hidden',
    teller: 'nobody',
    title: 'hidden bind history: never more than predicted',
    firstSeed: 201,
    mixes: depth(12, 2),
  },
  {
    kind: 'hidden',
    teller: 'probe',
    title: 'hidden bind history with --collector.probe: exactly as predicted',
    firstSeed: 201,
    mixes: depth(8, 2),
  },
  {
    kind: 'hidden',
    teller: 'buckets',
    title:
      'hidden bind history with --collector.buckets: exactly as predicted, and said to be exact',
    firstSeed: 301,
    mixes: depth(24, 3),
  },
]

describe.for(sets)('$title', (set) => {
  const { kind, teller, firstSeed, mixes } = set
  const skipReason = skipReasons[teller]
  const seeds = Array.from({ length: mixes }, (_, index) => firstSeed + index)
  const runner = createRunner(seeds, set)
  afterAll(runner.finish)

  test.for(seeds)('seed %i', async (seed, context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    const { mix, proofs, contradictions } = await runner.run(seed)
    const wrong = proofs.map((proof) => judge(set, proof)).filter((line) => line !== undefined)
    expect([...wrong, ...contradictions], describeMix(mix)).toEqual([])
  })

  // A few mixes cannot have it all.
  if (!isDeep) return
  test('the mixes leave nothing out that the set is about', async (context) => {
    if (skipReason !== undefined) return context.skip(skipReason)
    const outcomes = await Promise.all(seeds.map((seed) => runner.run(seed)))
    const names = Object.keys(actions).filter((name) => requiredBy(kind, name))
    const idle = names.filter((name) => !outcomes.some(({ mix }) => (mix.made[name] ?? 0) > 0))
    expect(idle).toEqual([])

    const proofs = outcomes.flatMap((outcome) => outcome.proofs)
    expect(new Set(proofs.map(({ pool }) => pool))).toEqual(new Set(Object.keys(refusalsOf)))
    // Otherwise nothing was hidden.
    const over = proofs.filter(({ predicted, granted }) => granted < predicted)
    if (kind === 'hidden' && teller === 'nobody') expect(over.length).toBeGreaterThan(0)
  })
})

// Of three ports TCP never visits the last one; UDP has no such rule.
const tiny = [
  { size: 1, tcp: 1, udp: 1 },
  { size: 2, tcp: 2, udp: 2 },
  { size: 3, tcp: 2, udp: 3 },
]

test.for(tiny)('a range of $size gives TCP $tcp ports and UDP $udp', async (expected, context) => {
  if (skipReason !== undefined) return context.skip(skipReason)
  const { proofs } = await withNetns(async (netns) => {
    await applySettings(netns, { ...plainSettings, first: 40_000, last: 39_999 + expected.size })
    await openListeners(netns)
    await netns.call('startExporter', { flags: FLAGS })
    return proveAll(netns)
  })
  const ports = ({ pool }: Proof) => (pool === 'udp' ? expected.udp : expected.tcp)
  const told = proofs.map(({ what, predicted, granted }) => ({ what, predicted, granted }))
  const right = proofs.map((proof) => {
    return { what: proof.what, predicted: ports(proof), granted: ports(proof) }
  })
  expect(told).toEqual(right)
})
