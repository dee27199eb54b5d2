// One row of /proc/net/{tcp,tcp6,udp,udp6}: bytes -> an entry of every column of a batch.
//
//    0: 0100007F:E0C2 0100007F:1F90 06 00000000:00000000 03:00001760 00000000     0        0 0 3 0000000064878204
//   sl  local         remote        st tx_queue:rx_queue tr:tm->when retrnsmt   uid  timeout inode ...
//
// Addresses are words of 32 bits in the byte order of the host, one for IPv4, four for IPv6; ports are plain numbers.

import { DecodeError, FLAG, type PortRange, type SocketBatch, STATE } from '../observation.ts'
import { cannotDecode, quoteBytes } from './proc-net-lines.ts'

export type ProcNetTable = 'tcp' | 'tcp6' | 'udp' | 'udp6'

export interface ProcNetOptions {
  readonly table: ProcNetTable
  /** Rows whose local port lies outside are left out, and read no further than that. */
  readonly range?: PortRange
  /** The byte order of the host that wrote the text; little where not said. */
  readonly bigEndian?: boolean
}

const SPACE = 32
const COLON = 58
const TIMER_TIME_WAIT = 3
/** tm->when counts USER_HZ, which is 100 on every architecture that Node runs on. */
const TICK_MS = 10
const V4_MAPPED = 0xffff
const MAX_U32 = 0xffffffff
const NO_DIGIT = 255
const HEX_DIGITS = hexDigits()

/** Creates the function that appends one row to the batch. */
export function createRowDecoder(
  { table, range = { first: 0, last: 65535 }, bigEndian = false }: ProcNetOptions,
  batch: SocketBatch,
): (bytes: Uint8Array, from: number, to: number) => void {
  const words = table.endsWith('6') ? 4 : 1
  const isUdp = table.startsWith('udp')
  let line: Uint8Array = new Uint8Array(0)
  let start = 0
  let at = 0
  let end = 0

  function fail(expected: string): never {
    const text = quoteBytes(line, start, end)
    throw new DecodeError(
      `${cannotDecode(table)}: expected ${expected} in ${text}`,
      Math.min(at, end) - start,
    )
  }

  function expectByte(byte: number, name: string): void {
    if (at >= end || line[at] !== byte) fail(name)
    at++
  }

  function skipSpaces(): void {
    while (at < end && line[at] === SPACE) at++
  }

  function readHex(digits: number, name: string): number {
    let value = 0
    for (const stop = at + digits; at < stop; at++) {
      const digit = at < end ? (HEX_DIGITS[line[at] ?? 0] ?? NO_DIGIT) : NO_DIGIT
      if (digit === NO_DIGIT) fail(name)
      value = value * 16 + digit
    }
    return value
  }

  function readDecimal(largest: number, name: string): number {
    const first = at
    let value = 0
    for (; at < end; at++) {
      const digit = HEX_DIGITS[line[at] ?? 0] ?? NO_DIGIT
      if (digit > 9) break
      value = value * 10 + digit
      if (value > largest) fail(name)
    }
    if (at === first) fail(name)
    return value
  }

  function readAddress(column: Uint32Array, row: number): void {
    const to = row * 4
    if (words === 1) {
      column[to] = 0
      column[to + 1] = 0
      column[to + 2] = V4_MAPPED
    }
    for (let word = 4 - words; word < 4; word++) {
      const value = readHex(8, 'eight hexadecimal digits of an address')
      column[to + word] = bigEndian ? value : swapBytes(value)
    }
  }

  function readEnd(address: Uint32Array, port: Uint16Array, row: number): void {
    readAddress(address, row)
    expectByte(COLON, 'a colon before the port')
    port[row] = readHex(4, 'four hexadecimal digits of a port')
    expectByte(SPACE, 'a space')
  }

  /** The row's local port, looked at without reading what is before it. */
  function peekLocalPort(): number {
    const address = at
    at += words * 8
    expectByte(COLON, 'a colon before the port')
    const port = readHex(4, 'four hexadecimal digits of a port')
    at = address
    return port
  }

  function skipQueues(): void {
    readHex(8, 'the send queue')
    expectByte(COLON, 'a colon between the queues')
    readHex(8, 'the receive queue')
    expectByte(SPACE, 'a space')
  }

  /** Returns the time until a minisock is gone, or -1 for what is none. */
  function readTimer(): number {
    const timer = readHex(2, 'the timer code')
    expectByte(COLON, 'a colon after the timer code')
    const ticks = readHex(8, 'the timer')
    expectByte(SPACE, 'a space')
    return timer === TIMER_TIME_WAIT ? Math.min(ticks * TICK_MS, MAX_U32) : -1
  }

  /** What follows the user id. */
  function readInode(): number {
    skipSpaces()
    readDecimal(MAX_U32, 'a timeout')
    expectByte(SPACE, 'a space after the timeout')
    return readDecimal(MAX_U32, 'an inode')
  }

  return (bytes, from, to) => {
    line = bytes
    start = from
    at = from
    end = to
    skipSpaces()
    readDecimal(Number.MAX_SAFE_INTEGER, 'a row number')
    expectByte(COLON, 'a colon after the row number')
    expectByte(SPACE, 'a space')
    const port = peekLocalPort()
    if (port < range.first || port > range.last) return

    const row = batch.length
    readEnd(batch.localAddress, batch.localPort, row)
    readEnd(batch.remoteAddress, batch.remotePort, row)
    const kernelState = readHex(2, 'two hexadecimal digits of a state')
    expectByte(SPACE, 'a space')
    skipQueues()
    const expiresMs = readTimer()
    readHex(8, 'the retransmit counter')
    skipSpaces()
    batch.uid[row] = readDecimal(MAX_U32, 'a user id')
    // A row that ends here was cut.
    expectByte(SPACE, 'a space after the user id')

    const state = isUdp ? udpState(kernelState) : tcpState(kernelState)
    batch.inode[row] = state === STATE.listen ? readInode() : 0
    batch.state[row] = state
    batch.expiresMs[row] = Math.max(0, expiresMs)
    batch.flags[row] =
      (expiresMs >= 0 ? FLAG.minisock : 0) |
      (isIpv6Only(batch.localAddress, row, state) ? FLAG.ipv6Only : 0)
    batch.length = row + 1
  }
}

