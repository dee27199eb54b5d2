// What holds the ports of each pool and why: census, accounts and the last causes -> heldPorts and cause of every pool.

import type { Cause, Holder, PoolName } from '../snapshot.ts'
import type { Census } from './census.ts'
import { type DestinationColumns, findTwin } from './destinations.ts'
import { copyKey } from './flows.ts'
import { createHeldCounter, type Held } from './held-ports.ts'
import { type OwnerMemory, weighOwners } from './owners/memory.ts'
import type { NameOwner } from './owners/rows.ts'
import { advancePileUp, type PileUp } from './pile-up.ts'
import { type CauseMemory, judgeCause } from './pool-cause.ts'
import type { Ports } from './ports.ts'

/** What one sample leaves for the next. Plain data. */
export interface CausesState {
  readonly causes: Readonly<Partial<Record<PoolName, CauseMemory>>>
  readonly pileUp: PileUp | undefined
}

export interface CausesInput {
  readonly census: Census
  readonly ports: Ports
  readonly columns: DestinationColumns
  readonly boundInDoubt: Uint8Array | undefined
  readonly range: { readonly first: number; readonly last: number }
  readonly ipv6: boolean
  /** The destination with the fewest ports left, by its index in the flow table; -1 for none. */
  readonly worst: number
  readonly atSeconds: number
  /** Undefined where nothing tells owners. */
  readonly owners: { readonly memory: OwnerMemory; readonly nameOwner: NameOwner } | undefined
}

export interface PoolHoldings {
  readonly heldPorts: Readonly<Record<Holder, number>>
  readonly cause: Cause | undefined
}

/** Returns the pools with what holds them added. */
export type AdvanceCauses = <P extends { readonly pool: PoolName }>(
  state: CausesState | undefined,
  pools: readonly P[],
  input: CausesInput,
) => { readonly state: CausesState; readonly pools: readonly (P & PoolHoldings)[] }

/** Creates the function; it keeps memory for its tables, nothing that a call leaves for the next. */
export function createCauses(): AdvanceCauses {
  const countHeld = createHeldCounter()

  return (state, pools, input) => {
    const { census, ports, columns, boundInDoubt, range, ipv6, worst, owners } = input
    const twin = worst < 0 ? -1 : findTwin(census.flows, worst)
    const heldOf = countHeld({
      ...{ census, ports, columns, boundInDoubt, ipv6, worst, twin },
      ...{ firstPort: range.first, lastPort: range.last },
    })
    const causes: Partial<Record<PoolName, CauseMemory>> = {}
    let pileUp = state?.pileUp
    const withHoldings = pools.map((one) => {
      const { pool } = one
      const held = heldOf(pool)
      if (pool === 'tcp_connect') {
        const { open, closing } = held.groups
        pileUp = advancePileUp(
          pileUp,
          { atSeconds: input.atSeconds, open, closing },
          ports.tcp.capacity,
        )
      }
      const judged = judgeCause(held, state?.causes[pool], {
        pool,
        pilingUp: pileUp?.pilingUp,
        remembered: recallOwners(held, input, pool === 'tcp_connect' ? worst : -1),
        idOf: (owner) => census.owners?.table.value(owner) ?? -1,
        nameOwner: owners?.nameOwner,
      })
      if (judged !== undefined) causes[pool] = judged.memory
      return { ...one, heldPorts: held.ports, cause: judged?.cause }
    })
    return { state: { causes, pileUp }, pools: withHoldings }
  }
}

/** Whose the sockets were that have no owner any more: of the worst destination, or of all that are remembered. */
function recallOwners(
  { groups }: Held,
  { owners, census }: CausesInput,
  worst: number,
): ReadonlyMap<number, number> | undefined {
  if (owners === undefined || groups.closing === 0) return undefined
  const key = worst < 0 ? undefined : copyKey(census.flows, worst)
  const weights = new Map<number, number>()
  for (const destination of owners.memory.destinations) {
    if (key !== undefined && destination.key.some((word, at) => word !== key[at])) continue
    for (const [id, weight] of weighOwners(destination)) {
      weights.set(id, (weights.get(id) ?? 0) + weight)
    }
  }
  return weights
}
