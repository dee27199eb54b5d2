// Which TIME_WAIT sockets connect() may recycle: net/ipv4/tcp_ipv4.c:tcp_twsk_unique(), measured in
// docs/development/port-model.md#time_wait.

import { FLAG, type NetSettings, type SocketBatch, STATE } from '../observation.ts'
import { isLoopback } from './addresses.ts'

/** TCP_TIMEWAIT_LEN, include/net/tcp.h: fixed at compile time. */
export const TIME_WAIT_MS = 60_000
export const LOOPBACK_IFINDEX = 1

/**
 * Whether a connect() to the same destination may take over the port of this row now. Assumes that the connection had
 * TCP timestamps, which no dump of a TIME_WAIT shows: the kernel does not ask what the sysctl says by now.
 */
export function isReclaimable(batch: SocketBatch, row: number, settings: NetSettings): boolean {
  if (batch.state[row] !== STATE.timeWait) return false
  if (settings.tcpTimestamps === undefined) return false
  // A reader that does not know the age gives an upper bound: the TIME_WAIT may be old enough.
  const ageKnown = ((batch.flags[row] ?? 0) & FLAG.minisock) !== 0
  const ageMs = ageKnown ? TIME_WAIT_MS - (batch.expiresMs[row] ?? 0) : TIME_WAIT_MS
  if (ageMs <= settings.tcpTwReuseDelayMs) return false
  if (settings.tcpTwReuse === 1) return true
  return settings.tcpTwReuse === 2 && staysOnLoopback(batch, row)
}

/** The age at which some TIME_WAIT may become reclaimable under these settings; undefined where none does. */
export function takeReuseDelay(settings: NetSettings): number | undefined {
  const allowed = Boolean(settings.tcpTimestamps) && Boolean(settings.tcpTwReuse)
  return allowed ? settings.tcpTwReuseDelayMs / 1000 : undefined
}

function staysOnLoopback(batch: SocketBatch, row: number): boolean {
  return (
    isLoopback(batch.localAddress, row * 4) ||
    isLoopback(batch.remoteAddress, row * 4) ||
    batch.device[row] === LOOPBACK_IFINDEX
  )
}
