// The node as the sampling worker sees it: one sample of all namespaces, one of our own alone -> what each cost. The
// sampler's own arithmetic sets pace and budget, so that what stretches the interval in production does so here.

import { openLibc } from '../../../src/kernel/libc.ts'
import { createStep } from '../../../src/model/step.ts'
import { createOneNamespace, type Namespaces } from '../../../src/namespaces/namespaces.ts'
import { openNamespaces } from '../../../src/namespaces/open-namespaces.ts'
import type { Sample } from '../../../src/sample.ts'
import { advanceCost, isStrained, stretchInterval } from '../../../src/sampler/budget.ts'
import type { Namespace } from '../../../src/snapshot.ts'
import { openNetlinkSource } from '../../../src/sources/netlink.ts'
import { createNodeNames } from '../../../src/worker/node-names.ts'
import { createTakeSample } from '../../../src/worker/take-sample.ts'
import { createThreadCpuClock } from '../../../src/worker/thread-cpu.ts'
import { createMeter } from '../cost/usage.ts'

export interface NodeSample {
  /** CPU time of all threads, without what listing the crowded namespace cost. */
  readonly cpuMs: number
  /** What that cost. */
  readonly crowdedMs: number
  /** What listing quiet ones in turn cost, a part of `cpuMs`. */
  readonly turnMs: number
  /** The rest of `cpuMs`: finding namespaces, their bounds and ranges, and telling of all of them. */
  readonly findingMs: number
  readonly namespaces: number
  readonly unreadable: number
  readonly intervalSeconds: number
}

export interface Node {
  /** As with --netns=all. */
  sampleAll(): Promise<NodeSample>
  /** As with --netns=self. */
  sampleSelf(): Promise<{ readonly cpuMs: number }>
  /** Reads every namespace, whatever it costs, and gets past the time in which processes and namespaces are young. */
  settle(): Promise<void>
}

const BUDGET = { configuredIntervalMs: 5000, cpuRatio: 0.02 }
/** Processes are young for a minute, and names are waited for 30 s. */
const SETTLING_SAMPLES = 20
const UNLIMITED_SECONDS = 1000

/** `crowdedInode` tells the namespace whose listing is measured by itself; it may come later. */
export async function openNode(crowdedInode: () => number | undefined): Promise<Node> {
  const meter = createMeter()
  const libc = await openLibc()
  let skippedSeconds = 0
  const monotonicSeconds = () => skippedSeconds + performance.now() / 1000
  const source = await openNetlinkSource({
    procfs: '/proc',
    platform: 'linux',
    ownPort: undefined,
    everyNamespace: true,
    openLibc: async () => libc,
  })
  const all = openNamespaces(source, {
    procfs: '/proc',
    everyNamespace: true,
    monotonicSeconds,
    libc,
  })
  const spent = { own: 0, crowded: 0, turn: 0 }
  const metered: Namespaces = {
    ...all,
    async read(namespace, use, spec) {
      const isCrowded = namespace.inode !== undefined && namespace.inode === crowdedInode()
      const kind = namespace.own ? 'own' : isCrowded ? 'crowded' : 'turn'
      const { cost, result } = await meter.measure(['self'], () => all.read(namespace, use, spec))
      spent[kind] += cost.cpuMs
      return result
    },
  }
  const createSampling = (namespaces: Namespaces) =>
    createTakeSample({
      namespaces,
      step: createStep({
        top: 10,
        peakWindowSeconds: 120,
        forecastHorizonSeconds: 900,
        destinations: true,
        owners: true,
        listeners: true,
      }),
      names: createNodeNames({
        procfs: '/proc',
        cgroup: undefined,
        owners: true,
        kubernetes: false,
        monotonicSeconds,
      }),
      clocks: {
        unixSeconds: () => Date.now() / 1000,
        monotonicSeconds,
        cpuSeconds: createThreadCpuClock(),
      },
      failureWatch: undefined,
      prober: undefined,
      buckets: undefined,
      mostNamespaces: Infinity,
      detailMinUtilization: 0.2,
    })
  const takeAll = createSampling(metered)
  const takeSelf = createSampling(createOneNamespace(source))

  let said = new Map<string, Namespace>()
  let costSeconds: number | undefined
  let intervalSeconds = BUDGET.configuredIntervalMs / 1000

  function remember(sample: Sample): void {
    const namespaces = sample.namespaces.flatMap((one) =>
      typeof one === 'string' ? (said.get(one) ?? []) : one,
    )
    said = new Map(namespaces.map((one) => [one.netns, one]))
    costSeconds = advanceCost(costSeconds, sample.cpuSeconds)
    intervalSeconds = stretchInterval(BUDGET, costSeconds, isStrained(namespaces)) / 1000
  }

  return {
    async sampleAll() {
      Object.assign(spent, { own: 0, crowded: 0, turn: 0 })
      const budgetSeconds = intervalSeconds * BUDGET.cpuRatio
      const { cost, result } = await meter.measure(['self'], () => takeAll(budgetSeconds))
      remember(result)
      skippedSeconds += intervalSeconds
      return {
        cpuMs: cost.cpuMs - spent.crowded,
        crowdedMs: spent.crowded,
        turnMs: spent.turn,
        findingMs: cost.cpuMs - spent.own - spent.crowded - spent.turn,
        namespaces: said.size,
        unreadable: result.readErrors.length,
        intervalSeconds,
      }
    },
    async sampleSelf() {
      const { cost } = await meter.measure(['self'], () => takeSelf(BUDGET.cpuRatio * 5))
      return { cpuMs: cost.cpuMs }
    },
    async settle() {
      costSeconds = undefined
      intervalSeconds = BUDGET.configuredIntervalMs / 1000
      await takeAll(UNLIMITED_SECONDS)
      for (let sample = 0; sample < SETTLING_SAMPLES; sample++) {
        skippedSeconds += 5
        remember(await takeAll(intervalSeconds * BUDGET.cpuRatio))
        await takeSelf(BUDGET.cpuRatio * 5)
      }
    },
  }
}
