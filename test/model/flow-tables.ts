// A flow table that has destinations alone, for tests of what reads the columns of accounts.

import { createFlowTable, KEY_WORDS } from '../../src/model/flows.ts'

/** Ports by the name of a destination, a number. */
export type Ports = Readonly<Record<number, number>>

/** Creates the table, with the destinations in the order in which they stand in `ports`. */
export function tableOf(ports: Ports) {
  const flows = createFlowTable((owner, other) => owner < other)
  const keyOf = (name: number) => {
    const key = new Uint32Array(KEY_WORDS)
    key[7] = name
    return key
  }
  for (const name of Object.keys(ports)) flows.destination(keyOf(Number(name)))
  return {
    flows,
    indexOf: (name: number) => flows.findDestination(keyOf(name)),
    columnOf: (counts: Ports) => Uint32Array.from(Object.values(counts)),
  }
}
