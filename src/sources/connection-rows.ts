// Rows as systeminformation's networkConnections() returns them -> one batch for TCP and one for UDP. They are columns
// of what netstat or ss printed, so that each platform has its own spelling of the same thing.

import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { createSocketBatch, DecodeError, FLAG, type SocketBatch, STATE } from '../observation.ts'

export interface ConnectionRow {
  readonly protocol: string
  readonly localAddress: string
  readonly localPort: string
  readonly peerAddress: string
  readonly peerPort: string
  readonly state: string
}

/** Linux' netstat gives an address and its port 22 characters together and cuts the address to that. */
const NETSTAT_COLUMN = 22

/** NB: states come as netstat, ss, BSD and Windows spell them, with dashes already turned into underscores. */
const TCP_STATES: Readonly<Record<string, number>> = {
  ESTABLISHED: STATE.established,
  ESTAB: STATE.established,
  SYN_SENT: STATE.synSent,
  SYN_RECV: STATE.synRecv,
  SYN_RCVD: STATE.synRecv,
  SYN_RECEIVED: STATE.synRecv,
  FIN_WAIT1: STATE.finWait1,
  FIN_WAIT_1: STATE.finWait1,
  FIN_WAIT2: STATE.finWait2,
  FIN_WAIT_2: STATE.finWait2,
  TIME_WAIT: STATE.timeWait,
  CLOSE: STATE.close,
  CLOSED: STATE.close,
  CLOSE_WAIT: STATE.closeWait,
  LAST_ACK: STATE.lastAck,
  LISTEN: STATE.listen,
  LISTENING: STATE.listen,
  CLOSING: STATE.closing,
}

/**
 * Sorts out which rows are sockets that hold a port. TIME_WAIT rows carry no FLAG.minisock, because nothing tells how
 * long they last. Throws DecodeError for a row with a port that is none.
 */
export function parseConnections(
  rows: readonly ConnectionRow[],
  platform: string,
): { readonly tcp: SocketBatch; readonly udp: SocketBatch } {
  const tcp = createSocketBatch(rows.length)
  const udp = createSocketBatch(rows.length)
  udp.protocol = 'udp'
  for (const row of rows) {
    // tcp, tcp4, tcp6, tcp46; anything else is a heading of Windows' netstat that was taken for a row.
    const protocol = /^(tcp|udp)(4|6|46)?$/.exec(row.protocol)?.[1]
    if (protocol === 'tcp') addRow(tcp, row, platform)
    else if (protocol === 'udp') addRow(udp, row, platform)
  }
  return { tcp, udp }
}

function addRow(batch: SocketBatch, row: ConnectionRow, platform: string): void {
  const localPort = parsePort(row.localPort, row)
  if (localPort === 0) return
  const at = batch.length
  const remotePort = parsePort(row.peerPort, row)
  const local = parseAddress(row.localAddress, row.localPort, row.protocol, platform)
  const remote = parseAddress(row.peerAddress, row.peerPort, row.protocol, platform)
  batch.localPort[at] = localPort
  batch.localAddress.set(local ?? WILDCARD, at * 4)
  // A cut address is no address: such a socket holds its port, but towards a destination that is not known.
  if (local !== undefined && remote !== undefined) {
    batch.remotePort[at] = remotePort
    batch.remoteAddress.set(remote, at * 4)
  }
  const state =
    batch.protocol === 'udp' ? udpState(remotePort) : tcpState(row, remotePort, platform)
  batch.state[at] = state
  const isOpenEnd = state === STATE.listen || state === STATE.bound
  if (isOpenEnd && isIpv6Only(row, local, platform)) batch.flags[at] = FLAG.ipv6Only
  batch.length = at + 1
}

/**
 * 0 where there is no port, which is written as 0 or `*`. BusyBox' netstat cuts an IPv6 address together with its port,
 * so what stands in the port's place may be anything.
 */
function parsePort(text: string, row: ConnectionRow): number {
  if (text === '*') return 0
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  if (port <= 65535) return port
  const { protocol, localAddress, localPort, peerAddress, peerPort } = row
  throw new DecodeError(
    `Cannot read the connection ${protocol} ${localAddress}:${localPort} ${peerAddress}:${peerPort}: expected a port, got ${JSON.stringify(text)}`,
    0,
  )
}

function tcpState(row: ConnectionRow, remotePort: number, platform: string): number {
  const known = TCP_STATES[row.state.replaceAll('-', '_')]
  if (known !== undefined) return known
  if (remotePort !== 0) return STATE.unknown
  // Windows writes states in the language of the system, but only listeners have no remote port there.
  if (platform === 'win32') return STATE.listen
  // systeminformation knows neither CLOSED nor SYN_RCVD of macOS and turns both into UNKNOWN.
  return platform === 'darwin' ? STATE.bound : STATE.unknown
}

/** What the platforms write as the state of a UDP socket is nothing, UNCONN or UNKNOWN, whether connected or not. */
function udpState(remotePort: number): number {
  return remotePort === 0 ? STATE.bound : STATE.established
}

const WILDCARD = [0, 0, 0, 0] as const
const WILDCARD_V4 = [0, 0, 0xffff, 0] as const

/** Four words as in SocketBatch, or undefined where the text is cut. */
function parseAddress(
  text: string,
  port: string,
  protocol: string,
  platform: string,
): readonly number[] | undefined {
  // ss and Windows write [v6], all may write %zone.
  const address = text.replace(/[[\]]/g, '').replace(/%.*$/, '')
  if (address === '*' || address === '')
    return protocol.endsWith('4') && !protocol.endsWith('46') ? WILDCARD_V4 : WILDCARD
  const version = isIP(address)
  if (version === 4) return [0, 0, 0xffff, readWord(ipaddr.IPv4.parse(address).toByteArray(), 0)]
  if (version === 0) return undefined
  const isFromNetstat = platform === 'linux' && !text.startsWith('[')
  if (isFromNetstat && address.length + port.length >= NETSTAT_COLUMN) return undefined
  const bytes = ipaddr.IPv6.parse(address).toByteArray()
  return [0, 4, 8, 12].map((offset) => readWord(bytes, offset))
}

function readWord(bytes: readonly number[], offset: number): number {
  const [a = 0, b = 0, c = 0, d = 0] = bytes.slice(offset, offset + 4)
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0
}

/**
 * A specific IPv6 address is never shared with IPv4. For the wildcard ss tells the two apart as `[::]` and `*`, macOS
 * as tcp6 and tcp46; Linux' netstat does not, and Windows lists a dual-stack socket once for each family.
 */
function isIpv6Only(
  row: ConnectionRow,
  local: readonly number[] | undefined,
  platform: string,
): boolean {
  // Only an IPv6 address is long enough to be cut, and the wildcard is short.
  if (local === undefined) return true
  const [a, b, c, d] = local
  if (a === 0 && b === 0 && c === 0xffff) return false
  if (a !== 0 || b !== 0 || c !== 0 || d !== 0) return true
  if (platform === 'darwin') return row.protocol.endsWith('6') && !row.protocol.endsWith('46')
  return platform === 'win32' || row.localAddress === '[::]'
}
