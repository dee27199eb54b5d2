// The reducer of one namespace: state x reading -> next state and what the sample learned. The same call is the
// production loop, the replay of recorded readings and the test harness.

import type { NamespaceReading } from '../observation.ts'
import type { CollectorSettings, SamplingSettings } from '../settings.ts'
import type { Destination, NamespaceState, Pool } from '../snapshot.ts'
import { type CausesState, createCauses } from './causes.ts'
import { createCensusTaker } from './census.ts'
import { type ClosedMemory, createClosedPorts, describeDoubt } from './closed-ports.ts'
import {
  advanceDevices,
  type DeviceMemory,
  hasVrf,
  nameDevice,
  nameDevices,
  type ReadDevices,
} from './devices.ts'
import type { ForecastInput } from './forecast/forecast.ts'
import type { PortDoubt, PortTests } from './hidden-ports.ts'
import { createOwnersModel, type NameOwners, type OwnersState } from './owners/owners.ts'
import {
  advancePool,
  type ForecastSettings,
  type PoolHistories,
  withholdUnknown,
} from './pool-history.ts'
import { modelBindPool, modelConnectPool, type PoolNow } from './pools.ts'
import { nameRange } from './ports.ts'
import { findWorst, type Member, rankDestinations } from './ranking.ts'
import { listClosing } from './refusals.ts'
import { takeReuseDelay } from './reuse.ts'
import {
  leastPortsOfRow,
  listeningPorts,
  renderDestinations,
  renderListeners,
  renderProtocols,
  renderRelease,
  renderSettings,
} from './rows.ts'
import { advanceServices, type Services } from './services.ts'
import { createTimestamps, type TimestampMemory, type TimestampQuestions } from './timestamps.ts'
import { nameTrack, trackDestinations, trackPorts } from './tracks.ts'
import { holdRefusedPorts } from './unseen-ports.ts'
import { advanceWatch, type Watch } from './watch.ts'

export type ModelOptions = ForecastSettings &
  Pick<SamplingSettings, 'top'> &
  Pick<CollectorSettings, 'destinations' | 'listeners' | 'owners'>

/** What one sample leaves for the next. */
export interface ModelState {
  readonly members: readonly Member[]
  readonly worst: Destination | undefined
  /** Destinations that the forecast follows. */
  readonly watch: Watch
  readonly closed: ClosedMemory
  readonly pools: PoolHistories
  readonly services: Services
  readonly timestamps: TimestampMemory
  /** Undefined where no socket is bound to a device, or nobody can list them. */
  readonly devices: DeviceMemory | undefined
  readonly causes: CausesState
  /** Undefined where owners are not asked for or nothing tells them. */
  readonly owners: OwnersState | undefined
}

/** What a step has to know of the sample besides the reading. */
export interface SampleContext extends TimestampQuestions {
  /** Seconds of a clock that never steps. */
  readonly atSeconds: number
  readonly unixSeconds: number
  /** Names owners. They are not known without it. */
  readonly nameOwners?: NameOwners
  /** Destinations to which connect() was refused a port since the last sample; absent where nobody counts. */
  readonly refused?: readonly Destination[] | undefined
  /** Undefined where devices cannot be listed. */
  readonly readDevices?: ReadDevices | undefined
  /** Whether the last try of bind() to port 0 was refused. */
  readonly bindRefused?: boolean
  /** Tells what is known of ports whose bind history no listing shows. It is asked once all sockets are listed. */
  readonly testPorts?: ((doubt: PortDoubt) => PortTests | undefined) | undefined
}

export type Step = (
  state: ModelState | undefined,
  reading: NamespaceReading,
  context: SampleContext,
) => {
  readonly state: ModelState
  readonly namespace: NamespaceState
  /** Ports worth testing; undefined where `testPorts` told nothing. */
  readonly ambiguousPorts: readonly number[] | undefined
  /** Ports worth testing that look unused. */
  readonly unseenPorts: readonly number[]
}

