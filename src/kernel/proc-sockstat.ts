// /proc/<pid>/net/sockstat: text -> how many ports the namespace can hold at most. Mirrors net/ipv4/proc.c:sockstat_seq_show.

import { DecodeError } from '../observation.ts'
import { readProcFile } from './proc-file.ts'

/** It has about 150. */
const EXPECTED_BYTES = 512

/** Of a file such as /proc/thread-self/net/sockstat; undefined where there is none (any more). */
export function readSocketBound(path: string): number | undefined {
  const text = readProcFile(path, EXPECTED_BYTES)
  return text === undefined ? undefined : parseSocketBound(text)
}

/**
 * Adds up all sockets of the namespace that programs hold, of whatever family; the TIME_WAITs, which are none any more; and
 * what is in use of TCP and UDP, because `used` leaves out the sockets of the kernel itself, such as those of VXLAN. No
 * namespace holds more ports than that. Bound-idle sockets count in `used`, though not in TCP's `inuse`
 * (docs/development/port-model.md#what-can-be-seen).
 */
export function parseSocketBound(text: string): number {
  const counts = [
    /^sockets: used (\d+)$/m.exec(text)?.[1],
    /^TCP: inuse (\d+)\b/m.exec(text)?.[1],
    /^TCP: .*\btw (\d+)\b/m.exec(text)?.[1],
    /^UDP: inuse (\d+)\b/m.exec(text)?.[1],
  ]
  if (counts.includes(undefined)) {
    throw new DecodeError(
      `Cannot parse sockstat: expected "sockets: used", "TCP: inuse ... tw" and "UDP: inuse", got ${JSON.stringify(text.slice(0, 80))}`,
      0,
    )
  }
  return counts.reduce((sum, count) => sum + Number(count), 0)
}
