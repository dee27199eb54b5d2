// Who takes the ports of a NAT: ports by original source address -> rows, named as pods where their addresses are
// known.

import type { Protocol } from '../../observation.ts'
import type { NatClientRow, OwnerName } from '../../snapshot.ts'
import { renderIpv4 } from '../addresses.ts'
import type { NumberTable } from '../owners/ids.ts'
import { UNKNOWN_OWNER } from '../owners/rows.ts'

/** Names the client that has an address, given as text. Undefined where no client is known to have it. */
export type NameClient = (address: string) => OwnerName | undefined

/**
 * Rows of one protocol, most ports first. The first `top` clients get a row if they hold `leastPorts`, and keep it
 * while they are among the first 2 x `top`. What the rows leave out is summed in the row `other`.
 */
export function renderClients(
  protocol: Protocol,
  ports: Uint32Array,
  {
    clients,
    top,
    leastPorts,
    before,
    nameClient,
  }: {
    readonly clients: NumberTable
    readonly top: number
    readonly leastPorts: number
    /** Addresses that had a row. */
    readonly before: ReadonlySet<string>
    readonly nameClient: NameClient
  },
): { readonly rows: readonly NatClientRow[]; readonly hidden: number } {
  const best: number[] = []
  const precedes = (left: number, right: number) =>
    (ports[right] ?? 0) - (ports[left] ?? 0) || clients.value(left) - clients.value(right)
  let holders = 0
  let total = 0
  for (let index = 0; index < ports.length; index++) {
    const held = ports[index] ?? 0
    if (held === 0) continue
    holders++
    total += held
    if (best.length === 2 * top && precedes(best.at(-1) ?? 0, index) <= 0) continue
    best.push(index)
    best.sort(precedes)
    best.length = Math.min(best.length, 2 * top)
  }
  const rows = best
    .map((index, rank): NatClientRow & { readonly rank: number } => {
      const client = renderIpv4(clients.value(index))
      const named = nameClient(client) ?? UNKNOWN_OWNER
      return { protocol, client, ...named, usedPorts: ports[index] ?? 0, rank }
    })
    .filter(
      ({ rank, client, usedPorts }) =>
        before.has(client) || (rank < top && usedPorts >= leastPorts),
    )
    .map(({ rank: _rank, ...row }) => row)
  const shown = rows.reduce((sum, { usedPorts }) => sum + usedPorts, 0)
  const other: NatClientRow = {
    protocol,
    client: 'other',
    owner: 'other',
    ownerKind: 'other',
    usedPorts: total - shown,
  }
  return { rows: total > shown ? [...rows, other] : rows, hidden: holders - rows.length }
}
