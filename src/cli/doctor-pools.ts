// Checks of `doctor` about how full the pools are, and what fills them: one namespace -> findings. Pure.

import type { DestinationRow, Pool, PoolName } from '../snapshot.ts'
import { renderRangeCommand } from './doctor-range.ts'
import { type Check, createFinding, type Finding, type Patient } from './finding.ts'
import { judgePool } from './health.ts'
import { renderPercent } from './text.ts'

/** Of the usable ports; below it a share is not worth a change. */
const notableRatio = { blocked: 0.1, timeWait: 0.2 }

/** Wide, even, and above the ports of most services, our own among them. */
const wideRange = { first: 16_384, last: 65_535 }

export const checkPools: Check = (patient) =>
  patient.state.pools.flatMap((pool) => {
    const { health, reasons } = judgePool({ ...pool, slow: undefined })
    const count = `${pool.availablePorts} of ${pool.capacityPorts} ports available`
    if (health === 'ok') return [createFinding(patient, 'ok', { what: `${pool.pool}: ${count}` })]
    return [
      createFinding(patient, health, {
        what: `${pool.pool}: ${reasons.join(', ')}, ${count}`,
        ...remedies[pool.pool](patient, pool),
      }),
    ]
  })

export const checkSlowPath: Check = (patient) =>
  patient.state.pools
    .filter(({ slow }) => slow)
    .map((pool) =>
      createFinding(patient, 'warning', {
        what: `connect() is slow${renderBlame(pool)}`,
        why:
          'All ports of the parity that connect() tries first are taken there, about half of the range, so each call ' +
          'searches them in vain before it finds a port: about 2 ms of CPU each in the usual range, 0.04 ms before.',
        ...remedyConnect(patient),
      }),
    )

const remedies: Record<PoolName, (patient: Patient, pool: Pool) => Partial<Finding>> = {
  tcp_connect: (patient, pool) => ({
    why: `The worst destination${renderBlame(pool)} decides; connect() there fails with EADDRNOTAVAIL once none is left.`,
    ...remedyConnect(patient),
  }),
  tcp_bind: () => ({
    why: 'A bind() to port 0 of the wildcard address, or listen() without bind(), fails with EADDRINUSE. Connections count too, to whatever destination.',
    fix: 'Close idle sockets, or bind to one address instead of the wildcard where the program allows it.',
    commands: ['ss -Htanp'],
  }),
  udp: () => ({
    why: 'UDP has one pool for all destinations; once it is empty connect() and sendto() fail with EAGAIN, bind() to port 0 with EADDRINUSE. DNS lookups are the first to fail.',
    fix: 'Find the program that holds many UDP sockets and let it close or share them.',
    commands: ['ss -Huanp'],
  }),
}

function remedyConnect({ state }: Patient): Partial<Finding> {
  const widen = state.settings.firstPort > wideRange.first
  return {
    fix:
      'Keep connections open and share them (keep-alive, pools); add destination or source addresses, since each pair ' +
      `has a pool of its own${widen ? '; widen the range once the ports of services in it are reserved' : ''}.`,
    commands: widen ? [renderRangeCommand(wideRange)] : [],
  }
}

function renderBlame({ worstDestination }: Pool): string {
  if (worstDestination === undefined) return ''
  return ` (${worstDestination.destination} from ${worstDestination.source})`
}

export const checkBlocked: Check = (patient) => {
  const { blockedPorts, settings } = patient.state
  if (blockedPorts.bound === undefined) return []
  if (blockedPorts.bound < settings.usablePorts * notableRatio.blocked) return []
  const share = renderPercent(blockedPorts.bound / settings.usablePorts)
  return [
    createFinding(patient, 'warning', {
      what: `${blockedPorts.bound} ports (${share}) are closed to every connect() because sockets are bound to them`,
      why:
        'A port that a program got from bind() is closed to all connections of the namespace, whatever their ' +
        'destination and address family, and however idle the socket is; SO_REUSEADDR does not help.',
      fix:
        'Where a program binds only to choose its source address, let it set IP_BIND_ADDRESS_NO_PORT before bind(); ' +
        'close sockets that are bound and never used. iproute2 6.8 and newer lists them:',
      commands: ['ss -Htanp state bound-inactive'],
    }),
  ]
}

export const checkReuse: Check = (patient) => {
  const { tcpTwReuse: reuse, tcpTimestamps: timestamps } = patient.state.settings
  if (reuse === undefined || timestamps === undefined) return []
  const findings: Finding[] = []
  if (timestamps === 0 && reuse !== 0) {
    findings.push(
      createFinding(patient, reuse === 1 ? 'warning' : 'note', {
        what: `tcp_tw_reuse=${reuse} has no effect because tcp_timestamps=0`,
        why: 'Only the timestamps of a connection show that its TIME_WAIT port may be used again.',
        fix: 'Turn timestamps on; new connections then have them.',
        commands: ['sysctl -w net.ipv4.tcp_timestamps=1'],
      }),
    )
  }
  const stuck = (patient.state.destinations?.rows ?? [])
    .filter((row) => dominates(row, patient) && (reuse === 0 || (reuse === 2 && !isLoopback(row))))
    .toSorted((a, b) => b.timeWaitPorts - a.timeWaitPorts)[0]
  if (stuck !== undefined) findings.push(createReuseFinding(patient, stuck))
  return findings.length > 0
    ? findings
    : [
        createFinding(patient, 'ok', {
          what: `TIME_WAIT withholds no destination's ports (tcp_tw_reuse=${reuse}, tcp_timestamps=${timestamps})`,
        }),
      ]
}

function dominates({ usedPorts, timeWaitPorts }: DestinationRow, { state }: Patient): boolean {
  const notable = state.settings.usablePorts * notableRatio.timeWait
  return timeWaitPorts * 2 >= usedPorts && timeWaitPorts >= Math.max(1, notable)
}

function createReuseFinding(patient: Patient, row: DestinationRow): Finding {
  const { tcpTwReuse, tcpTimestamps, tcpTwReuseDelaySeconds = 1 } = patient.state.settings
  const loopback = isLoopback(row)
  return createFinding(patient, row.utilizationRatio >= 0.5 ? 'warning' : 'note', {
    what:
      `${row.timeWaitPorts} of ${row.usedPorts} ports to ${row.destination} from ${row.source} wait in TIME_WAIT and ` +
      `tcp_tw_reuse=${tcpTwReuse} keeps them closed`,
    why:
      `Each closed connection withholds its port from this destination for 60 s. With reuse, connect() may take it ` +
      `again after ${tcpTwReuseDelaySeconds} s, if both ends have timestamps. Reuse does not help bind() to port 0, ` +
      'sockets that were bound before they connected, nor connections whose other end never closed (FIN_WAIT2).',
    fix:
      'Best let the side that opens many short connections keep them open. Else turn reuse on' +
      `${loopback ? '; 2 is enough for loopback' : '; 2, the default, is for loopback only'}.`,
    commands: [
      ...(tcpTimestamps === 0 ? ['sysctl -w net.ipv4.tcp_timestamps=1'] : []),
      `sysctl -w net.ipv4.tcp_tw_reuse=${loopback ? 2 : 1}`,
    ],
  })
}

// Under tcp_tw_reuse=2 the kernel recycles where either end is a loopback address or the socket is bound to interface 1
// (tcp_ipv4.c: tcp_twsk_unique).
function isLoopback({ source, destination }: DestinationRow): boolean {
  return /^127\.|^::1(%|$)|%1$/.test(source) || /^(127\.|\[::1\]:)/.test(destination)
}
