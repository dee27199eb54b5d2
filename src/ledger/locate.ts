// Where a failure was whose thread has ended: a destination is exhausted only by the sockets that lead to it, so the one
// namespace that has many of them is it. Pure.

import type { FailureEvent } from '../sample.ts'
import type { DestinationRow, Namespace, NamespaceState } from '../snapshot.ts'

/** A destination with less than that of its ports taken cannot have refused a connection a sample ago. */
const EXHAUSTED_RATIO = 0.9

/** Undefined where no namespace, or more than one, has all but exhausted the destination from that source address. */
export function locateFailure(
  namespaces: readonly { readonly key: string; readonly state: Namespace['state'] }[],
  { source, destination }: Pick<FailureEvent, 'source' | 'destination'>,
): string | undefined {
  const keys = namespaces.flatMap(({ key, state }) =>
    listFullest(state).some(
      (row) =>
        row.destination === destination &&
        // Without the device that its sockets are bound to.
        row.source.replace(/%\d+$/, '') === source &&
        row.utilizationRatio >= EXHAUSTED_RATIO,
    )
      ? [key]
      : [],
  )
  return keys.length === 1 ? keys[0] : undefined
}

/** Without the rows of the destinations, which may be switched off, the worst of them is known all the same. */
function listFullest(
  state: NamespaceState | undefined,
): readonly Pick<DestinationRow, 'source' | 'destination' | 'utilizationRatio'>[] {
  const worst = state?.pools.flatMap(({ worstDestination, utilizationRatio }) =>
    worstDestination === undefined ? [] : [{ ...worstDestination, utilizationRatio }],
  )
  return [...(state?.destinations?.rows ?? []), ...(worst ?? [])]
}
