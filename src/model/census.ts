// Census: batches of sockets -> who holds which port, for one namespace. Independent of the order of sockets and of
// where one batch ends and the next begins.

import { FLAG, type NetSettings, type SocketBatch, STATE, socketStates } from '../observation.ts'
import { type AcceptedFlows, createAcceptedFlows } from './accepted-flows.ts'
import { isIpv4 } from './addresses.ts'
import { increment, PORTS } from './columns.ts'
import {
  createFlowTable,
  type FlowTable,
  type FlowUse,
  HOLD,
  KEY_WORDS,
  type PreferOwner,
  takeKey,
} from './flows.ts'
import { createInboundTest, type InboundTest, type Listener, takeListener } from './listeners.ts'
import { type CensusOwners, createOwners, prefersOwner, resetOwners } from './owners/holders.ts'
import {
  createNumberTable,
  type NumberTable,
  noteHolder,
  OWNERLESS,
  type OwnersBy,
  takeOwner,
} from './owners/ids.ts'
import { isReclaimable, TIME_WAIT_MS } from './reuse.ts'

/** Bits of Census.portUse: what some socket does with the port. */
export const USE = {
  /** A TCP socket is there. */
  tcp: 1,
  /** One that bind(0.0.0.0) collides with: every IPv4 socket, and every IPv6 one that is not IPV6_V6ONLY. */
  tcpIpv4: 2,
  /**
   * One that is not in TIME_WAIT; FIN_WAIT2 counts, because a TIME_WAIT of 60 s is still to follow when the peer
   * closes.
   */
  tcpLive: 4,
  /** A TCP listener: closes the port to every connect(). */
  listener: 8,
  /** A bound-idle TCP socket, or one whose port the application chose: closes it too. */
  bound: 16,
  udp: 32,
  udpIpv4: 64,
  /** A UDP socket that is connected. */
  udpConnected: 128,
  /** Nothing visible closes the port to connect(), but it is known to be closed. No census sets this bit. */
  hidden: 256,
} as const

export interface Census {
  /** Sockets in the range by state code (socketStates). */
  readonly tcpStates: Uint32Array
  readonly udpStates: Uint32Array
  /** Bits of USE by port number. */
  readonly portUse: Uint16Array
  /** Whole seconds until the longest-lived minisock of the port is gone, by port number. */
  readonly portExpirySeconds: Uint8Array
  /** False where the reader cannot tell when TIME_WAIT ends. */
  readonly expiryKnown: boolean
  /** The connections, but for those of `accepted`. */
  readonly flows: FlowTable
  /** The connections that a listener has accepted, to whose destinations there is no other. */
  readonly accepted: AcceptedFlows
  /** Whether the application chose the port of some flow, and whether some may be recycled: most hosts have neither. */
  readonly hasExplicitFlows: boolean
  readonly hasReclaimableFlows: boolean
  readonly listeners: readonly Listener[]
  /** The listeners of TCP, and which flows they accept. */
  readonly tcpListeners: readonly Listener[]
  readonly accepts: InboundTest
  /** Interface indexes of the devices that TCP sockets are bound to. */
  readonly devices: NumberTable
  /** Undefined where nothing tells owners. */
  readonly owners: CensusOwners | undefined
}

type Draft = { -readonly [name in keyof Census]: Census[name] } & {
  listeners: Listener[]
  readonly settings: NetSettings
  readonly key: Uint32Array
  readonly flow: FlowUse
  readonly tunnelPorts: ReadonlySet<number> | undefined
  /** Whether a TCP listener was found that `accepts` does not know. */
  isOutdated: boolean
}

/** Entries of an expiry schedule: one a second of TIME_WAIT. */
export const EXPIRY_SECONDS = TIME_WAIT_MS / 1000

/**
 * Creates a function that takes one census after another in the same memory: a Census is valid until the next is
 * taken. Whatever the batches throw passes through.
 */
