// Port ranges of namespaces whose sockets are not listed now: namespaces, and what pods say -> who has another range than was
// known. A look costs 0.1 ms.

import type { Namespaces } from '../namespaces/namespaces.ts'
import type { PortRange } from '../observation.ts'
import type { NodeNames } from './node-names.ts'
import { judgeFailure } from './read-failure.ts'
import type { Watched } from './watched.ts'

export interface RangeWatch {
  /** Ports it may choose from; for one that was never read those of its range, which need not be the default one. */
  countUsable(one: Watched): number | undefined
  /**
   * A namespace that waits because it can hold few ports may have been given a smaller range since, as by a runtime that
   * starts a pod: so some of them are looked at in each sample, in turn.
   */
  findChanged(waiting: readonly Watched[]): readonly Watched[]
}

export interface RangeWatchOptions {
  readonly namespaces: Pick<Namespaces, 'readRange'>
  readonly names: Pick<NodeNames, 'specOf'>
  readonly clocks: { readonly monotonicSeconds: () => number }
}

/** In one sample. */
const RANGES_LOOKED_AT = 10

export function createRangeWatch({ namespaces, names, clocks }: RangeWatchOptions): RangeWatch {
  /** Where it may not be looked at, it is what the spec of the pod says, which may come to be known later. */
  function look({ identity: { namespace, pod } }: Watched): PortRange | 'failed' | undefined {
    const inSpec = names.specOf(pod)?.range
    try {
      return namespaces.readRange(namespace) ?? inSpec
    } catch (error) {
      return judgeFailure(error).reason === 'permission' ? inSpec : 'failed'
    }
  }

  function isChanged(one: Watched): boolean {
    const range = look(one)
    // Reading will say why.
    if (range === 'failed') return true
    const known = one.last.state?.settings
    return (
      range !== undefined && (range.first !== known?.firstPort || range.last !== known.lastPort)
    )
  }

  return {
    countUsable(one) {
      const { state } = one.last
      if (state !== undefined || one.identity.namespace.own) return state?.settings.usablePorts
      const range = look(one)
      return typeof range === 'object' ? range.last - range.first + 1 : undefined
    },
    findChanged(waiting) {
      const now = clocks.monotonicSeconds()
      const turn = waiting.toSorted((a, b) => a.last.rangeAtSeconds - b.last.rangeAtSeconds)
      return turn.slice(0, RANGES_LOOKED_AT).filter((one) => {
        one.last.rangeAtSeconds = now
        return isChanged(one)
      })
    },
  }
}