/** Creates the reducer. Whatever reading the batches throws passes through, and the state then stays as it was. */
export function createStep(options: ModelOptions): Step {
  const takeCensus = createCensusTaker({ owners: options.owners })
  const findClosed = createClosedPorts()
  const advanceOwners = options.owners ? createOwnersModel() : undefined
  const advanceCauses = createCauses()
  const advanceTimestamps = createTimestamps()

  return (state, reading, context) => {
    const { settings, protocols } = reading
    const { nameOwners } = context
    const ownersBy = nameOwners && reading.ownersBy
    const census = takeCensus(settings, reading.batches, ownersBy, reading.tunnelPorts)
    if (!reading.tcpBoundKnown && context.bindRefused) holdRefusedPorts(census, settings)
    const doubt = context.testPorts && describeDoubt(census, reading)
    const timestamps = advanceTimestamps({
      census,
      settings,
      before: state?.timestamps,
      atSeconds: context.atSeconds,
      questions: context,
      refuted: state === undefined ? [] : listClosing(state.closed.refusals),
    })
    const closed = findClosed({
      census,
      settings,
      before: state?.closed,
      atSeconds: context.atSeconds,
      tests: doubt && context.testPorts?.(doubt),
      boundKnown: reading.tcpBoundKnown,
      portsReopen: reading.portsReopen,
      unknownReuse: timestamps.unknown,
      isReuseInferred: timestamps.isInferred,
      refused: context.refused ?? [],
      opened: reading.activeOpens,
    })
    const { ports, columns } = closed
    const least = leastPortsOfRow(ports)
    const limits = { top: options.top, least }
    const members = rankDestinations(census.flows, columns, limits, state?.members ?? [])
    const worst = findWorst(census.flows, columns)

    const blockedPorts = ports.blockedByListener + ports.blockedByBound
    const { watch, ...watched } = advanceWatch(state?.watch, {
      flows: census.flows,
      columns,
      openPorts: ports.tcp.capacity - blockedPorts,
      atSeconds: context.atSeconds,
    })

    const now: { pool: PoolNow; input: Pick<ForecastInput, 'blockedPorts' | 'tracks' | 'left'> }[] =
      []
    if (protocols.includes('tcp')) {
      now.push(
        {
          pool: modelConnectPool(closed, { worst, members, previous: state?.worst }),
          input: {
            blockedPorts,
            tracks: trackDestinations(census, ports, columns, watched.members),
            left: watched.left.map(({ name }) => nameTrack(name)),
          },
        },
        {
          pool: modelBindPool('tcp_bind', ports.tcp),
          input: { blockedPorts: 0, tracks: [trackPorts(ports.tcp)] },
        },
      )
    }
    if (protocols.includes('udp')) {
      now.push({
        pool: modelBindPool('udp', ports.udp),
        input: { blockedPorts: 0, tracks: [trackPorts(ports.udp)] },
      })
    }

    const histories: PoolHistories = {}
    const range = nameRange(settings)
    const modelled = now.map(({ pool, input }): Omit<Pool, 'heldPorts' | 'cause'> => {
      const reuseDelaySeconds = pool.pool === 'tcp_connect' ? takeReuseDelay(settings) : undefined
      const advanced = advancePool(
        state?.pools[pool.pool],
        pool,
        {
          ...input,
          atSeconds: context.atSeconds,
          capacityPorts: pool.capacityPorts,
          range,
          reuseDelaySeconds,
        },
        options,
      )
      histories[pool.pool] = advanced.history
      const isSeen = pool.pool === 'udp' || reading.tcpBoundKnown
      return isSeen ? advanced.pool : withholdUnknown(advanced.pool)
    })

    const { destinations, hidden } = renderDestinations(ports, columns, { members, least })
    const owners =
      census.owners &&
      nameOwners &&
      advanceOwners?.(state?.owners, {
        census,
        owners: census.owners,
        ports,
        columns,
        firstPort: settings.range.first,
        lastPort: settings.range.last,
        listeners: closed.memory.listeners,
        protocols,
        top: options.top,
        atSeconds: context.atSeconds,
        nameOwners,
      })
    const { state: causes, pools } = advanceCauses(state?.causes, modelled, {
      census,
      ports,
      columns,
      boundInDoubt: closed.boundInDoubt,
      range: settings.range,
      ipv6: settings.ipv6,
      worst,
      atSeconds: context.atSeconds,
      owners: owners && { memory: owners.state.memory, nameOwner: owners.nameOwner },
    })
    const devices = advanceDevices(state?.devices, census.devices, {
      read: context.readDevices,
      atSeconds: context.atSeconds,
    })
    const services = advanceServices(state?.services, {
      listeners: census.listeners,
      tcpChoiceKnown: reading.tcpChoiceKnown,
      atSeconds: context.atSeconds,
    })
    const listening = listeningPorts(services.listeners, ports)
    const listeners = renderListeners(listening, options.top, owners?.nameOwner)
    return {
      ambiguousPorts: closed.ambiguousPorts,
      unseenPorts: doubt?.unseen ?? [],
      state: {
        members,
        worst: pools[0]?.worstDestination,
        watch,
        closed: closed.memory,
        services: services.memory,
        timestamps: timestamps.memory,
        devices,
        pools: histories,
        causes,
        owners: owners?.state,
      },
      namespace: {
        readAtSeconds: context.unixSeconds,
        reader: reading.reader,
        exactness:
          reading.exactness === 'exact' && (!closed.certain || hasVrf(devices))
            ? 'inferred'
            : reading.exactness,
        readerIsExact: reading.readerIsExact,
        entered: reading.canProbe,
        rangeOrigin: reading.rangeOrigin,
        settings: renderSettings(settings, ports),
        protocols: renderProtocols(reading, {
          census,
          ports,
          inboundFlows: columns.inboundFlows,
          listening,
          udpServicesKnown: reading.udpListenersKnown && services.udpKnown,
        }),
        blockedPorts: {
          listener: ports.blockedByListener,
          bound: reading.tcpBoundKnown ? ports.blockedByBound : undefined,
        },
        pools: pools.map((pool) => ({
          ...pool,
          worstDestination: pool.worstDestination && nameDevice(pool.worstDestination, devices),
        })),
        destinations: options.destinations ? nameDevices(destinations, devices) : undefined,
        listeners: options.listeners ? listeners.rows : [],
        owners: owners?.rows,
        timeWaitRelease: census.expiryKnown ? renderRelease(ports.releasing) : [],
        connectionsOpened: reading.activeOpens,
        timeWaitRecycled: reading.timeWaitRecycled,
        truncated: {
          ...(options.destinations && {
            ephemeral_port_destination_used_ports: hidden,
          }),
          ...(owners && { ephemeral_port_owner_used_ports: owners.hidden }),
          ...(options.listeners && { ephemeral_port_listener_info: listeners.hidden }),
        },
      },
    }
  }
}
