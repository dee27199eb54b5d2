// The worker's side of the probe collector: what is tried inside a namespace while it is read.

import type { Libc } from '../kernel/libc.ts'
import {
  choosePorts,
  keepUnchanged,
  levelShares,
  noteTests,
  type PortMarks,
  type PortTests,
} from '../model/hidden-ports.ts'
import { canaryPools, probeAllocation } from '../probes/canary.ts'
import { probePorts } from '../probes/port.ts'
import type { SamplingSettings } from '../settings.ts'
import type { NamespaceState, Probe, Snapshot } from '../snapshot.ts'

/** What the prober remembers of one namespace. */
export interface ProbeMemory {
  probes: readonly Probe[]
  probedAtSeconds: number
  tests: PortTests
  /** Marks of the sample before the tests. */
  marks: PortMarks
  /** Ports of its share that it has not used yet: below one where many namespaces share. */
  credit: number
  /** connect() calls of ours that Tcp ActiveOpens counts. */
  opens: number
}

export interface Prober {
  /** What to tell the model of the ports of a sample; undefined where testing them is not worth it. */
  testsOf(
    memory: ProbeMemory,
    state: NamespaceState | undefined,
    marks: () => PortMarks,
  ): PortTests | undefined
  /** Makes the canaries that are due. To be called inside the namespace, before its sockets are listed. */
  allocate(memory: ProbeMemory): void
  /** Tests some of the ports. To be called inside the namespace. */
  testPorts(memory: ProbeMemory, ambiguousPorts: readonly number[]): void
  /** Ends a sample: what is tried next belongs to another. */
  collector(): Snapshot['collectors'][number]
}

export interface ProberOptions extends Pick<SamplingSettings, 'detailMinUtilization'> {
  readonly libc: Libc
  readonly monotonicSeconds: () => number
  readonly random: () => number
}

/** Ports tested in one sample in all namespaces together, 50 us each. */
const PORTS_TESTED = 200
/** A canary in a full pool makes the kernel search for 20 ms: it may take one percent of the time. */
const REST_FACTOR = 100

/** Nothing was tried. */
export const NO_PROBES: readonly Probe[] = []

export function startProbeMemory(): ProbeMemory {
  return {
    probes: NO_PROBES,
    probedAtSeconds: Number.NEGATIVE_INFINITY,
    tests: new Map(),
    marks: new Map(),
    credit: 0,
    opens: 0,
  }
}

export function createProber(options: ProberOptions): Prober {
  const { libc, monotonicSeconds, random } = options
  let problem: string | undefined
  /** Whether some port was tested since collector() was called. */
  let tested = false
  let durationSeconds = 0
  let left = PORTS_TESTED
  /** How many ports the namespaces of this sample are in doubt about; those of the last one decide the shares. */
  let wants: number[] = []
  let share = PORTS_TESTED

  function allocate(memory: ProbeMemory): void {
    const cost = memory.probes.reduce((sum, probe) => sum + probe.durationSeconds, 0)
    if (monotonicSeconds() - memory.probedAtSeconds < REST_FACTOR * cost) return
    memory.probedAtSeconds = monotonicSeconds()
    memory.probes = canaryPools.flatMap(
      (pool) => probeAllocation(libc, pool, monotonicSeconds) ?? [],
    )
  }

  function testPorts(memory: ProbeMemory, ambiguous: readonly number[]): void {
    wants.push(ambiguous.length)
    memory.credit = Math.min(memory.credit + share, Math.max(share, 1))
    const limit = Math.min(Math.floor(memory.credit), left)
    const chosen = choosePorts(ambiguous, memory.tests, { limit, random })
    memory.credit -= chosen.length
    left -= chosen.length
    const answers = probePorts(libc, chosen)
    if (chosen.length > 0) {
      // What one namespace refuses is not undone by the next.
      problem = (tested ? problem : undefined) ?? answers.problem
      tested = true
    }
    memory.opens += answers.usable.length
    const nowSeconds = monotonicSeconds()
    memory.tests = noteTests(memory.tests, answers, { ambiguous, nowSeconds })
  }

  function time(call: () => void): void {
    const before = monotonicSeconds()
    call()
    durationSeconds += monotonicSeconds() - before
  }

  return {
    testsOf(memory, state, marks) {
      const pool = state?.pools.find((one) => one.pool === 'tcp_connect')
      if (pool === undefined) return undefined
      const { capacityPorts, unusedPorts } = pool
      // What could be hidden decides, not what is in sight: a port with sockets may be closed to everybody. Where
      // sockets are not seen they may hold any share of the ports.
      const isWorth =
        unusedPorts === undefined ||
        capacityPorts - unusedPorts >= options.detailMinUtilization * capacityPorts
      if (!isWorth) return undefined
      const now = marks()
      memory.tests = keepUnchanged(memory.tests, {
        before: memory.marks,
        now,
        nowSeconds: monotonicSeconds(),
      })
      memory.marks = now
      return memory.tests
    },
    allocate: (memory) => time(() => allocate(memory)),
    testPorts: (memory, ambiguous) => time(() => testPorts(memory, ambiguous)),
    collector() {
      const row = {
        collector: 'probe',
        success: problem === undefined,
        durationSeconds,
        problem,
      }
      durationSeconds = 0
      tested = false
      share = levelShares(PORTS_TESTED, wants)
      wants = []
      left = PORTS_TESTED
      return row
    },
  }
}
