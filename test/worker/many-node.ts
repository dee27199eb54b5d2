// A node of many namespaces, sample by sample, for tests of what is read when.

import { createNatStep } from '../../src/model/nat/step.ts'
import { createStep } from '../../src/model/step.ts'
import type { Namespaces } from '../../src/namespaces/namespaces.ts'
import type { Sample } from '../../src/sample.ts'
import type { Namespace } from '../../src/snapshot.ts'
import { createClientNames } from '../../src/worker/client-names.ts'
import { createNatWatch } from '../../src/worker/nat-watch.ts'
import { createNodeNames } from '../../src/worker/node-names.ts'
import { createTakeSample } from '../../src/worker/take-sample.ts'
import { readingOf } from '../model/nat/conntrack.ts'
import { plainSocket } from '../support/kernel/netlink-builder.ts'
import {
  createReading,
  plainSettings,
  plainStepOptions,
  replayDumps,
} from '../support/kernel/readings.ts'
import { buildNetNamespace, untracked } from '../support/netns/net-namespace.ts'

export const READ_SECONDS = 0.004
const TRANSLATED = {
  client: '10.0.0.1:1024',
  answers: '198.51.100.9:443',
  nat: '203.0.113.7:20000',
}
const nothingCounted = {
  limit: 262_144,
  found: [0],
  insertFailed: [0],
  drop: [0],
  clashResolve: [0],
}

/** A node of the test's making: what each namespace holds, what it is bounded by, and how often it was read. */
export function createNode(ids: readonly number[], mostNamespaces = Infinity) {
  const node = {
    ids: [...ids],
    bounds: new Map<number, number | Error>(),
    sockets: new Map<number, number>(),
    ranges: new Map<number, { first: number; last: number }>(),
    failing: [] as readonly number[],
    /** Of looks at the range alone. */
    rangeRefusal: undefined as Error | undefined,
    refusals: new Map<number, Error>(),
    /** Seconds that pass on the wall while one is read. */
    hangs: new Map<number, number>(),
    /** Entries of conntrack; without one nothing is tracked. */
    tracked: new Map<number, number>(),
    /** Which namespace was asked for its addresses. */
    asked: [] as number[],
    /** Names in /run/netns, and when the oldest process started. */
    names: new Map<number, string>(),
    born: new Map<number, number>(),
    reads: new Map<number, number>(),
    listing: undefined as Error | undefined,
  }
  let now = 1000
  let cpu = 0
  const namespaceOf = (id: number) => {
    const name = node.names.get(id)
    return buildNetNamespace({
      ...{ id, own: id === 1, inode: 4_000_000_000 + id, processAgeSeconds: 100 },
      ...{ bornSeconds: node.born.get(id) ?? id, names: name === undefined ? [] : [name] },
    })
  }
  const rangeOf = (id: number) => node.ranges.get(id) ?? { first: 32_768, last: 60_999 }
  const namespaces: Namespaces = {
    list: () => {
      if (node.listing) throw node.listing
      return node.ids.map(namespaceOf)
    },
    boundPorts: ({ id }) => {
      const bound = node.bounds.get(id) ?? 5
      if (bound instanceof Error) throw bound
      return bound
    },
    readPortSettings: ({ id }) => {
      if (node.rangeRefusal) throw node.rangeRefusal
      return { range: rangeOf(id), reservedText: '' }
    },
    ...untracked,
    conntrack: ({ id }) => {
      const entries = node.tracked.get(id)
      return entries === undefined ? undefined : { ...nothingCounted, entries }
    },
    inside: (_namespace, call) => call(),
    read: ({ id }, use) => {
      node.reads.set(id, (node.reads.get(id) ?? 0) + 1)
      cpu += READ_SECONDS
      now += node.hangs.get(id) ?? 0
      const refusal = node.refusals.get(id)
      if (refusal) throw refusal
      const range = rangeOf(id)
      const sockets = Array.from({ length: node.sockets.get(id) ?? 0 }, (_, index) => ({
        ...plainSocket,
        localPort: range.first + index,
      }))
      return use(
        createReading(replayDumps([{ protocol: 'tcp', explicit: false, sockets }]), {
          ...plainSettings,
          range,
        }),
      )
    },
  }
  const clocks = {
    unixSeconds: () => now,
    monotonicSeconds: () => now,
    cpuSeconds: () => cpu,
  }
  const natWatch = createNatWatch({
    namespaces,
    source: { read: (_memory, _entries, use) => use(readingOf([TRANSLATED])) },
    step: createNatStep({ ...plainStepOptions, natRanges: [] }),
    natRanges: [],
    clientNames: createClientNames({
      read: ({ id }) => {
        node.asked.push(id)
        now += node.hangs.get(id) ?? 0
        return []
      },
      namePod: () => undefined,
      monotonicSeconds: () => now,
    }),
    clocks,
  })
  const takeSample = createTakeSample({
    namespaces,
    step: createStep(plainStepOptions),
    names: createNodeNames({
      procfs: '/proc',
      cgroup: undefined,
      owners: false,
      kubernetes: false,
      monotonicSeconds: () => now,
    }),
    failureWatch: {
      read: () => ({
        instancePath: '',
        reading: { rings: [], events: node.failing.map(failureIn), problem: undefined },
        present: [],
        named: [],
      }),
      collector: () => ({ collector: 'failures', success: true, durationSeconds: 0 }),
      absence: () => undefined,
    },
    prober: undefined,
    buckets: undefined,
    clocks,
    natWatch,
    detailMinUtilization: 0.2,
    mostNamespaces,
  })
  const said = new Map<string, Namespace>()
  return {
    ...node,
    node,
    /** Takes samples; gives what the main thread would then know. */
    async sample(times = 1, budgetSeconds = 0.1) {
      let readErrors: readonly string[] = []
      let namespaces: Namespace[] = []
      let leftOut: Sample['leftOut'] = { namespaces: 0, postponed: 0 }
      let cpuSeconds = 0
      let recorded: Sample['recorded']
      let durations: Sample['durations'] = { discover: 0, read: 0, model: 0, other: 0 }
      for (let time = 0; time < times; time++) {
        now += 5
        const sample = await takeSample(budgetSeconds)
        readErrors = sample.readErrors
        leftOut = sample.leftOut
        recorded = sample.recorded
        cpuSeconds = sample.cpuSeconds
        durations = sample.durations
        namespaces = sample.namespaces.flatMap((one) =>
          typeof one === 'string' ? (said.get(one) ?? []) : one,
        )
        for (const one of namespaces) said.set(one.netns, one)
      }
      return {
        readErrors,
        leftOut,
        recorded,
        cpuSeconds,
        durations,
        namespaces,
        names: namespaces.map(({ netns }) => netns),
      }
    },
    readsOf: (id: number) => node.reads.get(id) ?? 0,
  }
}

function failureIn(id: number) {
  const [netns, owner] = [`inode/${4_000_000_000 + id} ${id}`, undefined]
  return { cpu: 0, pid: 1, netns, owner, source: '10.0.0.5', destination: '10.0.0.9:443', count: 1 }
}

export const nameOf = (id: number) => `inode/${4_000_000_000 + id}`
export const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1)
