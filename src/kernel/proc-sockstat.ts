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
 * All sockets of the namespace, of whatever family, plus the TIME_WAITs, which are none any more: no namespace holds more
 * ports than that. Bound-idle sockets count in `used`, though not in TCP's `inuse`
 * (docs/development/port-model.md#what-can-be-seen).
 */
export function parseSocketBound(text: string): number {
  const used = /^sockets: used (\d+)$/m.exec(text)?.[1]
  const timeWait = /^TCP: .*\btw (\d+)\b/m.exec(text)?.[1]
  if (used === undefined || timeWait === undefined) {
    throw new DecodeError(
      `Cannot parse sockstat: expected "sockets: used" and "TCP: ... tw", got ${JSON.stringify(text.slice(0, 80))}`,
      0,
    )
  }
  return Number(used) + Number(timeWait)
}
