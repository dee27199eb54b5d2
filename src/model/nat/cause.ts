// What holds the ports of a NAT pool: the accounts of a destination -> heldPorts, or cause and clients.

import type { PortRange } from '../../observation.ts'
import {
  type Cause,
  type Holder,
  holders,
  type OwnerShare,
  type Pool,
} from '../../snapshot-pools.ts'
import { renderIpv4 } from '../addresses.ts'
import type { FlowTable } from '../flows.ts'
import type { NumberTable } from '../owners/ids.ts'
import { keepLeader, MOST_OWNERS, shareByName } from '../shares.ts'
import type { NameClient } from './clients.ts'

export type NatCause = 'nat_churn' | 'nat_connections'

/** Ports of a destination that are not available. */
export interface NatHolding {
  readonly livePorts: number
  readonly closingPorts: number
}

/** All of these ports, by what holds them. */
export function renderHeldPorts({ livePorts, closingPorts }: NatHolding): Pool['heldPorts'] {
  const none = Object.fromEntries(holders.map((holder) => [holder, 0])) as Record<Holder, number>
  return { ...none, established: livePorts, time_wait: closingPorts }
}

/** `before` is the cause that was named last. */
export function judgeNatCause(
  { livePorts, closingPorts }: NatHolding,
  before: NatCause | undefined,
  owners: () => readonly OwnerShare[],
): Pick<Pool, 'cause'> & { readonly name: NatCause | undefined } {
  const total = livePorts + closingPorts
  if (total === 0) return { cause: undefined, name: undefined }
  const counts = [
    ['nat_connections', livePorts],
    ['nat_churn', closingPorts],
  ] as const
  const name = keepLeader<NatCause>(counts, before, total) ?? 'nat_connections'
  const cause: Cause = {
    cause: name,
    ports: name === 'nat_churn' ? closingPorts : livePorts,
    owners: owners(),
  }
  return { cause, name }
}

/** The clients with the most ports of the range of one destination, those of one name together. */
export function shareAmongClients(
  flows: FlowTable,
  { index, range }: { readonly index: number; readonly range: PortRange },
  { clients, nameClient }: { readonly clients: NumberTable; readonly nameClient: NameClient },
): readonly OwnerShare[] {
  const { destination, port, owner } = flows.columns()
  const counts = new Map<number, number>()
  for (let flow = 0; flow < flows.flowCount(); flow++) {
    const local = port[flow] ?? 0
    if (destination[flow] !== index || local < range.first || range.last < local) continue
    const client = owner[flow] ?? 0
    counts.set(client, (counts.get(client) ?? 0) + 1)
  }
  const named = [...counts].map(
    ([client, ports]) => [nameClient(renderIpv4(clients.value(client))), ports] as const,
  )
  return shareByName(named).slice(0, MOST_OWNERS)
}
