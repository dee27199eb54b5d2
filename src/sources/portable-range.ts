// The range of ephemeral ports where there is no /proc: what sysctl (macOS) and netsh (Windows) print -> PortRange.

import { DecodeError, type PortRange } from '../observation.ts'

const LAST_PORT = 65535

/**
 * The names to ask sysctl(8) for. There are two more pairs: `hifirst` and `hilast` count for sockets that asked for
 * IP_PORTRANGE_HIGH, `lowfirst` and `lowlast` for IP_PORTRANGE_LOW. A socket that asked for nothing, and that is every
 * ordinary connect(), takes from `first` to `last` (bsd/netinet/in_pcb.c:in_pcbbind).
 */
export const MACOS_RANGE_SYSCTLS = [
  'net.inet.ip.portrange.first',
  'net.inet.ip.portrange.last',
] as const

/**
 * The answer to `sysctl [-n] first last`: a line each. A `first` above `last` is valid, the kernel then counts down.
 */
export function parseMacosPortRange(text: string): PortRange {
  const numbers = trailingNumbers(text)
  const [first, last] = numbers
  if (numbers.length !== 2 || first === undefined || last === undefined) {
    throw unusable('the answer of sysctl', text, 'two lines that end in a port')
  }
  return checkRange(Math.min(first, last), Math.max(first, last), 'the answer of sysctl', text)
}

/**
 * The answer to `netsh int ipv4 show dynamicport tcp`: a heading, then the first port and the number of ports. The
 * words are in the language of the system, so only the order of the two numbers is relied on.
 */
export function parseNetshDynamicPort(text: string): PortRange {
  const numbers = trailingNumbers(text)
  const [first, count] = numbers
  if (numbers.length !== 2 || first === undefined || count === undefined) {
    throw unusable('the answer of netsh', text, 'a first port and a number of ports')
  }
  return checkRange(first, first + count - 1, 'the answer of netsh', text)
}

/** The number at the end of each line that has one there. */
function trailingNumbers(text: string): number[] {
  return text.split(/\r?\n/).flatMap((line) => {
    const digits = /(?:^|[^\d.-])(\d+)\s*$/.exec(line)?.[1]
    return digits === undefined ? [] : [Number(digits)]
  })
}

function checkRange(first: number, last: number, what: string, text: string): PortRange {
  if (first < 1 || last < first || last > LAST_PORT) {
    throw unusable(what, text, 'a range of ports within 1 to 65535')
  }
  return { first, last }
}

function unusable(what: string, text: string, expected: string): DecodeError {
  const start = JSON.stringify(text.trim().slice(0, 120))
  return new DecodeError(`Cannot parse ${what} ${start}: expected ${expected}`, 0)
}
