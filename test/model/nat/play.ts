// Listings for tests of the NAT model, played one after another, and what the last of them said.

import type { NameClient } from '../../../src/model/nat/clients.ts'
import { createNatStep, type NatModelState, type NatOptions } from '../../../src/model/nat/step.ts'
import type { NatReading } from '../../../src/observation.ts'
import type { NatState } from '../../../src/snapshot.ts'
import type { Entry } from './conntrack.ts'

export const NAT = '203.0.113.7'
export const SERVER = '198.51.100.9:443'
export const HUNDRED = [
  { protocol: undefined, addresses: undefined, ports: { first: 40_000, last: 40_099 } },
]
const options: NatOptions = {
  top: 2,
  peakWindowSeconds: 60,
  forecastHorizonSeconds: 900,
  natRanges: [],
}

export const connect = (
  count: number,
  more: Partial<Entry> & { from?: number; clients?: number } = {},
) =>
  Array.from({ length: count }, (_, at): Entry => {
    const { from = 40_000, clients = 1, ...rest } = more
    const nat = `${NAT}:${from + at}`
    return { client: `10.0.0.${1 + (at % clients)}:${5000 + at}`, answers: SERVER, nat, ...rest }
  })

/** The numbers from 0 to below `size`, always in the same order. */
export function shuffle(size: number): number[] {
  const order = Array.from({ length: size }, (_, at) => at)
  let seed = 7
  for (let at = size - 1; at > 0; at--) {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    const other = Math.floor((seed / 2 ** 32) * (at + 1))
    ;[order[at], order[other]] = [order[other] ?? 0, order[at] ?? 0]
  }
  return order
}

/** By default one address has a name. */
const nameOne: NameClient = (address) =>
  address === '10.0.0.1' ? { owner: 'shop/cart', ownerKind: 'pod' } : undefined

export function play(
  readings: readonly NatReading[],
  changes: Partial<NatOptions> = {},
  nameClient = nameOne,
) {
  const step = createNatStep({ ...options, ...changes })
  let state: NatModelState | undefined
  let nat: NatState | undefined
  readings.forEach((reading, at) => {
    const learned = step(state, reading, {
      atSeconds: 5 * at,
      unixSeconds: 1_700_000_000 + 5 * at,
      nameClient,
    })
    state = learned?.state
    nat = learned?.nat
  })
  return nat
}

export const poolOf = (nat: NatState | undefined, name = 'nat_tcp') =>
  nat?.pools.find(({ pool }) => pool === name)