/** include/net/tcp_states.h, whose numbers observation.ts keeps up to CLOSING; 12 is NEW_SYN_RECV. */
function tcpState(kernelState: number): number {
  if (kernelState <= STATE.closing) return kernelState
  return kernelState === 12 ? STATE.synRecv : STATE.unknown
}

/** UDP borrows two states: connected sockets are ESTABLISHED, all others CLOSE. */
function udpState(kernelState: number): number {
  if (kernelState === STATE.established) return STATE.established
  return kernelState === STATE.close ? STATE.bound : STATE.unknown
}

/**
 * bind() to a specific IPv6 address sets IPV6_V6ONLY by itself (net/ipv6/af_inet6.c:__inet6_bind), connect() does not.
 * The text says nothing about ::, which is dual-stack unless an application wants otherwise.
 */
function isIpv6Only(address: Uint32Array, row: number, state: number): boolean {
  if (state !== STATE.listen && state !== STATE.bound) return false
  const [a = 0, b = 0, c = 0, d = 0] = address.subarray(row * 4, row * 4 + 4)
  const isWildcard = a === 0 && b === 0 && c === 0 && d === 0
  const isIpv4 = a === 0 && b === 0 && c === V4_MAPPED
  return !isWildcard && !isIpv4
}

function hexDigits(): Uint8Array {
  const digits = new Uint8Array(256).fill(NO_DIGIT)
  for (let value = 0; value < 16; value++) {
    const digit = value.toString(16)
    digits[digit.charCodeAt(0)] = value
    digits[digit.toUpperCase().charCodeAt(0)] = value
  }
  return digits
}

function swapBytes(word: number): number {
  return ((word >>> 24) | ((word >>> 8) & 0xff00) | ((word << 8) & 0xff0000) | (word << 24)) >>> 0
}
