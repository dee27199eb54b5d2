// Who holds the ports of a census that connections alone do not tell: owner by port number.

import type { PortRange } from '../../observation.ts'
import { PORTS } from '../columns.ts'
import {
  clearOwners,
  createNumberTable,
  type NumberTable,
  OWNERLESS,
  type OwnersBy,
} from './ids.ts'

/** Who holds what, as indexes of `table`; what is not listed here stands in the column `owner` of the flows. */
export interface CensusOwners {
  readonly by: OwnersBy
  readonly table: NumberTable
  /**
   * The owner, with FIXED added, of the TCP sockets that close a port to every connect(), by port number; OWNERLESS
   * where there is none.
   */
  readonly tcpHolder: Uint32Array
  /** The owner of the UDP sockets of a port, as in tcpHolder. */
  readonly udpHolder: Uint32Array
}

/** Creates the columns, where each port is nobody's. */
export function createOwners(): Omit<CensusOwners, 'by'> {
  return {
    table: createNumberTable(),
    tcpHolder: new Uint32Array(PORTS),
    udpHolder: new Uint32Array(PORTS),
  }
}

/** Empties the table, and the columns at the ports of a range. */
export function resetOwners(owners: Omit<CensusOwners, 'by'>, { first, last }: PortRange): void {
  clearOwners(owners.table)
  owners.tcpHolder.fill(OWNERLESS, first, last + 1)
  owners.udpHolder.fill(OWNERLESS, first, last + 1)
}

/** Whether of two owners, by their indexes, the first is preferred: any order, as long as it is a total one. */
export function prefersOwner(table: NumberTable, owner: number, other: number): boolean {
  return table.value(owner) > table.value(other)
}
