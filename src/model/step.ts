// The reducer of one namespace: state x reading -> next state and what the sample learned. The same call is the
// production loop, the replay of recorded readings and the test harness.

import type { NamespaceReading } from '../observation.ts'
import type { Destination, NamespaceState, Pool, PoolName } from '../snapshot.ts'
import { createCensusTaker, type Listener } from './census.ts'
import { accountDestinations, rememberListeners } from './destinations.ts'
import { advanceForecast, type ForecastInput, type ForecastState } from './forecast.ts'
import { advancePeak, type PeakSample } from './peaks.ts'
import { modelBindPool, modelConnectPool, type PoolNow } from './pools.ts'
import { countPorts } from './ports.ts'
import { type Member, rankDestinations } from './ranking.ts'
import { allowsReuse } from './reuse.ts'
import {
  renderDestinations,
  renderListeners,
  renderProtocols,
  renderRelease,
  renderSettings,
} from './rows.ts'
import { trackDestinations, trackPorts } from './tracks.ts'

export interface ModelOptions {
  /** Rows kept per namespace and family. */
  readonly top: number
  readonly peakWindowSeconds: number
  readonly forecastHorizonSeconds: number
  readonly destinations: boolean
  readonly listeners: boolean
}

/** What one sample leaves for the next. */
export interface ModelState {
  readonly members: readonly Member[]
  readonly worst: Destination | undefined
  /** Listeners in the range, gone ones included while sockets are left at their port. */
  readonly listeners: readonly Listener[]
  readonly pools: Readonly<Partial<Record<PoolName, PoolHistory>>>
}

interface PoolHistory {
  readonly peaks: readonly PeakSample[]
  readonly forecast: ForecastState
}

export interface SampleClock {
  /** Seconds of a clock that never steps. */
  readonly atSeconds: number
  readonly unixSeconds: number
}

export type Step = (
  state: ModelState | undefined,
  reading: NamespaceReading,
  clock: SampleClock,
) => { readonly state: ModelState; readonly namespace: NamespaceState }

/** What lies below is noise of the estimate, and of how a processor rounds. */
const RISK_STEP = 0.0001
const ETA_STEP_SECONDS = 0.1

/** Creates the reducer. Whatever reading the batches throws passes through, and the state then stays as it was. */
export function createStep(options: ModelOptions): Step {
  const takeCensus = createCensusTaker()

  return (state, reading, clock) => {
    const { settings, protocols } = reading
    const census = takeCensus(settings, reading.batches)
    const ports = countPorts(census, settings)
    const listenersSeen = rememberListeners(census, state?.listeners ?? [])
    const columns = accountDestinations(census, ports, {
      firstPort: settings.range.first,
      listeners: listenersSeen,
    })
    const members = rankDestinations(census.flows, columns, options.top, state?.members ?? [])

    const now: { pool: PoolNow; input: Pick<ForecastInput, 'blockedPorts' | 'tracks'> }[] = []
    if (protocols.includes('tcp')) {
      now.push(
        {
          pool: modelConnectPool(ports, columns, members, state?.worst),
          input: {
            blockedPorts: ports.blockedByListener + ports.blockedByBound,
            tracks: trackDestinations(census, ports, columns, members),
          },
        },
        {
          pool: modelBindPool('tcp_bind', ports.tcp),
          input: { blockedPorts: 0, tracks: [trackPorts(ports.tcp, ports.releasing)] },
        },
      )
    }
    if (protocols.includes('udp')) {
      now.push({
        pool: modelBindPool('udp', ports.udp),
        input: { blockedPorts: 0, tracks: [trackPorts(ports.udp, undefined)] },
      })
    }

    const histories: Partial<Record<PoolName, PoolHistory>> = {}
    const pools = now.map(({ pool, input }): Pool => {
      const history = state?.pools[pool.pool]
      const peaks = advancePeak(
        history?.peaks ?? [],
        { atSeconds: clock.atSeconds, value: pool.utilizationRatio },
        options.peakWindowSeconds,
      )
      const { state: forecastState, forecast } = advanceForecast(
        history?.forecast,
        {
          ...input,
          atSeconds: clock.atSeconds,
          capacityPorts: pool.capacityPorts,
          activeOpens: reading.activeOpens,
          reuse: pool.pool === 'tcp_connect' && allowsReuse(settings),
        },
        { horizonSeconds: options.forecastHorizonSeconds },
      )
      histories[pool.pool] = { peaks, forecast: forecastState }
      return {
        ...pool,
        riskRatio: round(forecast.riskRatio, RISK_STEP),
        etaSeconds: round(forecast.etaSeconds, ETA_STEP_SECONDS),
        unusedPorts: pool.pool === 'udp' || reading.tcpBoundKnown ? pool.unusedPorts : undefined,
        utilizationPeakRatio: peaks[0]?.value ?? pool.utilizationRatio,
      }
    })

    const { destinations, hidden } = renderDestinations(ports, columns, members)
    const listeners = renderListeners(census, ports, options.top)
    return {
      state: {
        members,
        worst: pools[0]?.worstDestination,
        listeners: listenersSeen,
        pools: histories,
      },
      namespace: {
        readAtSeconds: clock.unixSeconds,
        reader: reading.reader,
        exactness: reading.exactness,
        rangeOrigin: reading.rangeOrigin,
        settings: renderSettings(settings, ports),
        protocols: renderProtocols(reading, census, ports, columns.inboundFlows),
        blockedPorts: {
          listener: ports.blockedByListener,
          bound: reading.tcpBoundKnown ? ports.blockedByBound : undefined,
        },
        pools,
        destinations: options.destinations ? destinations : undefined,
        listeners: options.listeners ? listeners.rows : [],
        owners: undefined,
        timeWaitRelease: census.expiryKnown ? renderRelease(ports.releasing) : [],
        connectionsOpened: reading.activeOpens,
        truncated: {
          ...(options.destinations && {
            ephemeral_port_destination_used_ports: hidden,
          }),
          ...(options.listeners && { ephemeral_port_listener_info: listeners.hidden }),
        },
      },
    }
  }
}

function round(value: number | undefined, step: number): number | undefined {
  return value === undefined ? undefined : Math.round(value / step) / Math.round(1 / step)
}
