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
import { UNKNOWN_OWNER } from '../owners/rows.ts'
import type { NameClient } from './clients.ts'

export type NatCause = 'nat_churn' | 'nat_connections'

/** Share of the ports held that the other must hold more before it replaces what was named last. */
const MARGIN_RATIO = 0.1
const MOST_OWNERS = 3

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
  const ahead: NatCause = closingPorts > livePorts ? 'nat_churn' : 'nat_connections'
  const lead = Math.abs(closingPorts - livePorts)
  const name = before !== undefined && lead <= MARGIN_RATIO * total ? before : ahead
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
  const shares = new Map<string, OwnerShare>()
  for (const [client, ports] of counts) {
    const name = nameClient(renderIpv4(clients.value(client))) ?? UNKNOWN_OWNER
    const key = `${name.ownerKind} ${name.owner}`
    shares.set(key, { ...name, ports: ports + (shares.get(key)?.ports ?? 0) })
  }
  return [...shares.values()]
    .sort((left, right) => right.ports - left.ports || (left.owner < right.owner ? -1 : 1))
    .slice(0, MOST_OWNERS)
}
