// Reading of the namespaces that are due: its sockets -> model -> what is known of it now.

import type { PortDoubt, PortTests } from '../model/hidden-ports.ts'
import type { Step } from '../model/step.ts'
import type { Namespaces } from '../namespaces/namespaces.ts'
import type { NamespaceReading } from '../observation.ts'
import { allow, spend } from './allowance.ts'
import type { BucketWatch } from './bucket-watch.ts'
import type { NodeNames } from './node-names.ts'
import type { Peers } from './peers.ts'
import type { Prober } from './prober.ts'
import { createRangeWatch } from './ranges.ts'
import { judgeFailure } from './read-failure.ts'
import type { Stopwatch } from './stopwatch.ts'
import { judgeUrgency, type Urgency } from './urgency.ts'
import type { WatchList } from './watch-list.ts'
import type { Watched } from './watched.ts'

export interface SampleClocks {
  readonly unixSeconds: () => number
  /** A clock that never steps. */
  readonly monotonicSeconds: () => number
  /** CPU time of the calling thread so far. */
  readonly cpuSeconds: () => number
}

export interface ReadingOptions {
  readonly namespaces: Namespaces
  readonly step: Step
  readonly names: NodeNames
  readonly clocks: SampleClocks
  /** Undefined where nothing is tried. */
  readonly prober: Prober | undefined
  /** Undefined where bind buckets are not to be read. */
  readonly buckets: BucketWatch | undefined
  /** Undefined where live connections cannot be asked. */
  readonly peers?: Peers | undefined
}

export interface Reading {
  /** Learns how many ports each can hold at most. */
  boundAll(list: WatchList): void
  /** Reads those that are due within the budget; returns the CPU seconds that the first looks cost. */
  readDue(list: WatchList, budgetSeconds: number, watch: Stopwatch): Promise<number>
}

/** A program that failed a while ago may fail again: its namespace is read at every sample for as long as alerts look back. */
const FAILING_SECONDS = 300

export function createReading({
  namespaces,
  step,
  names,
  clocks,
  prober,
  buckets,
  peers,
}: ReadingOptions): Reading {
  const ranges = createRangeWatch({ namespaces, names, clocks })
  let turnCredit = 0

  /** Returns the CPU seconds that it cost. */
  async function read(one: Watched, watch: Stopwatch): Promise<number> {
    const { identity, last } = one
    const before = clocks.cpuSeconds()
    const spec = names.specOf(identity.pod)
    try {
      await namespaces.read(identity.namespace, (reading) => advance(one, reading, watch), spec)
      last.failure = undefined
    } catch (error) {
      last.failure = judgeFailure(error)
    }
    return clocks.cpuSeconds() - before
  }

  function advance(one: Watched, reading: NamespaceReading, watch: Stopwatch): void {
    const { identity, last } = one
    const atSeconds = clocks.monotonicSeconds()
    const { probeMemory: memory } = last
    const probing = reading.canProbe ? prober : undefined
    const reader = reading.canProbe ? buckets : undefined
    const ask = reading.canProbe ? peers?.asker(reading.settings.range) : undefined
    let isResolved = false
    const testPorts = (doubt: PortDoubt): PortTests | undefined => {
      const resolved = watch.timeAside(() => reader?.resolve(doubt))
      const tested = probing?.testsOf(memory, last.state)
      isResolved = resolved !== undefined
      return resolved && tested ? new Map([...tested, ...resolved]) : (resolved ?? tested)
    }
    probing?.allocate(memory)
    const { state, namespace, ambiguousPorts, unseenPorts } = watch.timeModel(() =>
      step(
        last.model,
        {
          ...reading,
          // Ids that nothing resolves are worth less than uids.
          ownersBy: names.cgroups ? reading.ownersBy : reading.ownersBy && 'user',
          batches: watch.timeReads(reading.batches),
          activeOpens: reading.activeOpens && reading.activeOpens - memory.opens,
        },
        {
          atSeconds,
          unixSeconds: clocks.unixSeconds(),
          nameOwners: names.nameOwnersOf(identity.namespace.id),
          askTimestamps: ask && ((remote) => watch.timeAside(() => ask(remote))),
          refused: last.refused,
          readDevices: reading.canProbe
            ? (indexes) => watch.timeAside(() => peers?.devices(indexes))
            : undefined,
          bindRefused: memory.probes.some((one) => one.pool === 'tcp_bind' && !one.success),
          testPorts: reader === undefined && probing === undefined ? undefined : testPorts,
        },
      ),
    )
    last.model = state
    last.state = namespace
    last.readAtSeconds = atSeconds
    last.refused = []
    last.rangeAtSeconds = atSeconds
    if (ambiguousPorts !== undefined) {
      probing?.testPorts(memory, isResolved ? unseenPorts : ambiguousPorts)
    }
    last.programs = names.programsOf(one)
    identity.initial = reading.netns === 'host'
  }

  function sortByUrgency(list: WatchList): Record<Urgency, Watched[]> {
    const now = clocks.monotonicSeconds()
    const due: Record<Urgency, Watched[]> = { now: [], first: [], turn: [] }
    for (const one of list.all.values()) {
      const { state, failure, boundPorts, failedAtSeconds } = one.last
      const { own } = one.identity.namespace
      if (list.blind && !own) continue
      const failed = failure !== undefined
      const failing = now - failedAtSeconds < FAILING_SECONDS
      const usablePorts = failed || failing ? undefined : ranges.countUsable(one)
      due[judgeUrgency({ own, state, failed, failing, boundPorts, usablePorts })].push(one)
    }
    return due
  }

  return {
    boundAll(list) {
      if (list.blind) return
      for (const { identity, last } of list.all.values()) {
        try {
          last.boundPorts = namespaces.boundPorts(identity.namespace)
        } catch (error) {
          judgeFailure(error)
          last.boundPorts = undefined
        }
      }
    },
    async readDue(list, budgetSeconds, watch) {
      const due = sortByUrgency(list)
      const allowances = allow(budgetSeconds)
      const changed = ranges.findChanged(due.turn)
      for (const one of [...due.now, ...changed]) await read(one, watch)
      const fresh = due.first.toSorted(
        (a, b) => (b.last.boundPorts ?? 0) - (a.last.boundPorts ?? 0),
      )
      let firstSeconds = 0
      await spend(fresh, 0, allowances.firstSeconds, async (one) => {
        const seconds = await read(one, watch)
        firstSeconds += seconds
        return seconds
      })
      const waiting = due.turn
        .filter((one) => !changed.includes(one))
        .toSorted((a, b) => (a.last.readAtSeconds ?? 0) - (b.last.readAtSeconds ?? 0))
      const readInTurn = (one: Watched) => read(one, watch)
      turnCredit = await spend(waiting, turnCredit, allowances.turnSeconds, readInTurn)
      return firstSeconds
    },
  }
}
