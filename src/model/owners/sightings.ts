// Which owners have sockets alive to which of the remembered destinations: flows of a census -> AliveSockets by
// destination.

import type { FlowTable } from '../flows.ts'
import { createNumberTable, type NumberTable, OWNERLESS } from './ids.ts'
import { type AliveSockets, MOST_DESTINATIONS, MOST_PORTS } from './memory.ts'

export interface Sightings {
  readonly every: number
  /** Living sockets in the order of ids. */
  readonly alive: readonly AliveSockets[]
}

export interface SightingOptions {
  /** Number of the destination by index in the flow table, -1 for those that are not asked for. */
  readonly slots: Int32Array
  /** How many sockets are alive at most, by that number. */
  readonly mostAlive: readonly number[]
}

/**
 * One entry for each of the destinations that `slots` numbers. Of many sockets one port in 2, 4, 8 ... is listed,
 * always the same ones, so that the next sample can tell which of these have ended.
 */
export function sightOwners(
  flows: FlowTable,
  owners: NumberTable,
  { slots, mostAlive }: SightingOptions,
): readonly Sightings[] {
  const every = mostAlive.map(sampleOneIn)
  const masks = Uint32Array.from(every, (one) => one - 1)
  // A pair is an owner and a destination's slot together.
  const pairs = createNumberTable()
  const ports: number[][] = []

  const { destination, port, owner } = flows.columns()
  const flowCount = flows.flowCount()
  for (let flow = 0; flow < flowCount; flow++) {
    const holder = owner[flow] ?? OWNERLESS
    if (holder === OWNERLESS) continue
    const slot = slots[destination[flow] ?? 0] ?? -1
    if (slot < 0) continue
    const local = port[flow] ?? 0
    if ((hashPort(local) & (masks[slot] ?? 0)) !== 0) continue
    const pair = pairs.index(holder * MOST_DESTINATIONS + slot)
    const listed = ports[pair]
    if (listed === undefined) ports[pair] = [local]
    else listed.push(local)
  }

  const alive = mostAlive.map((): AliveSockets[] => [])
  ports.forEach((listed, pair) => {
    const value = pairs.value(pair)
    alive[value % MOST_DESTINATIONS]?.push({
      ownerId: owners.value(Math.floor(value / MOST_DESTINATIONS)),
      ports: listed.sort((left, right) => left - right),
    })
  })
  return alive.map((unordered, slot) => ({
    every: every[slot] ?? 1,
    alive: unordered.sort((left, right) => left.ownerId - right.ownerId),
  }))
}

/** A power of two, such that about MOST_PORTS are listed. */
function sampleOneIn(sockets: number): number {
  let every = 1
  while (sockets > MOST_PORTS * every) every *= 2
  return every
}

/** The kernel prefers every other port: the low bits alone would not do. */
function hashPort(port: number): number {
  return Math.imul(port, 0x9e3779b1) >>> 16
}