export function createCensusTaker(
  { owners } = { owners: false },
): (
  settings: NetSettings,
  batches: Iterable<SocketBatch>,
  ownersBy?: OwnersBy | undefined,
  tunnelPorts?: ReadonlySet<number> | undefined,
) => Census {
  const noted = owners ? createOwners() : undefined
  const preferOwner: PreferOwner | undefined =
    noted && ((left, right) => prefersOwner(noted.table, left, right))
  const flows = createFlowTable(preferOwner)
  const accepted = createAcceptedFlows(preferOwner)
  const devices = createNumberTable()
  const portUse = new Uint16Array(PORTS)
  const portExpirySeconds = new Uint8Array(PORTS)
  const key = new Uint32Array(KEY_WORDS)
  const flow: FlowUse = { hold: 0, state: 0, expirySeconds: 0, owner: OWNERLESS, explicit: false }
  /** What the last census may have written: a small range is no reason to empty four large columns. */
  let written = { first: 0, last: 0 }

  return (settings, batches, ownersBy, tunnelPorts) => {
    flows.clear()
    accepted.clear()
    devices.clear()
    portUse.fill(0, written.first, written.last + 1)
    portExpirySeconds.fill(0, written.first, written.last + 1)
    if (noted !== undefined) resetOwners(noted, written)
    written = settings.range
    const draft: Draft = {
      tcpStates: new Uint32Array(socketStates.length),
      udpStates: new Uint32Array(socketStates.length),
      portUse,
      portExpirySeconds,
      expiryKnown: true,
      flows,
      accepted,
      hasExplicitFlows: false,
      hasReclaimableFlows: false,
      listeners: [],
      tcpListeners: [],
      accepts: createInboundTest([]),
      devices,
      owners: noted && ownersBy && { ...noted, by: ownersBy },
      settings,
      key,
      flow,
      tunnelPorts,
      isOutdated: false,
    }
    for (const batch of batches) {
      if (batch.protocol === 'udp') countUdp(draft, batch)
      else countTcp(draft, batch)
    }
    if (draft.isOutdated) learnListeners(draft)
    accepted.settle(flows)
    flows.settleFlows()
    countFlowStates(draft)
    return draft
  }
}

function countUdp(draft: Draft, batch: SocketBatch): void {
  const { owners, portUse, settings } = draft
  const { first, last } = settings.range
  for (let row = 0; row < batch.length; row++) {
    const port = batch.localPort[row] ?? 0
    if (port < first || port > last) continue
    const state = batch.state[row] ?? STATE.unknown
    increment(draft.udpStates, state)
    const connected = state === STATE.established ? USE.udpConnected : 0
    const bits = USE.udp | connected | (collidesWithIpv4(batch, row) ? USE.udpIpv4 : 0)
    portUse[port] = (portUse[port] ?? 0) | bits
    // An unconnected UDP socket on a port of the application's choice waits for others to write to it.
    const isListening = state === STATE.bound && batch.explicit
    const by = isListening && draft.tunnelPorts?.has(port) ? 'kernel' : owners?.by
    const owner = owners && by && takeOwner(owners.table, by, batch, row)
    if (owners && owner) noteHolder(owners.table, owners.udpHolder, port, owner)
    if (isListening) draft.listeners.push(takeListener(batch, row, ownerIdOf(draft, owner)))
  }
}

