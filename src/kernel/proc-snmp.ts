// /proc/net/{snmp,netstat}: text -> Tcp ActiveOpens, TcpExt TWRecycled. Pairs of lines, names above values; mirrors
// net/ipv4/proc.c:snmp_seq_show_tcp_udp and netstat_seq_show.
// /proc/net/sockstat{,6}: text -> how many TCP sockets the namespace counts; mirrors net/ipv4/proc.c:sockstat_seq_show.

import { DecodeError } from '../observation.ts'
import { readProcFile } from './proc-file.ts'

/** Reads ActiveOpens of a file such as /proc/thread-self/net/snmp. It gives undefined where there is none. */
export function readActiveOpens(path: string): number | undefined {
  const text = readProcFile(path)
  return text === undefined ? undefined : parseActiveOpens(text)
}

/** Reads TWRecycled of a file such as /proc/thread-self/net/netstat. It gives undefined where there is none. */
export function readTimeWaitRecycled(path: string): number | undefined {
  const text = readProcFile(path)
  return text === undefined ? undefined : parseCounter(text, 'TcpExt', 'TWRecycled')
}

/** Connections opened by connect() since the namespace began; undefined where the kernel does not count them. */
export function parseActiveOpens(text: string): number | undefined {
  return parseCounter(text, 'Tcp', 'ActiveOpens')
}

/** The counter of a group; undefined where the kernel has none of that name. */
export function parseCounter(text: string, group: string, name: string): number | undefined {
  const [names, values] = text
    .split('\n')
    .filter((line) => line.startsWith(`${group}: `))
    .map((line) => line.trim().split(/\s+/))
  const column = names?.indexOf(name) ?? -1
  if (column < 0) return undefined
  const value = values?.[column] ?? ''
  if (!/^\d+$/.test(value)) {
    throw new DecodeError(
      `Cannot parse ${name}: expected a whole number, got ${JSON.stringify(value.slice(0, 40))}`,
      0,
    )
  }
  return Number(value)
}

/** Sockets and TIME_WAITs of both files, bound-idle ones apart, which TCP's `inuse` leaves out. */
export function parseTcpSocketCount(sockstat: string, sockstat6: string): number {
  const inUse = Number(/^TCP: inuse (\d+) /m.exec(sockstat)?.[1] ?? 0)
  const timeWait = Number(/^TCP: .* tw (\d+) /m.exec(sockstat)?.[1] ?? 0)
  const inUse6 = Number(/^TCP6: inuse (\d+)$/m.exec(sockstat6)?.[1] ?? 0)
  return inUse + timeWait + inUse6
}
