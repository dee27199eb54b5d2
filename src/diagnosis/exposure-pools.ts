// What will bite in the pools although they are not full: reuse, churn, ports that are closed to connect(), UDP. Pure.

import type { DestinationRow, Settings } from '../snapshot.ts'
import { TIME_WAIT_SECONDS } from './cause-words.ts'
import { renderSettingCommand } from './commands.ts'
import { type Check, createFinding, type Finding, type Patient } from './finding.ts'
import { isLoopback } from './reuse.ts'
import { renderCount, renderPercent, renderRate } from './words.ts'

/** Shares of the usable ports, or of a limit. Below them a change is not worth it. */
const notableRatio = { blocked: 0.1, timeWait: 0.2, churn: 0.5, buckets: 0.9 }
/**
 * Bits that the source port of a DNS question needs: with fewer, a forged answer is guessed in time (RFC 5452, 9.2).
 */
const LEAST_PORT_BITS = 10

export const checkBlocked: Check = (patient) => {
  const { blockedPorts, settings, pools } = patient.state
  if (blockedPorts.bound === undefined) return []
  if (blockedPorts.bound < settings.usablePorts * notableRatio.blocked) return []
  const share = renderPercent(blockedPorts.bound / settings.usablePorts)
  const hidden = pools.find(({ pool }) => pool === 'tcp_connect')?.heldPorts.hidden ?? 0
  const first = hidden === 0 ? '' : `, ${hidden} of them by connections that were bound first`
  return [
    createFinding(patient, 'warning', {
      what: `${blockedPorts.bound} ports (${share}) are closed to every connect() because sockets are bound to them${first}`,
      why:
        'A port that a program got from bind() is closed to all connections of the namespace, whatever their ' +
        'destination and address family, and however idle the socket is; SO_REUSEADDR does not help.',
      fix:
        'Where a program binds only to choose its source address, let it set IP_BIND_ADDRESS_NO_PORT before bind(); ' +
        'close sockets that are bound and never used. iproute2 6.8 and newer lists them:',
      commands: ({ runScript }) => [runScript('ss -Htanp state bound-inactive')],
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
        commands: (entrance) => [renderSettingCommand(entrance, { tcp_timestamps: 1 })],
      }),
    )
  }
  const stuck = (patient.state.destinations?.rows ?? [])
    .filter((row) => dominates(row, patient) && (reuse === 0 || (reuse === 2 && !isLoopback(row))))
    .toSorted((a, b) => b.timeWaitPorts - a.timeWaitPorts)[0]
  if (stuck !== undefined) findings.push(createReuseFinding(patient, stuck, reuse))
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

function createReuseFinding(patient: Patient, row: DestinationRow, reuse: number): Finding {
  const { tcpTimestamps, tcpTwReuseDelaySeconds = 1 } = patient.state.settings
  const loopback = isLoopback(row)
  return createFinding(patient, row.utilizationRatio >= 0.5 ? 'warning' : 'note', {
    what:
      `${row.timeWaitPorts} of ${row.usedPorts} ports to ${row.destination} from ${row.source} wait in TIME_WAIT and ` +
      `tcp_tw_reuse=${reuse} keeps them closed`,
    why:
      `Each closed connection withholds its port from this destination for 60 s. With reuse, connect() may take it ` +
      `again after ${tcpTwReuseDelaySeconds} s, if both ends have timestamps. Reuse does not help bind() to port 0, ` +
      'sockets that were bound before they connected, nor connections whose other end never closed (FIN_WAIT2).',
    fix:
      'Best let the side that opens many short connections keep them open. Else turn reuse on' +
      `${loopback ? '; 2 is enough for loopback' : '; 2, the default, is for loopback only'}.`,
    commands: (entrance) => [
      renderSettingCommand(entrance, {
        ...(tcpTimestamps === 0 && { tcp_timestamps: 1 }),
        tcp_tw_reuse: loopback ? 2 : 1,
      }),
    ],
  })
}

/** The range against the connections that are made, of which each may withhold its port for a minute. */
export const checkChurn: Check = (patient) => {
  const { state, earlier } = patient
  const perSecond = openingRate({ state, before: earlier?.state })
  if (perSecond === undefined) return []
  const sustainable = state.settings.usablePorts / TIME_WAIT_SECONDS
  if (perSecond < sustainable * notableRatio.churn || reusesAll(state.settings)) return []
  return [
    createFinding(patient, perSecond >= sustainable ? 'warning' : 'note', {
      what:
        `${renderRate(perSecond)} connections a second are opened, and ${renderCount(state.settings.usablePorts, 'port')} ` +
        `sustain ${renderRate(sustainable)} a second to one destination`,
      why: 'Each that this side closes withholds its port from its destination for 60 s, unless it may be reused.',
      fix: 'Keep connections open and share them, widen the range, or turn tcp_tw_reuse on.',
    }),
  ]
}

/** Connections a second between the two reads; undefined where that is not known. */
export function openingRate({
  state,
  before,
}: Pick<Patient, 'state'> & {
  readonly before: Patient['state'] | undefined
}): number | undefined {
  const [now, then] = [state.connectionsOpened, before?.connectionsOpened]
  const seconds = state.readAtSeconds - (before?.readAtSeconds ?? state.readAtSeconds)
  if (now === undefined || then === undefined || seconds <= 0 || now < then) return undefined
  return (now - then) / seconds
}

function reusesAll({ tcpTwReuse, tcpTimestamps }: Settings): boolean {
  return tcpTwReuse === 1 && tcpTimestamps !== 0
}

/** Beyond the limit the kernel keeps no TIME_WAIT, and old segments may reach a new connection. */
export const checkBuckets: Check = (patient) => {
  const { protocols, settings } = patient.state
  const limit = settings.tcpMaxTwBuckets
  const waiting = protocols.find(({ protocol }) => protocol === 'tcp')?.sockets.time_wait ?? 0
  if (limit === undefined || limit <= 0 || waiting < limit * notableRatio.buckets) return []
  return [
    createFinding(patient, 'warning', {
      what: `${waiting} sockets are in TIME_WAIT and tcp_max_tw_buckets=${limit}`,
      why: 'Beyond it the kernel keeps no TIME_WAIT: late segments of an old connection may then reach a new one.',
      fix: 'Let fewer connections end on this side, or raise the limit.',
      commands: (entrance) => [
        renderSettingCommand(entrance, { tcp_max_tw_buckets: Math.max(limit * 2, 262_144) }),
      ],
    }),
  ]
}

/** DNS questions are protected by their source port: few free ports are easy to guess. */
export const checkUdpPorts: Check = (patient) => {
  const udp = patient.state.pools.find(({ pool }) => pool === 'udp')
  if (udp === undefined || udp.availablePorts <= 0) return []
  const bits = Math.log2(udp.availablePorts)
  if (bits >= LEAST_PORT_BITS) return []
  return [
    createFinding(patient, 'warning', {
      what: `a UDP socket has ${renderCount(udp.availablePorts, 'port')} to be given, ${bits.toFixed(1)} bits of randomness`,
      why:
        'The source port of a DNS question keeps forged answers away. With fewer than 10 bits of it an answer is guessed ' +
        'a hundred times sooner than in the usual range.',
      fix: 'Widen the range, or let programs close UDP sockets that they do not use.',
    }),
  ]
}