/** The columns stand in variables: this runs once for each socket of the host. */
function countTcp(draft: Draft, batch: SocketBatch): void {
  const { owners, portUse, flows, accepted, flow, key, settings } = draft
  const { first, last } = settings.range
  const { localPort, remotePort, state: states, flags, device: devices, explicit, length } = batch
  for (let row = 0; row < length; row++) {
    const port = localPort[row] ?? 0
    if (port < first || port > last) continue
    const state = states[row] ?? STATE.unknown
    let bits = USE.tcp | (collidesWithIpv4(batch, row) ? USE.tcpIpv4 : 0)
    if (state !== STATE.timeWait) bits |= USE.tcpLive
    if (state === STATE.listen) bits |= USE.listener
    else if (explicit || state === STATE.bound) bits |= USE.bound
    const use = portUse[port] ?? 0
    portUse[port] = use | bits
    const device = devices[row] ?? 0
    if (device !== 0) draft.devices.index(device)
    const owner = owners && takeOwner(owners.table, owners.by, batch, row)
    if (owners && owner && (bits & (USE.bound | USE.listener)) !== 0) {
      noteHolder(owners.table, owners.tcpHolder, port, owner)
    }

    if (state === STATE.listen || state === STATE.bound || remotePort[row] === 0) {
      increment(draft.tcpStates, state)
      if (state === STATE.listen) {
        draft.listeners.push(takeListener(batch, row, ownerIdOf(draft, owner)))
        draft.isOutdated = true
      }
      continue
    }
    const minisock = ((flags[row] ?? 0) & FLAG.minisock) !== 0
    flow.state = state
    flow.hold = minisock ? HOLD.finWait2 : HOLD.live
    flow.expirySeconds = 0
    flow.owner = owner ?? OWNERLESS
    flow.explicit = explicit
    if (explicit) draft.hasExplicitFlows = true
    if (state === STATE.timeWait) noteTimeWait(draft, batch, row, minisock)
    const isListening = !explicit && (use & USE.listener) !== 0
    if (isListening && isInbound(draft, batch, row)) accepted.add(batch, row, flow)
    else {
      takeKey(batch, row, key, 0)
      flows.addFlow(flows.destination(key), port, flow)
    }
  }
}

function noteTimeWait(draft: Draft, batch: SocketBatch, row: number, minisock: boolean): void {
  const { flow, portExpirySeconds } = draft
  const reclaimable = isReclaimable(batch, row, draft.settings)
  flow.hold = reclaimable ? HOLD.reclaimable : HOLD.timeWait
  if (reclaimable) draft.hasReclaimableFlows = true
  if (!minisock) draft.expiryKnown = false
  const remainingMs = minisock ? (batch.expiresMs[row] ?? 0) : TIME_WAIT_MS
  flow.expirySeconds = Math.min(EXPIRY_SECONDS - 1, Math.trunc(remainingMs / 1000))
  const port = batch.localPort[row] ?? 0
  portExpirySeconds[port] = Math.max(portExpirySeconds[port] ?? 0, flow.expirySeconds)
}

/** Counted at the end, because of two rows for one socket only the stronger is to count. */
function countFlowStates({ flows, accepted, tcpStates }: Draft): void {
  countStates(tcpStates, flows.columns().state, flows.flowCount())
  countStates(tcpStates, accepted.columns().state, accepted.count())
}

/**
 * Whether one of the listeners so far has accepted it. The kernel lists listeners before connections: if it did not,
 * some that were accepted would stand among the others, where the accounts tell them apart as well.
 */
function isInbound(draft: Draft, { localAddress, localPort }: SocketBatch, row: number): boolean {
  if (draft.isOutdated) learnListeners(draft)
  return draft.accepts(localAddress, row * 4, localPort[row] ?? 0)
}

function learnListeners(draft: Draft): void {
  draft.tcpListeners = draft.listeners.filter(({ protocol }) => protocol === 'tcp')
  draft.accepts = createInboundTest(draft.tcpListeners)
  draft.isOutdated = false
}

function countStates(counts: Uint32Array, states: Uint8Array, rows: number): void {
  for (let row = 0; row < rows; row++) increment(counts, states[row] ?? STATE.unknown)
}

/**
 * inet_rcv_saddr_equal() against 0.0.0.0. Only bind() to a specific IPv6 address sets IPV6_V6ONLY implicitly, connect()
 * does not: even a connection from ::1 to ::1 collides (docs/development/port-model.md#bind-to-port-0).
 */
function collidesWithIpv4(batch: SocketBatch, row: number): boolean {
  return ((batch.flags[row] ?? 0) & FLAG.ipv6Only) === 0 || isIpv4(batch.localAddress, row * 4)
}

function ownerIdOf({ owners }: Draft, owner: number | undefined): number | undefined {
  return owner === undefined ? undefined : owners?.table.value(owner)
}
