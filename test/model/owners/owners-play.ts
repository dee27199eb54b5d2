// One sample after another, five seconds apart, with names for cgroup ids and uids: through the whole reducer, or through the
// stages alone that owners need, which is what simulations and properties can afford.

import { createCensusTaker } from '../../../src/model/census.ts'
import { type ClosedMemory, createClosedPorts } from '../../../src/model/closed-ports.ts'
import { createOwnersModel, type OwnersState } from '../../../src/model/owners/owners.ts'
import { listeningPorts, renderListeners } from '../../../src/model/rows.ts'
import { createStep, type ModelOptions, type ModelState } from '../../../src/model/step.ts'
import type { NamespaceReading, Protocol } from '../../../src/observation.ts'
import type { ListenerRow, NamespaceState, OwnerName, OwnerRow } from '../../../src/snapshot.ts'
import { nothingKnown } from '../accounts.ts'

const options: ModelOptions = {
  top: 10,
  peakWindowSeconds: 120,
  forecastHorizonSeconds: 900,
  destinations: true,
  listeners: true,
  owners: true,
}
const INTERVAL_SECONDS = 5

export interface PlayOptions extends Partial<ModelOptions> {
  readonly nameOwner?: (id: number, by: 'cgroup' | 'user') => OwnerName | undefined
  /** Gets the ids of each sample. */
  readonly asked?: (by: 'cgroup' | 'user', ids: readonly number[]) => void
}

/** Ids from 900 on cannot be resolved. */
function nameAny(id: number): OwnerName | undefined {
  return id < 900 ? { owner: `${id}.service`, ownerKind: 'unit' } : undefined
}

/** A resolver that insists on having been asked for an id before. */
function resolve({ nameOwner = nameAny, asked }: PlayOptions) {
  return (by: 'cgroup' | 'user', ids: ReadonlySet<number>) => {
    asked?.(by, [...ids])
    return (id: number) => {
      if (!ids.has(id)) throw new Error(`Not asked for before: ${id}`)
      return nameOwner(id, by)
    }
  }
}

export function createPlayer(changes: PlayOptions = {}): {
  play(reading: NamespaceReading): NamespaceState
  wait(seconds: number): void
} {
  const step = createStep({ ...options, ...changes })
  const nameOwners = resolve(changes)
  let atSeconds = 0
  let state: ModelState | undefined
  return {
    play(reading) {
      const context = { atSeconds, unixSeconds: 1_700_000_000 + atSeconds, nameOwners }
      const taken = step(state, reading, context)
      state = taken.state
      atSeconds += INTERVAL_SECONDS
      return taken.namespace
    },
    wait(seconds) {
      atSeconds += seconds
    },
  }
}

export interface OwnersSeen {
  readonly owners: readonly OwnerRow[]
  readonly listeners: readonly ListenerRow[]
  readonly usedPorts: Readonly<Record<Protocol, number>>
}

export interface OwnersPlayer {
  play(reading: NamespaceReading): OwnersSeen
  state(): OwnersState
  /** Goes on with another state, such as one that was stored. */
  restore(state: OwnersState): void
  wait(seconds: number): void
}

export function createOwnersPlayer(changes: PlayOptions = {}): OwnersPlayer {
  const { top } = { ...options, ...changes }
  const takeCensus = createCensusTaker({ owners: true })
  const advanceOwners = createOwnersModel()
  const nameOwners = resolve(changes)
  let atSeconds = 0
  const findClosed = createClosedPorts()
  let before: ClosedMemory | undefined
  let state: OwnersState | undefined
  return {
    play({ settings, batches, ownersBy, protocols }) {
      const census = takeCensus(settings, batches, ownersBy)
      if (census.owners === undefined) throw new Error('Nothing tells owners')
      const { first: firstPort, last: lastPort } = settings.range
      const context = { ...nothingKnown, before, atSeconds }
      const { ports, columns, memory } = findClosed({ census, settings, ...context })
      const { listeners } = memory
      before = memory
      const now = advanceOwners(state, {
        ...{ census, owners: census.owners, ports, columns, firstPort, lastPort },
        ...{ listeners, protocols, top, atSeconds, nameOwners },
      })
      state = now.state
      atSeconds += INTERVAL_SECONDS
      return {
        owners: now.rows,
        listeners: renderListeners(listeningPorts(census.listeners, ports), top, now.nameOwner)
          .rows,
        usedPorts: { tcp: ports.tcpUsed, udp: ports.udpUsed },
      }
    },
    state() {
      if (state === undefined) throw new Error('Nothing was played')
      return state
    },
    restore(stored) {
      state = stored
    },
    wait(seconds) {
      atSeconds += seconds
    },
  }
}

/** `tcp 5.service 12` a row, `*` before the sums. */
export function rowsOf({ owners }: Pick<NamespaceState, 'owners'>): readonly string[] | undefined {
  return owners?.map(
    ({ protocol, owner, ownerKind, usedPorts }) =>
      `${protocol} ${owner === ownerKind ? '*' : ''}${owner} ${usedPorts}`,
  )
}

export function portsOf(
  { owners }: Pick<NamespaceState, 'owners'>,
  owner: string,
): number | undefined {
  return owners?.find((row) => row.owner === owner)?.usedPorts
}
