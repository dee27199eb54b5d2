// What an option's value may be: text -> value, undefined when the text is not allowed. Pure.

import { isIP, isIPv4 } from 'node:net'
import type { NatRangeOption } from '../settings.ts'

export interface Value<T> {
  /** Stands for the value in --help; undefined for a switch, which needs none. */
  readonly placeholder: string | undefined
  /** Between what it may lie, of a number and of a duration: "1 to 1000". */
  readonly limits?: string
  /** Completes "expected ...". */
  readonly allowed: string
  readonly parse: (text: string) => T | undefined
}

export interface ListenAddress {
  /** The address as the user wrote it. */
  readonly text: string
  /** The host without brackets, undefined for every address of the machine. */
  readonly host: string | undefined
  /** 0 lets the kernel choose. */
  readonly port: number
}

/** Paths that the program answers itself; namespaces have pages of their own below the last. */
const reservedPaths = [
  '/-/healthy',
  '/-/ready',
  '/api/v1/snapshot',
  '/api/v1/diagnosis',
  '/namespaces',
]

export const switchValue: Value<boolean> = {
  placeholder: undefined,
  allowed: 'true, false, 1 or 0',
  parse: (text) => {
    if (text === 'true' || text === '1') return true
    return text === 'false' || text === '0' ? false : undefined
  },
}

export const listenAddressValue: Value<ListenAddress> = {
  placeholder: 'ADDRESS',
  allowed: 'host:port, :port or [IPv6]:port with a port from 0 to 65535',
  parse: parseListenAddress,
}

export const telemetryPathValue: Value<string> = {
  placeholder: 'PATH',
  allowed: `a path of letters, digits and . _ ~ - that starts with / and is none of ${reservedPaths.join(', ')}`,
  parse: parseTelemetryPath,
}

export const absolutePathValue: Value<string> = {
  placeholder: 'DIR',
  allowed: 'an absolute path without control characters',
  parse: (text) =>
    text.startsWith('/') && !hasControls(text)
      ? `/${text.split('/').filter(Boolean).join('/')}`
      : undefined,
}

export const filePathValue: Value<string> = {
  placeholder: 'FILE',
  allowed: 'the path of a YAML file, without control characters',
  parse: (text) => (text === '' || hasControls(text) ? undefined : text),
}

export const ratioValue: Value<number> = {
  placeholder: 'RATIO',
  limits: 'above 0 and up to 1',
  allowed: 'a number above 0 and up to 1',
  parse: (text) => {
    const ratio = /^(\d+(\.\d*)?|\.\d+)$/.test(text) ? Number(text) : 0
    return ratio > 0 && ratio <= 1 ? ratio : undefined
  },
}

export const shareValue: Value<number> = {
  placeholder: 'RATIO',
  limits: '0 to 1',
  allowed: 'a number from 0 to 1',
  parse: (text) =>
    /^0*(\.0*)?$/.test(text) && text !== '' && text !== '.' ? 0 : ratioValue.parse(text),
}

export const natRangeValue: Value<NatRangeOption> = {
  placeholder: 'RANGE',
  allowed:
    'an IPv4 address, = and two ports from 1 to 65535 with - between them, as 10.0.0.1=40000-49999',
  parse: (text) => {
    const [, host = '', first = '', last = ''] = /^([\d.]+)=(\d{1,5})-(\d{1,5})$/.exec(text) ?? []
    const ports = { first: Number(first), last: Number(last) }
    if (!isIPv4(host) || ports.first < 1 || ports.first > ports.last || ports.last > 65535) {
      return undefined
    }
    return { address: host.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0), ...ports }
  },
}

// A NUL byte ends a path early in the kernel, and the others would reach a terminal with a message about the path.
function hasControls(text: string): boolean {
  return /\p{Cc}/u.test(text)
}

/** One of a closed set of words. */
export function createChoiceValue<const T extends string>(...words: readonly T[]): Value<T> {
  return {
    placeholder: words.join('|'),
    allowed: `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`,
    parse: (text) => words.find((word) => word === text),
  }
}

/** A whole number, both ends included. */
export function createWholeNumberValue(least: number, most: number): Value<number> {
  const limits = `${least} to ${most}`
  return {
    placeholder: 'N',
    limits,
    allowed: `a whole number from ${limits}`,
    parse: (text) => {
      const number = /^\d+$/.test(text) ? Number(text) : Number.NaN
      return number >= least && number <= most ? number : undefined
    },
  }
}

/** Milliseconds from a duration between two others, both included. */
export function createDurationValue(least: string, most: string): Value<number> {
  const [leastMs, mostMs] = [parseDurationMs(least) ?? 0, parseDurationMs(most) ?? 0]
  const limits = `${least} to ${most}`
  return {
    placeholder: 'DURATION',
    limits,
    allowed: `a duration from ${limits}, like 5s, 1m30s or 500ms`,
    parse: (text) => {
      const ms = parseDurationMs(text) ?? Number.NaN
      return ms >= leastMs && ms <= mostMs ? ms : undefined
    },
  }
}

const unitsMs = [31_536_000_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1000, 1]

/** Durations as Prometheus writes them: whole numbers with units, the largest unit first, each at most once. */
export function parseDurationMs(text: string): number | undefined {
  const match = /^(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?$/.exec(text)
  if (match === null || text === '') return undefined
  return unitsMs.reduce((sum, unit, i) => sum + unit * Number.parseInt(match[i + 1] ?? '0', 10), 0)
}

function parseListenAddress(text: string): ListenAddress | undefined {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text)
  const [bracketed, plain = '', port = Number.NaN] = [match?.[1], match?.[2], Number(match?.[3])]
  if (!(port <= 65_535)) return undefined
  if (bracketed !== undefined) {
    // As in Go, IPv4 may stand in brackets too. A user who writes them around a variable need not know which family it
    // will be.
    return isIP(bracketed) > 0 ? { text, host: bracketed, port } : undefined
  }
  if (plain === '') return { text, host: undefined, port }
  return isHost(plain) ? { text, host: plain, port } : undefined
}

function isHost(text: string): boolean {
  if (/^[\d.]+$/.test(text)) return isIPv4(text)
  return (
    text.length <= 253 &&
    /^[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_][A-Za-z0-9_-]*)*\.?$/.test(text)
  )
}

// Letters that mean something to a router's patterns or to a URL are refused. Express ignores case and a final slash
// when it matches, so a collision does too.
function parseTelemetryPath(text: string): string | undefined {
  if (text === '/') return text
  if (!/^(\/[A-Za-z0-9._~-]+)+\/?$/.test(text) || /\/\.\.?(\/|$)/.test(text)) return undefined
  const path = text.toLowerCase().replace(/\/$/, '')
  const isReserved = reservedPaths.includes(path) || path.startsWith('/namespaces/')
  return isReserved ? undefined : text
}
