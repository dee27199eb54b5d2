// Port settings of namespaces whose sockets are not listed now: namespaces, and what pods say -> who may choose from other
// ports than was known. A look costs 0.1 ms.

import type { Namespaces, SpecSettings } from '../namespaces/namespaces.ts'
import type { PortRange } from '../observation.ts'
import type { NamespaceState } from '../snapshot.ts'
import type { NodeNames } from './node-names.ts'
import { judgeFailure } from './read-failure.ts'
import type { Watched } from './watched.ts'

export interface RangeWatch {
  /** Ports it may choose from; for one that was never read those of its range, which need not be the default one. */
  countUsable(one: Watched): number | undefined
  /**
   * Finds those of the namespaces that wait because they can hold few ports whose ports have changed since they were read. A
   * runtime that starts a pod writes its sysctls after the namespace was made, and the spec of a pod comes to be known
   * later: new ones and specs are looked at in each sample, the others in turn.
   */
  findChanged(waiting: readonly Watched[]): readonly Watched[]
}

export interface RangeWatchOptions {
  readonly namespaces: Pick<Namespaces, 'readPortSettings'>
  readonly names: Pick<NodeNames, 'specOf'>
  readonly clocks: { readonly monotonicSeconds: () => number }
}

/** How many that are not new are looked at in one sample. */
const LOOKED_AT_IN_TURN = 40
/** However busy the machine, a runtime has written the sysctls of a new namespace by then. */
const NEW_SECONDS = 60

export function createRangeWatch({ namespaces, names, clocks }: RangeWatchOptions): RangeWatch {
  /** Where they may not be looked at, they are what the spec of the pod says, which may come to be known later. */
  function look({ identity: { namespace, pod } }: Watched): SpecSettings | 'failed' | undefined {
    const inSpec = names.specOf(pod)
    try {
      return namespaces.readPortSettings(namespace) ?? inSpec
    } catch (error) {
      return judgeFailure(error).reason === 'permission' ? inSpec : 'failed'
    }
  }

  function isChanged(one: Watched): boolean {
    const seen = look(one)
    // Reading will say why.
    if (seen === 'failed') return true
    return seen !== undefined && differs(seen, one.last.state)
  }

  /** Compares what only the spec tells; it takes no look. */
  function isSpecChanged({ identity: { pod }, last: { state } }: Watched): boolean {
    if (state === undefined || state.rangeOrigin === 'sysctl') return false
    const inSpec = names.specOf(pod)
    return inSpec !== undefined && differs(inSpec, state)
  }

  return {
    countUsable(one) {
      const { state } = one.last
      if (state !== undefined || one.identity.namespace.own) return state?.settings.usablePorts
      const seen = look(one)
      if (typeof seen !== 'object' || seen.range === undefined) return undefined
      return countOpen(seen.range, seen.reserved ?? [])
    },
    findChanged(waiting) {
      const now = clocks.monotonicSeconds()
      const isNew = ({ identity }: Watched) => now - identity.firstSeenSeconds < NEW_SECONDS
      const turn = waiting
        .filter((one) => !isNew(one))
        .sort((a, b) => a.last.rangeAtSeconds - b.last.rangeAtSeconds)
        .slice(0, LOOKED_AT_IN_TURN)
      const looked = new Set([...waiting.filter(isNew), ...turn])
      for (const one of looked) one.last.rangeAtSeconds = now
      return waiting.filter((one) => isSpecChanged(one) || (looked.has(one) && isChanged(one)))
    },
  }
}

function differs({ range, reserved }: SpecSettings, state: NamespaceState | undefined): boolean {
  if (state === undefined) return true
  const { firstPort, lastPort, reservedRanges } = state.settings
  if (range !== undefined && (range.first !== firstPort || range.last !== lastPort)) return true
  return reserved !== undefined && nameRanges(reserved) !== nameRanges(reservedRanges)
}

function nameRanges(ranges: readonly PortRange[]): string {
  return ranges.map(({ first, last }) => `${first}-${last}`).join()
}

/** Ports of the range that are not reserved; `reserved` is disjoint. */
function countOpen({ first, last }: PortRange, reserved: readonly PortRange[]): number {
  const taken = reserved.map((one) => Math.min(last, one.last) - Math.max(first, one.first) + 1)
  return taken.reduce((open, ports) => open - Math.max(0, ports), last - first + 1)
}
