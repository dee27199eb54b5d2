// Readings made of wire sockets through the product's own decoder, for tests of the model.

import { createDumpBatch, dumpSockets } from '../../../src/kernel/diag-channel.ts'
import {
  createSocketBatch,
  FLAG,
  type NamespaceReading,
  type NetSettings,
  type SocketBatch,
  STATE,
} from '../../../src/observation.ts'
import { createFakeChannel, sequenceOf } from './fake-channel.ts'
import { buildDatagrams, buildDone, buildSocket, type WireSocket } from './netlink-builder.ts'

export interface WireDump {
  readonly protocol: 'tcp' | 'udp'
  readonly explicit: boolean
  readonly sockets: readonly WireSocket[]
}

/** What createStep() is given where a test asks for nothing else. */
export const plainStepOptions = {
  top: 10,
  peakWindowSeconds: 60,
  forecastHorizonSeconds: 900,
  destinations: true,
  listeners: true,
  owners: false,
} as const

export const plainSettings: NetSettings = {
  range: { first: 40000, last: 40019 },
  reserved: [],
  reservedText: '',
  ipv6: true,
  tcpTwReuse: 0,
  tcpTwReuseDelayMs: 1000,
  tcpTwReuseDelayKnown: true,
  tcpTimestamps: 1,
  tcpMaxTwBuckets: 65536,
}

/** `perDatagram` decides where one batch ends and the next begins. */
export function* replayDumps(
  dumps: readonly WireDump[],
  perDatagram = 7,
): Generator<SocketBatch, void, void> {
  for (const { protocol, explicit, sockets } of dumps) {
    const channel = createFakeChannel((request) => {
      const sequence = sequenceOf(request)
      return buildDatagrams(
        [...sockets.map((socket) => buildSocket(socket, sequence)), buildDone(sequence)],
        perDatagram,
      )
    })
    const filter = {
      range: { first: 1, last: 65535 },
      choice: explicit ? 'explicit' : 'auto',
      states: 0x3ffe,
    } as const
    yield* dumpSockets(channel, { kind: 'family', family: 2, protocol }, filter, createDumpBatch())
  }
}

export function createReading(
  batches: Iterable<SocketBatch>,
  settings: NetSettings = plainSettings,
): NamespaceReading {
  return {
    netns: 'self',
    reader: 'netlink',
    exactness: 'exact',
    readerIsExact: true,
    rangeOrigin: 'sysctl',
    settings,
    protocols: ['tcp', 'udp'],
    tcpBoundKnown: true,
    portsReopen: true,
    tcpChoiceKnown: true,
    udpListenersKnown: true,
    ownersBy: 'cgroup',
    canProbe: true,
    batches,
    activeOpens: undefined,
  }
}

/** A TCP connection from 10.0.0.5, or what is left of one. */
export interface PlainConnection {
  readonly port: number
  /** Last byte of the remote address. */
  readonly to: number
  /** Of its owner; undefined for a TIME_WAIT, which has none. */
  readonly cgroupId: number | undefined
}

/** Connections straight into columns: for simulations, where the wire would take most of the time. */
export function connectionBatch(connections: readonly PlainConnection[]): SocketBatch {
  const batch = createSocketBatch(connections.length)
  for (const { port, to, cgroupId } of connections) {
    const row = batch.length++
    const alive = cgroupId !== undefined
    batch.state[row] = alive ? STATE.established : STATE.timeWait
    batch.flags[row] = alive ? 0 : FLAG.minisock
    batch.localPort[row] = port
    batch.remotePort[row] = 443
    batch.localAddress.set([0, 0, 0xffff, 0x0a000005], row * 4)
    batch.remoteAddress.set([0, 0, 0xffff, 0xc0a80100 + to], row * 4)
    batch.expiresMs[row] = alive ? 0 : 30_000
    batch.cgroupId[row] = cgroupId ?? 0
  }
  return batch
}
