// Dumps of a live namespace as the wire carries them: request -> messages, counted before any decoder sees them.

import { decodeDatagram } from '../../../src/kernel/diag-answer.ts'
import { createDumpBatch, openDiagChannel } from '../../../src/kernel/diag-channel.ts'
import { CONNECTED_STATES, STATE_BIT_LISTEN } from '../../../src/kernel/diag-request.ts'
import type { Libc } from '../../../src/kernel/libc.ts'
import type { NetlinkChannel } from '../../../src/kernel/netlink-channel.ts'
import type { PortRange, Protocol } from '../../../src/observation.ts'
import type { PlannedDump } from '../../../src/sources/netlink.ts'
import { describeRows } from '../../kernel/rows.ts'

export interface Survey {
  readonly datagrams: number
  /** The local port of every socket received. */
  readonly ports: readonly number[]
  /** The sockets as text, sorted, without the time that minisocks have left. */
  readonly rows: readonly string[]
}

const NLMSG_ERROR = 2
const NLMSG_DONE = 3
const HEADER_BYTES = 16
/** Of idiag_sport, big-endian, within a message. */
const PORT_OFFSET = HEADER_BYTES + 4

/** Sends one request in the calling thread's namespace and listens to the end of the answer. */
export function surveyDump(libc: Libc, request: Uint8Array, protocol: Protocol): Survey {
  const channel = openDiagChannel(libc)
  try {
    channel.send(request)
    return receiveAll(channel, Buffer.from(request).readUInt32LE(8), protocol)
  } finally {
    channel.close()
  }
}

function receiveAll(channel: NetlinkChannel, sequence: number, protocol: Protocol): Survey {
  const ports: number[] = []
  const rows: string[] = []
  for (let datagrams = 1; ; datagrams++) {
    const datagram = Buffer.from(channel.receive())
    const done = listPorts(datagram, ports)
    const batch = { ...createDumpBatch(), protocol }
    decodeDatagram(datagram, sequence, batch)
    for (const row of describeRows([batch])) rows.push(row.replace(/ \d+ms/, ''))
    if (done) return { datagrams, ports, rows: rows.sort() }
  }
}

/** Returns whether the dump is complete. */
function listPorts(datagram: Buffer, ports: number[]): boolean {
  for (let at = 0; at < datagram.length; at += (datagram.readUInt32LE(at) + 3) & ~3) {
    const type = datagram.readUInt16LE(at + 4)
    if (type === NLMSG_DONE) return true
    if (type === NLMSG_ERROR)
      throw new Error(`The kernel refused: ${datagram.readInt32LE(at + 16)}`)
    ports.push(datagram.readUInt16BE(at + PORT_OFFSET))
  }
  return false
}

/** How many of the sockets received were not asked for. */
export function countStrays({ ports }: Survey, { first, last }: PortRange): number {
  return ports.filter((port) => port < first || port > last).length
}

/**
 * struct nlmsghdr and inet_diag_req_v2 for all states, with `program` as it is for a
 * filter; without one the kernel sends everything.
 */
export function buildRequest(
  family: 'inet' | 'inet6',
  protocol: Protocol,
  program: readonly number[] = [],
): Uint8Array {
  const attribute = program.length === 0 ? [] : [4 + program.length, 0, 1, 0, ...program]
  const bytes = Buffer.alloc(72 + attribute.length)
  bytes.writeUInt32LE(bytes.length, 0)
  bytes.writeUInt16LE(20, 4) // SOCK_DIAG_BY_FAMILY
  bytes.writeUInt16LE(0x301, 6) // NLM_F_REQUEST | NLM_F_DUMP
  bytes.writeUInt32LE(77, 8)
  bytes.writeUInt8(family === 'inet' ? 2 : 10, 16)
  bytes.writeUInt8(protocol === 'tcp' ? 6 : 17, 17)
  bytes.writeUInt32LE(0x3ffe, 20)
  bytes.set(attribute, 72)
  return bytes
}

const AUTO_STATES = CONNECTED_STATES | STATE_BIT_LISTEN

/** For example `tcp inet auto`, `tcp legacy explicit listen`. */
export function nameDump({ question, choice, states }: PlannedDump): string {
  const family = question.kind === 'family' && question.family === 2 ? 'inet' : 'inet6'
  const walk = question.kind === 'legacy' ? 'tcp legacy' : `${question.protocol} ${family}`
  if (states === STATE_BIT_LISTEN) return `${walk} ${choice} listen`
  return `${walk} ${choice}${states === AUTO_STATES ? ' not bound' : ''}`
}
