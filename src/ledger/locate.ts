// Where a failure was whose thread has ended: a destination is exhausted only by the sockets that lead to it, so the
// one namespace that has many of them is it. Pure.

import type { FailureEvent } from '../sample.ts'
import type { DestinationRow, Namespace, NamespaceState } from '../snapshot.ts'

/** A destination with less than that of its ports taken cannot have refused a connection a sample ago. */
const EXHAUSTED_RATIO = 0.9

export type Locate = (failure: Pick<FailureEvent, 'source' | 'destination'>) => string | undefined

/**
 * Creates the look-up by source address and destination. It gives the key of the namespace that has all but exhausted
 * the destination; undefined where no namespace has, or more than one. The rows are looked through once, at the first
 * question, so that a storm of failures costs a look-up each.
 */
export function createLocate(
  namespaces: readonly { readonly key: string; readonly state: Namespace['state'] }[],
): Locate {
  let keys: ReadonlyMap<string, string | undefined> | undefined
  return ({ source, destination }) => {
    if (destination === undefined) return undefined
    keys ??= indexExhausted(namespaces)
    return keys.get(`${source} ${destination}`)
  }
}

/** Maps source and destination to the key of the namespace, and to undefined where there are several. */
function indexExhausted(
  namespaces: readonly { readonly key: string; readonly state: Namespace['state'] }[],
): ReadonlyMap<string, string | undefined> {
  const keys = new Map<string, string | undefined>()
  for (const { key, state } of namespaces) {
    for (const { source, destination, utilizationRatio } of listFullest(state)) {
      if (utilizationRatio < EXHAUSTED_RATIO) continue
      // The device that its sockets are bound to is left out.
      const flow = `${source.replace(/%.*$/, '')} ${destination}`
      keys.set(flow, !keys.has(flow) || keys.get(flow) === key ? key : undefined)
    }
  }
  return keys
}

/** Lists the fullest destinations. The worst one is known even where the rows of destinations are switched off. */
function listFullest(
  state: NamespaceState | undefined,
): readonly Pick<DestinationRow, 'source' | 'destination' | 'utilizationRatio'>[] {
  const worst = state?.pools.flatMap(({ worstDestination, utilizationRatio }) =>
    worstDestination === undefined ? [] : [{ ...worstDestination, utilizationRatio }],
  )
  return [...(state?.destinations?.rows ?? []), ...(worst ?? [])]
}
