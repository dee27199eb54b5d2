// Port settings of namespaces whose sockets are not listed now: namespaces, and what pods say -> who may choose from
// other ports than was known. A look costs 0.1 ms, and as much as 6 ms where somebody wants it to: looks have an
// allowance.

import { parseReservedPorts } from '../kernel/sysctl.ts'
import type { Namespaces } from '../namespaces/namespaces.ts'
import type { PortRange } from '../observation.ts'
import { noteRangeLook } from './last-read.ts'
import type { NodeNames } from './node-names.ts'
import { judgeReadError } from './read-error.ts'
import type { Watched } from './watched.ts'

export interface RangeWatch {
  /** Call it once a sample. What looks cost too much in it they owe to the next ones. */
  renewAllowance(): void
  /**
   * Ports it may choose from; for one that was never read those of its range, which need not be the default one.
   * Undefined where that is not known, or nothing is left for a look.
   */
  countUsable(one: Watched): number | undefined
  /**
   * Finds those of the namespaces that wait because they can hold few ports whose ports have changed since they were
   * read. A runtime that starts a pod writes its sysctls after the namespace was made, and the spec of a pod comes to
   * be known later: new ones and specs are looked at in each sample, the others in turn.
   */
  findChanged(waiting: readonly Watched[]): readonly Watched[]
}

export interface RangeWatchOptions {
  readonly namespaces: Pick<Namespaces, 'readPortSettings'>
  readonly names: Pick<NodeNames, 'specOf'>
  readonly clocks: { readonly monotonicSeconds: () => number; readonly cpuSeconds: () => number }
}

/** CPU seconds that looks may cost in one sample: 250 new namespaces are looked at in each. */
const ALLOWED_SECONDS = 0.025
/** How many that are not new are looked at in one sample. */
const LOOKED_AT_IN_TURN = 40
/** However busy the machine, a runtime has written the sysctls of a new namespace by then. */
const NEW_SECONDS = 60

export function createRangeWatch({ namespaces, names, clocks }: RangeWatchOptions): RangeWatch {
  /** CPU seconds that are left. */
  let left = 0

  function charge<T>(look: () => T): T {
    const before = clocks.cpuSeconds()
    try {
      return look()
    } finally {
      left -= clocks.cpuSeconds() - before
    }
  }

  function isChanged({ identity, last: { ports } }: Watched): boolean {
    try {
      const seen = namespaces.readPortSettings(identity.namespace)
      if (seen === undefined) return false
      return (
        seen.range.first !== ports?.range.first ||
        seen.range.last !== ports.range.last ||
        seen.reservedText !== ports.reservedText
      )
    } catch (error) {
      // Of any other failure reading will say why.
      return judgeReadError(error).reason !== 'permission'
    }
  }

  /** Where they may not be looked at, they are what the spec of the pod says, which may come to be known later. */
  function lookFirst({ identity: { namespace, pod } }: Watched): number | undefined {
    try {
      const seen = namespaces.readPortSettings(namespace)
      if (seen !== undefined) return countOpen(seen.range, parseReservedPorts(seen.reservedText))
    } catch (error) {
      if (judgeReadError(error).reason !== 'permission') return undefined
    }
    const { range, reserved = [] } = names.specOf(pod) ?? {}
    return range && countOpen(range, reserved)
  }

  return {
    renewAllowance() {
      left = Math.min(left + ALLOWED_SECONDS, ALLOWED_SECONDS)
    },
    countUsable(one) {
      const { state } = one.last
      if (state !== undefined || one.identity.namespace.own) return state?.settings.usablePorts
      // Half is for those of which something is known: the others are read soon.
      return left > ALLOWED_SECONDS / 2 ? charge(() => lookFirst(one)) : undefined
    },
    findChanged(waiting) {
      const now = clocks.monotonicSeconds()
      const isNew = ({ identity }: Watched) => now - identity.firstSeenSeconds < NEW_SECONDS
      const byTurn = waiting.toSorted((a, b) => a.last.rangeAtSeconds - b.last.rangeAtSeconds)
      const turn = new Set(byTurn.filter((one) => !isNew(one)).slice(0, LOOKED_AT_IN_TURN))
      const changed = new Set(waiting.filter(isSpecNew))
      // A namespace whose looks are dear waits for the others, and they do not wait for it.
      for (const one of byTurn.filter((one) => isNew(one) || turn.has(one))) {
        if (left <= 0) break
        noteRangeLook(one.last, now)
        if (charge(() => isChanged(one))) changed.add(one)
      }
      return [...changed]
    },
  }
}

/** Whether a spec with port settings has come to be known since it was read, and nothing else tells them. */
function isSpecNew({ identity: { pod }, last }: Watched): boolean {
  if (last.state === undefined || last.state.rangeOrigin === 'sysctl') return false
  const isSet = pod?.portRange !== undefined || pod?.reservedPorts !== undefined
  return isSet && pod !== last.pod
}

/** Ports of the range that are not reserved; `reserved` is disjoint. */
function countOpen({ first, last }: PortRange, reserved: readonly PortRange[]): number {
  const taken = reserved.map((one) => Math.min(last, one.last) - Math.max(first, one.first) + 1)
  return taken.reduce((open, ports) => open - Math.max(0, ports), last - first + 1)
}
