// Reading of the namespaces that are due: its sockets -> model -> what is known of it now.

import type { PortDoubt, PortMarks, PortTests } from '../model/hidden-ports.ts'
import type { Step } from '../model/step.ts'
import type { Namespaces } from '../namespaces/namespaces.ts'
import type { NamespaceReading } from '../observation.ts'
import { allow, spend } from './allowance.ts'
import type { BucketWatch } from './bucket-watch.ts'
import {
  noteBound,
  notePrograms,
  noteRead,
  noteReadError,
  noteTry,
  noteTunnels,
} from './last-read.ts'
import type { NodeNames } from './node-names.ts'
import type { Peers } from './peers.ts'
import { NO_PROBES, type Prober } from './prober.ts'
import { createRangeWatch } from './ranges.ts'
import { judgeReadError } from './read-error.ts'
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
  /** Reads those that are due, as far as the budget and the time allow. */
  readDue(list: WatchList, budgetSeconds: number, watch: Stopwatch): Promise<WhatWasRead>
  /** Whether an allocation was seen to fail in it lately. */
  isFailing(one: Watched): boolean
}

export interface WhatWasRead {
  /** CPU seconds that the first looks cost. */
  readonly firstSeconds: number
  /** Namespaces that were due at once, or have never been read, and have to wait for the next sample. */
  readonly postponed: number
}

/**
 * A program that failed a while ago may fail again: its namespace is read at every sample for as long as alerts look
 * back.
 */
const FAILING_SECONDS = 300
/**
 * Limits the reading of a sample by the clock on the wall, since a silent kernel costs no CPU. The sample is far from
 * its deadline of a minute then.
 */
const LATE_SECONDS = 10
/** Limits namespaces that cannot be read to this part of LATE_SECONDS. */
const FAILED_LATE_SECONDS = 5
/** Bounds of namespaces that are not shown that are looked at in one sample. */
const BOUNDS_IN_TURN = 100

/** A device may come, or go. */
const TUNNELS_SECONDS = 60

