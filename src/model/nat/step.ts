// The reducer of the NAT of one namespace: state x conntrack listing -> next state and what the listing said.

import type { NatReading, Protocol } from '../../observation.ts'
import type { SamplingSettings } from '../../settings.ts'
import type { NatClientRow, NatState } from '../../snapshot.ts'
import { renderIpv4 } from '../addresses.ts'
import { createNumberTable } from '../owners/ids.ts'
import { advancePool, type ForecastSettings, type PoolHistories } from '../pool-history.ts'
import { createNatCensusTaker } from './census.ts'
import { type NameClient, renderClients } from './clients.ts'
import { accountNat } from './destinations.ts'
import { leastRowPorts, modelNatPool, type NatProtocolState } from './pools.ts'
import { createRangeChooser, type NatRange, smallestOf } from './ranges.ts'

export type NatOptions = ForecastSettings & Pick<SamplingSettings, 'top' | 'natRanges'>

/** What one listing leaves for the next. */
export interface NatModelState {
  readonly protocols: Readonly<Record<Protocol, NatProtocolState>>
  readonly pools: PoolHistories
  /** NAT addresses of the last listing that had any: a pool without entries keeps its size. */
  readonly addresses: readonly number[]
  readonly clients: ReadonlySet<string>
}

export interface NatContext {
  /** Seconds of a clock that never steps. */
  readonly atSeconds: number
  readonly unixSeconds: number
  readonly nameClient: NameClient
}

/** Undefined where the namespace translates nothing and never did. */
export type NatStep = (
  state: NatModelState | undefined,
  reading: NatReading,
  context: NatContext,
) => { readonly state: NatModelState; readonly nat: NatState } | undefined

const PROTOCOLS: readonly Protocol[] = ['tcp', 'udp']

/** Creates the reducer. What reading the batches throws passes through, and the state then stays as it was. */
export function createNatStep(options: NatOptions): NatStep {
  const takeCensus = createNatCensusTaker()

  return (state, reading, { atSeconds, unixSeconds, nameClient }) => {
    const census = takeCensus(reading)
    if (census.addresses.length === 0 && state === undefined) return undefined
    const addresses = census.addresses.length === 0 && state ? state.addresses : census.addresses

    const known = createNumberTable()
    for (const address of addresses) known.index(address)
    const histories: PoolHistories = {}
    const clients: NatClientRow[] = []
    let hiddenClients = 0
    const models = PROTOCOLS.map((protocol) => {
      const ranges = addresses.map(createRangeChooser(protocol, reading, options.natRanges))
      const rangeOf = (address: number) => ranges[known.find(address)]
      const flows = census.flows[protocol]
      const columns = accountNat(flows, {
        rangeOf,
        clientCount: census.clients.count(),
        leastWidth: smallestOf(ranges.values()),
        fitted: state?.protocols[protocol].fitted ?? new Map(),
      })
      const now = modelNatPool(state?.protocols[protocol], {
        protocol,
        flows,
        columns,
        top: options.top,
        atSeconds,
        clients: census.clients,
        nameClient,
      })
      const { history, pool } = advancePool(
        state?.pools[now.pool.pool],
        now.pool,
        { ...now.input, atSeconds },
        options,
      )
      histories[now.pool.pool] = history
      const { rows, hidden } = renderClients(protocol, columns.clients, {
        clients: census.clients,
        top: options.top,
        leastPorts: leastRowPorts(columns.widestPorts),
        before: state?.clients ?? new Set(),
        nameClient,
      })
      clients.push(...rows)
      hiddenClients += hidden
      return { protocol, now, pool, ranges }
    })
    const [tcp, udp] = models
    if (tcp === undefined || udp === undefined) return undefined
    return {
      state: {
        protocols: { tcp: tcp.now.state, udp: udp.now.state },
        pools: histories,
        addresses,
        clients: new Set(clients.map(({ client }) => client)),
      },
      nat: {
        readAtSeconds: unixSeconds,
        evicts: reading.evicts,
        pools: models.map(({ pool, now }) => ({ ...pool, ...now.holdings })),
        failureProbabilities: models.map(({ now }) => ({
          pool: now.pool.pool,
          ratio: now.failureRatio,
        })),
        destinations: models.flatMap(({ now }) => now.destinations),
        clients,
        ranges: models.flatMap(({ protocol, ranges }) =>
          renderRanges(protocol, addresses, ranges, options.top),
        ),
        truncated: {
          ephemeral_port_nat_destination_used_ports: tcp.now.hidden + udp.now.hidden,
          ephemeral_port_nat_client_used_ports: hiddenClients,
          ephemeral_port_nat_range_info:
            Math.max(0, addresses.length - options.top) * PROTOCOLS.length,
        },
      },
    }
  }
}

function renderRanges(
  protocol: Protocol,
  addresses: readonly number[],
  ranges: readonly NatRange[],
  top: number,
): NatState['ranges'] {
  return ranges
    .map(({ first, last, origin }, at) => ({ address: addresses[at] ?? 0, first, last, origin }))
    .toSorted((left, right) => left.address - right.address)
    .slice(0, top)
    .map(({ address, first, last, origin }) => ({
      protocol,
      source: renderIpv4(address),
      firstPort: first,
      lastPort: last,
      origin,
    }))
}
