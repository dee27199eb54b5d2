// One sample: the namespaces there are, those of them that are due read and modelled -> Sample.

import type { Step } from '../model/step.ts'
import { chooseName, createNameRegister } from '../namespaces/names.ts'
import type { Place } from '../namespaces/place.ts'
import type { World } from '../namespaces/world.ts'
import type { NamespaceReading } from '../observation.ts'
import type { GivenName, Recorded, Sample } from '../sample.ts'
import type { NetnsName } from '../snapshot.ts'
import { allow, spend } from './allowance.ts'
import type { FailureWatch } from './failure-watch.ts'
import type { NodeNames } from './node-names.ts'
import type { Prober } from './prober.ts'
import { createRangeWatch } from './ranges.ts'
import { type Failure, judgeFailure } from './read-failure.ts'
import { createStopwatch, type Stopwatch } from './stopwatch.ts'
import { judgeUrgency } from './urgency.ts'
import {
  describeNamespace,
  isDetailed,
  isLasting,
  lastingKeyOf,
  listProbeOpens,
  recallProbeOpens,
  startWatching,
  type Watched,
} from './watched.ts'

export interface SampleClocks {
  readonly unixSeconds: () => number
  /** A clock that never steps. */
  readonly monotonicSeconds: () => number
  /** CPU time of the calling thread so far. */
  readonly cpuSeconds: () => number
}

export interface SampleOptions {
  readonly world: World
  readonly step: Step
  readonly names: NodeNames
  readonly clocks: SampleClocks
  /** Undefined where failures are not counted. */
  readonly failureWatch: FailureWatch | undefined
  /** Undefined where nothing is tried. */
  readonly prober: Prober | undefined
  readonly detailMinUtilization: number
  /** Of an earlier worker, by lasting key: the names it gave, and how many connections its probes made. */
  readonly given?: readonly GivenName[] | undefined
  readonly opens?: ReadonlyMap<string, number> | undefined
}

/** A process that cannot be listed now and then is no reason to forget everything. */
const BLIND_SAMPLES = 2
/** Who failed a while ago may fail again: it is read at every sample for as long as the alert looks back. */
const FAILING_SECONDS = 300

