// Asks the kernel whether connect() may use a port, which no dump tells of a port whose sockets were once bound: a
// connect() restricted to that one port, from an address nobody uses (docs/development/port-model.md#the-truth-test).
// Runs in the calling thread's network namespace.
//
// The kernel chooses the port before it sends anything (net/ipv4/tcp_ipv4.c:tcp_v4_connect): EADDRNOTAVAIL means that
// the port is closed, and whatever comes later that it is open. The socket does not wait for what comes, and is reset.

import { encodeIpv4Endpoint } from '../kernel/ipv4-endpoint.ts'
import { type Libc, SOCK_NONBLOCK, SystemError } from '../kernel/libc.ts'
import { PROBE_FLOW } from '../kernel/probe-flow.ts'

/** `unknown`: without loopback, or on kernels that cannot restrict the ports of a socket (before 6.3). */
export type PortVerdict = 'usable' | 'closed' | 'unknown'

export interface PortProbes {
  readonly usable: readonly number[]
  readonly closed: readonly number[]
  /** Why the rest was not tested. */
  readonly problem: string | undefined
}

const AF_INET = 2
const SOCK_STREAM = 1
const OPTION = {
  linger: [1, 13],
  bindAddressNoPort: [0, 24],
  /** u32: last port << 16 | first port. */
  localPortRange: [0, 51],
} as const
const FROM = encodeIpv4Endpoint(PROBE_FLOW.from, 0)
const TO = encodeIpv4Endpoint(PROBE_FLOW.to, PROBE_FLOW.port)
/** Node knows no name of this errno (include/uapi/asm-generic/errno.h). */
const EINPROGRESS = 115

/** Tests one port after another until one answer says nothing, as the next would not either. */
export function probePorts(libc: Libc, ports: readonly number[]): PortProbes {
  const usable: number[] = []
  const closed: number[] = []
  for (const port of ports) {
    const { verdict, problem } = askPort(libc, port)
    if (verdict === 'unknown') return { usable, closed, problem }
    if (verdict === 'usable') usable.push(port)
    else closed.push(port)
  }
  return { usable, closed, problem: undefined }
}

export function probePort(libc: Libc, port: number): PortVerdict {
  return askPort(libc, port).verdict
}

function askPort(
  libc: Libc,
  port: number,
): { readonly verdict: PortVerdict; readonly problem?: string } {
  try {
    const fd = libc.socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)
    try {
      libc.setsockopt(fd, ...OPTION.linger, encodeWords(1, 0))
      libc.setsockopt(fd, ...OPTION.bindAddressNoPort, encodeWords(1))
      libc.setsockopt(fd, ...OPTION.localPortRange, encodeWords(((port << 16) | port) >>> 0))
      libc.bind(fd, FROM)
      return { verdict: connectVerdict(libc, fd) }
    } finally {
      libc.close(fd)
    }
  } catch (error) {
    if (!(error instanceof SystemError)) throw error
    // The port is left out, since it is another one each time, and a problem is told again when its text changes.
    return { verdict: 'unknown', problem: `Cannot test ports: ${error.message}` }
  }
}

function connectVerdict(libc: Libc, fd: number): 'usable' | 'closed' {
  try {
    libc.connect(fd, TO)
    return 'usable'
  } catch (error) {
    if (!(error instanceof SystemError)) throw error
    // A port was found: the connection is under way, or refused already.
    if (error.errno === EINPROGRESS || error.code === 'ECONNREFUSED') return 'usable'
    if (error.code === 'EADDRNOTAVAIL') return 'closed'
    throw error
  }
}

function encodeWords(...words: number[]): Uint8Array {
  const bytes = new Uint8Array(words.length * 4)
  const view = new DataView(bytes.buffer)
  for (const [index, word] of words.entries()) view.setUint32(index * 4, word, true)
  return bytes
}