const NO_MARKS: PortMarks = new Map()
/** Where buckets tell of all ambiguous ports: what is left to be tested has no connection to know it by. */
const noMarks = () => NO_MARKS

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
  /** Whose bound is looked at next, of those that are left out. */
  let boundTurn = 0

  /** Returns the CPU seconds that it cost. */
  async function read(one: Watched, watch: Stopwatch): Promise<number> {
    const { identity, last } = one
    const before = clocks.cpuSeconds()
    noteTry(last, clocks.monotonicSeconds())
    const { namespace, pod } = identity
    const readSpec = () => names.specOf(pod)
    try {
      await namespaces.read(namespace, (reading) => advance(one, reading, watch), readSpec)
      noteReadError(last, undefined)
    } catch (error) {
      noteReadError(last, judgeReadError(error))
    }
    return clocks.cpuSeconds() - before
  }

  function advance(one: Watched, reading: NamespaceReading, watch: Stopwatch): void {
    const { identity, last } = one
    const atSeconds = clocks.monotonicSeconds()
    const { probeMemory: memory } = last
    const probing = reading.canProbe ? prober : undefined
    const reader = reading.canProbe ? buckets : undefined
    const { range, reservedText } = reading.settings
    const ask = reading.canProbe ? peers?.asker(range) : undefined
    const look = reading.canProbe ? peers?.looker(range) : undefined
    const list = reading.canProbe ? peers?.lister() : undefined
    const nameOwners = names.nameOwnersOf(identity.namespace.id)
    let isResolved = false
    const testPorts = (doubt: PortDoubt): PortTests | undefined => {
      const resolved = watch.timeAside(() => reader?.resolve(doubt))
      isResolved = resolved !== undefined
      const tested = probing?.testsOf(memory, last.state, isResolved ? noMarks : doubt.marks)
      return resolved && tested ? new Map([...tested, ...resolved]) : (resolved ?? tested)
    }
    if (probing === undefined) memory.probes = NO_PROBES
    else probing.allocate(memory)
    const { state, namespace, ambiguousPorts, unseenPorts } = watch.timeModel(() =>
      step(
        last.model,
        {
          ...reading,
          // Ids that nothing resolves are worth less than uids.
          ownersBy: names.cgroups ? reading.ownersBy : reading.ownersBy && 'user',
          batches: watch.timeReads(reading.batches),
          tunnelPorts: reading.canProbe ? tunnelPortsOf(one, atSeconds) : undefined,
          activeOpens: reading.activeOpens && reading.activeOpens - memory.opens,
        },
        {
          atSeconds,
          unixSeconds: clocks.unixSeconds(),
          nameOwners: (by, ids) => watch.timeAside(() => nameOwners(by, ids)),
          askTimestamps: ask && ((remote) => watch.timeAside(() => ask(remote))),
          lookTimestamps: look && ((see) => watch.timeAside(() => look(see))),
          listListeners: list && ((see) => watch.timeAside(() => list(see))),
          refused: last.refused,
          readDevices: reading.canProbe
            ? (indexes) => watch.timeAside(() => peers?.devices(indexes))
            : undefined,
          bindRefused: memory.probes.some((one) => one.pool === 'tcp_bind' && !one.success),
          testPorts: reader === undefined && probing === undefined ? undefined : testPorts,
        },
      ),
    )
    const ports = { range, reservedText }
    noteRead(last, { model: state, state: namespace, ports, pod: identity.pod }, atSeconds)
    if (ambiguousPorts !== undefined) {
      probing?.testPorts(memory, isResolved ? unseenPorts : ambiguousPorts)
    }
    notePrograms(last, names.programsOf(one))
    identity.initial = reading.netns === 'host'
  }

  function isFailing({ last }: Watched): boolean {
    return clocks.monotonicSeconds() - last.failedAtSeconds < FAILING_SECONDS
  }

  /** Looked up now and then, where a UDP socket has been on its port for long enough to be a tunnel's. */
  function tunnelPortsOf({ last }: Watched, atSeconds: number): ReadonlySet<number> | undefined {
    const udp = last.state?.protocols.find(({ protocol }) => protocol === 'udp')
    if ((udp?.listeners ?? 0) === 0) return undefined
    if (atSeconds - (last.tunnels?.readAtSeconds ?? -Infinity) >= TUNNELS_SECONDS) {
      noteTunnels(last, { readAtSeconds: atSeconds, ports: peers?.tunnelPorts() })
    }
    return last.tunnels?.ports
  }

  function sortByUrgency(list: WatchList): Record<Urgency, Watched[]> {
    const due: Record<Urgency, Watched[]> = { now: [], first: [], turn: [] }
    for (const one of list.shown) {
      const { state, readError, boundPorts } = one.last
      const { own } = one.identity.namespace
      if (list.blind && !own) continue
      const failed = readError !== undefined
      const failing = isFailing(one)
      const usablePorts = failed || failing ? undefined : ranges.countUsable(one)
      due[judgeUrgency({ own, state, failed, failing, boundPorts, usablePorts })].push(one)
    }
    return due
  }

  function bound({ identity, last }: Watched): void {
    try {
      noteBound(last, namespaces.boundPorts(identity.namespace))
    } catch (error) {
      judgeReadError(error)
      noteBound(last, undefined)
    }
  }

  return {
    isFailing,
    boundAll(list) {
      if (list.blind) return
      const waiting: Watched[] = []
      for (const one of list.all.values()) {
        if (one.published.leftOut) waiting.push(one)
        else bound(one)
      }
      for (const one of waiting.slice(boundTurn, boundTurn + BOUNDS_IN_TURN)) bound(one)
      boundTurn = boundTurn + BOUNDS_IN_TURN < waiting.length ? boundTurn + BOUNDS_IN_TURN : 0
    },
    async readDue(list, budgetSeconds, watch) {
      const startedAtSeconds = clocks.monotonicSeconds()
      const isLaterThan = (seconds: number) => () =>
        clocks.monotonicSeconds() - startedAtSeconds > seconds
      const isLate = isLaterThan(LATE_SECONDS)
      const allowances = allow(budgetSeconds)
      ranges.renewAllowance()
      const due = sortByUrgency(list)
      const changed = ranges.findChanged(due.turn)
      const queues = queueUp([...due.now, ...changed])
      const readOne = (one: Watched) => read(one, watch)
      for (const one of queues.own) await readOne(one)
      await spend(
        queues.failed,
        0,
        allowances.failedSeconds,
        readOne,
        isLaterThan(FAILED_LATE_SECONDS),
      )
      await spend(queues.busy, 0, allowances.busySeconds, readOne, isLate)
      const fresh = due.first.toSorted(
        (a, b) => (b.last.boundPorts ?? 0) - (a.last.boundPorts ?? 0),
      )
      const spentFirst = clocks.cpuSeconds()
      await spend(fresh, 0, allowances.firstSeconds, readOne, isLate)
      const firstSeconds = clocks.cpuSeconds() - spentFirst
      const waiting = due.turn
        .filter((one) => !changed.includes(one))
        .toSorted((a, b) => (a.last.readAtSeconds ?? 0) - (b.last.readAtSeconds ?? 0))
      turnCredit = await spend(waiting, turnCredit, allowances.turnSeconds, readOne, isLate)
      const postponed = [...due.now, ...changed, ...due.first].filter(
        ({ last }) => last.triedAtSeconds < startedAtSeconds,
      ).length
      return { firstSeconds, postponed }
    },
  }
}

/** Who was tried longest ago comes first, so that all get their turn where there is not enough for all. */
function queueUp(due: readonly Watched[]): Record<'own' | 'failed' | 'busy', readonly Watched[]> {
  const queue = due.toSorted((a, b) => a.last.triedAtSeconds - b.last.triedAtSeconds)
  const isOwn = ({ identity }: Watched) => identity.namespace.own || identity.initial
  return {
    own: queue.filter(isOwn),
    failed: queue.filter((one) => !isOwn(one) && one.last.readError !== undefined),
    busy: queue.filter((one) => !isOwn(one) && one.last.readError === undefined),
  }
}
