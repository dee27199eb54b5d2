// The canary: one allocation as an application would make it, given back at once. Runs in the calling thread's network
// namespace. It tells of bind(0) and UDP on IPv4; what connect() finds depends on the remote address, which no loopback
// has.

import { encodeIpv4Endpoint } from '../kernel/ipv4-endpoint.ts'
import { type Libc, SystemError } from '../kernel/libc.ts'
import type { Probe } from '../snapshot.ts'

export type CanaryPool = Extract<Probe['pool'], 'tcp_bind' | 'udp'>
export const canaryPools: readonly CanaryPool[] = ['tcp_bind', 'udp']

const AF_INET = 2
const SOCK_TYPE = { tcp_bind: 1, udp: 2 } as const
const ANY_ADDRESS = encodeIpv4Endpoint([0, 0, 0, 0], 0)
/** What an empty pool says (net/ipv4/inet_connection_sock.c:inet_csk_get_port, net/ipv4/udp.c:udp_lib_get_port). */
const REFUSALS = ['EADDRINUSE', 'EAGAIN']

/**
 * Undefined where the answer says nothing about ports: no socket to be had, or bind() forbidden. On an empty pool of
 * the default size the kernel searches for some 20 ms.
 */
export function probeAllocation(
  libc: Libc,
  pool: CanaryPool,
  monotonicSeconds: () => number,
): Probe | undefined {
  try {
    const fd = libc.socket(AF_INET, SOCK_TYPE[pool], 0)
    try {
      const start = monotonicSeconds()
      const success = tryBind(libc, fd)
      return { pool, success, durationSeconds: monotonicSeconds() - start }
    } finally {
      libc.close(fd)
    }
  } catch (error) {
    if (error instanceof SystemError) return undefined
    throw error
  }
}

function tryBind(libc: Libc, fd: number): boolean {
  try {
    libc.bind(fd, ANY_ADDRESS)
    return true
  } catch (error) {
    if (error instanceof SystemError && REFUSALS.includes(error.code)) return false
    throw error
  }
}