/** Creates the sampling function; it keeps what is known of each namespace between calls. */
export function createTakeSample(
  options: SampleOptions,
): (budgetSeconds: number) => Promise<Sample> {
  const { world, step, names, clocks } = options
  const ranges = createRangeWatch({ world, names, clocks })
  const register = createNameRegister()
  let watched = new Map<number, Watched>()
  const given = new Map(options.given)
  let named: GivenName[] = []
  let turnCredit = 0
  /** In a row, that could not list the namespaces. */
  let blindSamples = 0

  function listPlaces(): readonly Place[] | Failure {
    try {
      return world.list()
    } catch (error) {
      return judgeFailure(error)
    }
  }

  /**
   * When /proc cannot be listed all stay as they were: it is not known who has gone. Said of the others is what was read
   * last, but not for long.
   */
  function meetAll(places: readonly Place[] | Failure, now: number): void {
    if ('reason' in places) {
      blindSamples++
      for (const one of watched.values()) {
        if (!one.place.own && blindSamples > BLIND_SAMPLES) one.failure = places
      }
      return
    }
    blindSamples = 0
    const before = watched
    const met: Watched[] = []
    watched = new Map(
      places.map((place) => {
        let one = before.get(place.id)
        if (one === undefined) {
          one = startWatching(place, now)
          met.push(one)
        }
        one.place = place
        return [place.id, one]
      }),
    )
    if (met.length > 0) {
      // One that has another id now is the same to the kernel.
      const opens = new Map([...(options.opens ?? []), ...listProbeOpens(before.values())])
      for (const one of met) recallProbeOpens(one, opens)
    }
    register.retain(watched)
  }

  function lookAt(one: Watched): void {
    try {
      one.boundPorts = world.boundPorts(one.place)
    } catch (error) {
      judgeFailure(error)
      one.boundPorts = undefined
    }
  }

  async function read(one: Watched, watch: Stopwatch): Promise<number> {
    const before = clocks.cpuSeconds()
    try {
      await world.read(one.place, (reading) => advance(one, reading, watch), names.specOf(one.pod))
      one.failure = undefined
    } catch (error) {
      one.failure = judgeFailure(error)
    }
    return clocks.cpuSeconds() - before
  }

  function advance(one: Watched, reading: NamespaceReading, watch: Stopwatch): void {
    const atSeconds = clocks.monotonicSeconds()
    const { probeMemory: memory } = one
    // Only netlink is asked from inside the namespace.
    const prober = reading.reader === 'netlink' ? options.prober : undefined
    const { state, namespace, ambiguousPorts } = step(
      one.model,
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
        nameOwners: names.nameOwnersOf(one.place.id),
        portTests: prober?.testsOf(memory, one.state),
      },
    )
    one.model = state
    one.state = namespace
    one.readAtSeconds = atSeconds
    one.rangeAtSeconds = atSeconds
    prober?.probe(memory, ambiguousPorts)
    one.initial = reading.netns === 'host'
  }

  /** Reads what is due; returns what the first looks cost. */
  async function readDue(budgetSeconds: number, watch: Stopwatch): Promise<number> {
    const now = clocks.monotonicSeconds()
    const due = { now: [] as Watched[], first: [] as Watched[], turn: [] as Watched[] }
    for (const one of watched.values()) {
      const { state, failure, boundPorts } = one
      const { own } = one.place
      if (blindSamples > 0 && !own) continue
      const failed = failure !== undefined
      const failing = now - one.failedAtSeconds < FAILING_SECONDS
      const usablePorts = failed || failing ? undefined : ranges.countUsable(one)
      due[judgeUrgency({ own, state, failed, failing, boundPorts, usablePorts })].push(one)
    }
    const allowances = allow(budgetSeconds)
    const changed = ranges.findChanged(due.turn)
    for (const one of [...due.now, ...changed]) await read(one, watch)
    const fresh = due.first.toSorted((a, b) => (b.boundPorts ?? 0) - (a.boundPorts ?? 0))
    let firstSeconds = 0
    await spend(fresh, 0, allowances.firstSeconds, async (one) => {
      const seconds = await read(one, watch)
      firstSeconds += seconds
      return seconds
    })
    const waiting = due.turn
      .filter((one) => !changed.includes(one))
      .toSorted((a, b) => (a.readAtSeconds ?? 0) - (b.readAtSeconds ?? 0))
    turnCredit = await spend(waiting, turnCredit, allowances.turnSeconds, (one) => read(one, watch))
    return firstSeconds
  }

  function nameAll(now: number): void {
    named = []
    for (const [id, one] of watched) {
      names.identify(one)
      if (one.name !== undefined || (one.state === undefined && one.failure === undefined)) continue
      const { place } = one
      const isHost = place.ofInit || one.initial
      const key = isLasting(place) ? lastingKeyOf(one) : undefined
      const name =
        takeGiven(key) ??
        chooseName({
          special: isHost ? 'host' : place.own ? 'self' : undefined,
          podUid: one.podUid,
          pod: one.pod,
          containerId: one.containerId,
          names: place.names,
          inode: place.inode ?? place.netInode,
          ageSeconds: now - one.firstSeenSeconds,
          processAgeSeconds: place.processAgeSeconds,
          kubernetes: names.kubernetes,
        })
      if (name === undefined) continue
      one.name = { ...name, netns: register.give(id, name.netns) }
      if (key !== undefined) named.push([key, one.name])
    }
  }

  /** Once: a name given belongs to one namespace. */
  function takeGiven(key: string | undefined): NetnsName | undefined {
    if (key === undefined) return undefined
    const name = given.get(key)
    given.delete(key)
    return name
  }

  function noteFailing(recorded: Recorded | undefined, now: number): void {
    const failing = new Set(recorded?.reading?.events.map(({ netns }) => netns))
    if (failing.size === 0) return
    for (const one of watched.values()) {
      if (failing.has(lastingKeyOf(one))) one.failedAtSeconds = now
    }
  }

  function describeAll(): Sample['namespaces'] {
    const rows: {
      readonly netns: string
      readonly own: boolean
      readonly row: Sample['namespaces'][number]
    }[] = []
    for (const one of watched.values()) {
      one.detailed = isDetailed(one, options.detailMinUtilization)
      const row = describeNamespace(one)
      if (row === undefined) continue
      rows.push({ netns: row.netns, own: one.place.own, row: row === one.said ? row.netns : row })
      one.said = row
    }
    return rows
      .sort((a, b) => Number(b.own) - Number(a.own) || (a.netns < b.netns ? -1 : 1))
      .map(({ row }) => row)
  }

  return async (budgetSeconds) => {
    const cpuBefore = clocks.cpuSeconds()
    const watch = createStopwatch(clocks.monotonicSeconds)
    const now = clocks.monotonicSeconds()
    const places = listPlaces()
    meetAll(places, now)
    if (blindSamples === 0) for (const one of watched.values()) lookAt(one)
    watch.discovered()
    const firstSeconds = await readDue(budgetSeconds, watch)
    nameAll(now)
    names.retain(watched)
    const recorded = options.failureWatch?.read(watched.values())
    noteFailing(recorded, now)
    const namespaces = describeAll()
    // First, so that this less the durations is never later than the sample began.
    const takenAtSeconds = clocks.unixSeconds()
    const durations = watch.stop()
    const failed = [...watched.values()].flatMap(({ failure }) => failure?.reason ?? [])
    const listed = !('reason' in places)
    return {
      takenAtSeconds,
      durations,
      namespaces,
      failures: listed ? failed : [...failed, places.reason],
      collectors: [
        {
          collector: 'sockets',
          success: listed && failed.length < watched.size,
          durationSeconds: durations.discover + durations.read + durations.model,
        },
        ...names.collectors(),
        ...[options.failureWatch, options.prober].flatMap((one) => one?.collector() ?? []),
      ],
      cpuSeconds: clocks.cpuSeconds() - cpuBefore - firstSeconds,
      recorded,
      named,
      opens: listProbeOpens(watched.values()),
      wanted: names.wanted(),
    }
  }
}
