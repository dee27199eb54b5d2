// Which destinations tcp_tw_reuse=2 recycles for. Pure.

import type { Destination } from '../snapshot.ts'

/**
 * Whether either end is a loopback address or the sockets are bound to interface 1, which is what tcp_tw_reuse=2 asks
 * (net/ipv4/tcp_ipv4.c: tcp_twsk_unique).
 */
export function isLoopback({ source, destination }: Destination): boolean {
  return /^127\.|^::1(%|$)|%1$/.test(source) || /^(127\.|\[::1\]:)/.test(destination)
}
