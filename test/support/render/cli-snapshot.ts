// Small snapshots for the command line's tests: a quiet host, and every part of it to be replaced by name; and what
// `doctor` finds in them.

import { diagnose } from '../../../src/diagnosis/diagnose.ts'
import type { HostFacts } from '../../../src/diagnosis/finding.ts'
import { countNoReadErrors } from '../../../src/observation.ts'
import type {
  Destination,
  Namespace,
  NamespaceState,
  Pool,
  ProtocolUse,
  Settings,
  Snapshot,
} from '../../../src/snapshot.ts'
import { buildNamespace as buildBareNamespace, noneHeld } from '../netns/namespace.ts'

export function buildPool(part: Partial<Pool> = {}): Pool {
  const capacityPorts = part.capacityPorts ?? 28_232
  const availablePorts = part.availablePorts ?? capacityPorts
  return {
    pool: 'tcp_connect',
    capacityPorts,
    availablePorts,
    unusedPorts: availablePorts,
    uncertainPorts: part.pool === undefined || part.pool === 'tcp_connect' ? 0 : undefined,
    utilizationRatio: capacityPorts === 0 ? 1 : 1 - availablePorts / capacityPorts,
    utilizationPeakRatio: 0,
    reclaimablePorts: undefined,
    slow: undefined,
    riskRatio: undefined,
    etaSeconds: undefined,
    worstDestination: undefined,
    heldPorts: noneHeld,
    cause: undefined,
    ...part,
  }
}

export function buildSettings(part: Partial<Settings> = {}): Settings {
  const { firstPort = 32_768, lastPort = 60_999, reservedPorts = 0 } = part
  return {
    firstPort,
    lastPort,
    reservedPorts,
    reservedRanges: [],
    reservedRangesLeftOut: 0,
    usablePorts: lastPort - firstPort + 1 - reservedPorts,
    tcpTwReuse: 2,
    tcpTimestamps: 1,
    tcpTwReuseDelaySeconds: 1,
    tcpMaxTwBuckets: 262_144,
    ...part,
  }
}

export function buildUse(part: Partial<ProtocolUse> = {}): ProtocolUse {
  return { protocol: 'tcp', usedPorts: 0, sockets: {}, inboundSockets: 0, listeners: 0, ...part }
}

export function buildState(part: Partial<NamespaceState> = {}): NamespaceState {
  const settings = part.settings ?? buildSettings()
  const capacityPorts = settings.usablePorts
  return {
    readAtSeconds: 1_767_323_045,
    reader: 'netlink',
    exactness: 'exact',
    readerIsExact: true,
    entered: true,
    rangeOrigin: 'sysctl',
    settings,
    protocols: [buildUse(), buildUse({ protocol: 'udp' })],
    blockedPorts: { listener: 0, bound: 0 },
    pools: [
      buildPool({ capacityPorts }),
      buildPool({ pool: 'tcp_bind', capacityPorts }),
      buildPool({ pool: 'udp', capacityPorts }),
    ],
    destinations: { count: 0, rows: [], other: undefined },
    listeners: [],
    owners: undefined,
    timeWaitRelease: [],
    connectionsOpened: undefined,
    truncated: {},
    ...part,
  }
}

export function buildNamespace(part: Partial<Namespace> = {}): Namespace {
  return buildBareNamespace({ state: buildState(), ...part })
}

export function buildSnapshot(part: Partial<Snapshot> = {}): Snapshot {
  return {
    takenAtSeconds: 1_767_323_045.678,
    intervalSeconds: 5,
    durations: { discover: 0, read: 0.01, model: 0.001, other: 0 },
    samples: 1,
    workerRestarts: 0,
    forecastHorizonSeconds: 900,
    namespaces: [buildNamespace()],
    failures: countNoReadErrors(),
    collectors: [],
    absences: [],
    ...part,
  }
}

/** The snapshot of a host in this state. */
export function buildHost(state: Partial<NamespaceState>): Snapshot {
  return buildSnapshot({ namespaces: [buildNamespace({ state: buildState(state) })] })
}

export const upstream: Destination = { source: '10.0.0.5', destination: '10.0.0.9:443' }

export const linux: HostFacts = { platform: 'linux', listenPorts: [10_132] }

/** All that is not ok, in short. */
export function findAll(state: Partial<NamespaceState>, facts: HostFacts = linux) {
  return diagnose(buildHost(state), facts)
    .findings.filter(({ severity }) => severity !== 'ok')
    .map(({ severity, what, commands }) => [`${severity}: ${what}`, ...commands])
}

export function findBySettings(settings: Partial<Settings>, facts?: HostFacts) {
  return findAll({ settings: buildSettings(settings) }, facts)
}

/** What a line does in another namespace than the one it is for. */
export const refuse = '|| { echo Another namespace, nothing done >&2; exit 1; }'

/** The line that runs a script in the namespace of buildNamespace(), and in no other. */
export function inHost(script: string): string {
  return (
    'nsenter -t 4711 -n sh -c ' +
    `'[ "$(readlink /proc/self/ns/net)" = "net:[4026531840]" ] ${refuse}; ${script}'`
  )
}
