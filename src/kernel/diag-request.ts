// Questions to NETLINK_SOCK_DIAG -> bytes. Mirrors include/uapi/linux/inet_diag.h; the filter runs in
// net/ipv4/inet_diag.c:inet_diag_bc_run().
//
//   struct inet_diag_req_v2 (56)     struct inet_diag_req (60, type TCPDIAG_GETSOCK)
//   0  u8  family                    0  u8  family (ignored: one walk lists both)
//   1  u8  protocol                  4  48  id
//   4  u32 states                    52 u32 states
//   8  48  id                        56 u32 dbs

import type { PortRange, Protocol } from '../observation.ts'
import { align4, NLM_F_REQUEST_DUMP, NLMSG_HEADER_BYTES } from './netlink.ts'

export const TCPDIAG_GETSOCK = 18
export const SOCK_DIAG_BY_FAMILY = 20
export const AF_INET = 2
export const AF_INET6 = 10
export const ipProtocol: Readonly<Record<Protocol, number>> = { tcp: 6, udp: 17 }

/** Bits 1 to 13: every state, with 13 the sockets that hold a port but neither listen nor connect (Linux 6.8). */
export const ALL_STATES = 0x3ffe
export const STATE_BIT_LISTEN = 1 << 10
const STATE_BIT_BOUND_IDLE = 1 << 13
/** States of sockets with a peer. */
export const CONNECTED_STATES = ALL_STATES & ~(STATE_BIT_LISTEN | STATE_BIT_BOUND_IDLE)
/** Listeners are asked for apart, and of TIME_WAITs no listing tells that the application chose the port. */
export const CHOICE_OR_IDLE_STATES = ALL_STATES & ~STATE_BIT_LISTEN & ~(1 << 6)
const INET_DIAG_REQ_BYTECODE = 1

/**
 * Which ports: those the kernel chose, those the application chose (SOCK_BINDPORT_LOCK), or both. Or those the
 * application chose together with those of sockets without a remote port, no matter who chose them.
 */
export type PortChoice = 'auto' | 'explicit' | 'any' | 'explicit_or_idle'

/** `family` is that of the modern request; the legacy one answers for both. */
export type DumpQuestion =
  | { readonly kind: 'legacy' }
  | { readonly kind: 'family'; readonly family: number; readonly protocol: Protocol }

export interface DumpFilter {
  readonly range: PortRange
  readonly choice: PortChoice
  readonly states: number
}

/**
 * The kernel's filter program for "local port within the range, chosen by whom". A condition that fails jumps ahead,
 * and landing on exactly the end of the *whole* program accepts, beyond it rejects. So programs are written out whole:
 * with an AUTO program put behind it, a range program's rejection would land on the new end and accept every socket
 * outside the range.
 */
export function encodeFilter(range: PortRange, choice: PortChoice): Uint8Array {
  const { first, last } = range
  const low = (port: number) => port & 0xff
  const high = (port: number) => port >> 8
  // op, yes, no (u16); S_GE = 2, S_LE = 3 and D_LE = 5 carry the port in a second op. AUTO = 6, JMP = 1.
  switch (choice) {
    case 'any':
      // biome-ignore format: one instruction a line
      return Uint8Array.of(
        2, 8, 20, 0, 0, 0, low(first), high(first),
        3, 8, 12, 0, 0, 0, low(last), high(last),
      )
    case 'auto':
      // biome-ignore format: one instruction a line
      return Uint8Array.of(
        2, 8, 24, 0, 0, 0, low(first), high(first),
        3, 8, 16, 0, 0, 0, low(last), high(last),
        6, 4, 8, 0,
      )
    case 'explicit':
      // biome-ignore format: one instruction a line
      return Uint8Array.of(
        2, 8, 28, 0, 0, 0, low(first), high(first),
        3, 8, 20, 0, 0, 0, low(last), high(last),
        6, 4, 8, 0,
        1, 4, 8, 0,
      )
    case 'explicit_or_idle':
      // biome-ignore format: one instruction a line
      return Uint8Array.of(
        2, 8, 32, 0, 0, 0, low(first), high(first),
        3, 8, 24, 0, 0, 0, low(last), high(last),
        6, 4, 12, 0,
        5, 8, 12, 0, 0, 0, 0, 0,
      )
  }
}

/** A filter as the kernel runs it. */
export interface RawFilter {
  readonly program: Uint8Array
  readonly states: number
  /** Attributes wanted beside the usual ones: bit n - 1 for attribute n. */
  readonly extensions: number
}

/** Encodes one dump request; `sequence` comes back in every message of the answer. */
export function encodeDumpRequest(
  question: DumpQuestion,
  filter: DumpFilter | RawFilter,
  sequence: number,
): Uint8Array {
  const legacy = question.kind === 'legacy'
  const bodyBytes = legacy ? 60 : 56
  const { program, extensions } =
    'program' in filter
      ? filter
      : { program: encodeFilter(filter.range, filter.choice), extensions: 0 }
  const bytes = new Uint8Array(NLMSG_HEADER_BYTES + bodyBytes + align4(4 + program.length))
  const view = new DataView(bytes.buffer)
  view.setUint32(0, bytes.length, true)
  view.setUint16(4, legacy ? TCPDIAG_GETSOCK : SOCK_DIAG_BY_FAMILY, true)
  view.setUint16(6, NLM_F_REQUEST_DUMP, true)
  view.setUint32(8, sequence, true)

  const body = NLMSG_HEADER_BYTES
  if (question.kind === 'legacy') {
    view.setUint8(body, AF_INET)
    view.setUint8(body + 3, extensions)
    view.setUint32(body + 52, filter.states, true)
  } else {
    view.setUint8(body, question.family)
    view.setUint8(body + 1, ipProtocol[question.protocol])
    view.setUint8(body + 2, extensions)
    view.setUint32(body + 4, filter.states, true)
  }

  const attribute = body + bodyBytes
  view.setUint16(attribute, 4 + program.length, true)
  view.setUint16(attribute + 2, INET_DIAG_REQ_BYTECODE, true)
  bytes.set(program, attribute + 4)
  return bytes
}
