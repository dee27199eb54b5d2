// /proc/<pid>/net/sockstat{,6}: text -> how many ports the namespace can hold at most. Mirrors sockstat_seq_show() of
// net/ipv4/proc.c and sockstat6_seq_show() of net/ipv6/proc.c.

import { DecodeError } from '../observation.ts'
import { readProcFile } from './proc-file.ts'

/** It has about 150. */
const EXPECTED_BYTES = 512

/** Reads the bound of a folder such as /proc/thread-self/net; undefined where there is none (any more). */
export function readSocketBound(folder: string): number | undefined {
  const text = readProcFile(`${folder}/sockstat`, EXPECTED_BYTES)
  // A kernel without IPv6 has no other file.
  const text6 = readProcFile(`${folder}/sockstat6`, EXPECTED_BYTES)
  return text === undefined ? undefined : parseSocketBound(text, text6)
}

/**
 * Adds up all sockets of the namespace that programs hold, of whatever family; the TIME_WAITs, which are none any more;
 * and what is in use of TCP and UDP, of IPv4 and IPv6, because `used` leaves out the sockets of the kernel itself, such
 * as those of VXLAN. No namespace holds more ports than that. Bound-idle sockets count in `used`, though not in TCP's
 * `inuse` (docs/development/port-model.md#what-can-be-seen).
 */
export function parseSocketBound(sockstat: string, sockstat6?: string): number {
  const counts = [
    /^sockets: used (\d+)$/m.exec(sockstat)?.[1],
    /^TCP: inuse (\d+)\b/m.exec(sockstat)?.[1],
    /^TCP: .*\btw (\d+)\b/m.exec(sockstat)?.[1],
    /^UDP: inuse (\d+)\b/m.exec(sockstat)?.[1],
  ]
  if (counts.includes(undefined)) {
    throw refuse('sockstat', '"sockets: used", "TCP: inuse ... tw" and "UDP: inuse"', sockstat)
  }
  if (sockstat6 !== undefined) {
    const counts6 = [
      /^TCP6: inuse (\d+)$/m.exec(sockstat6)?.[1],
      /^UDP6: inuse (\d+)$/m.exec(sockstat6)?.[1],
    ]
    if (counts6.includes(undefined)) {
      throw refuse('sockstat6', '"TCP6: inuse" and "UDP6: inuse"', sockstat6)
    }
    counts.push(...counts6)
  }
  return counts.reduce((sum, count) => sum + Number(count), 0)
}

function refuse(file: string, expected: string, text: string): DecodeError {
  const got = JSON.stringify(text.slice(0, 80))
  return new DecodeError(`Cannot parse ${file}: expected ${expected}, got ${got}`, 0)
}
