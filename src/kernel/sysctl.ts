// /proc/sys/net/{ipv4,ipv6}: text -> what decides which port the kernel hands out next.
// Mirrors net/ipv4/sysctl_net_ipv4.c. /proc/sys/net shows the namespace of the *reading thread*
// (docs/development/port-model.md#network-namespaces), so the readers are synchronous and touch no path but those under
// the root they are given.

import { existsSync } from 'node:fs'
import { DecodeError, type NetSettings, type PortRange, SourceError } from '../observation.ts'
import { joinRanges } from '../port-ranges.ts'
import { readProcFile } from './proc-file.ts'

const LAST_PORT = 65535

/** Before the sysctl came, connect() recycled a TIME_WAIT after one second (net/ipv4/tcp_ipv4.c:tcp_twsk_unique). */
const FIXED_TW_REUSE_DELAY_MS = 1000

/**
 * Reads the settings below `sysRoot`, which is /proc/sys or a copy of it. Throws SourceError, or DecodeError when the
 * range or the reserved ports are not what they can be. Any other setting is undefined where it cannot be read or
 * understood: a limit of -1 (no limit), or a value of a kernel to come, is no reason to know nothing.
 */
export function readNetSettings(sysRoot: string): NetSettings {
  const reuseDelayMs = readUnsigned(sysRoot, 'tcp_tw_reuse_delay')
  const isRefused =
    reuseDelayMs === undefined && existsSync(`${sysRoot}/net/ipv4/tcp_tw_reuse_delay`)
  const ports = readPortSettings(sysRoot)
  return {
    ...ports,
    reserved: parseReservedPorts(ports.reservedText),
    ipv6: canHoldIpv6(sysRoot),
    // With a delay that cannot be read nobody knows what may be reused.
    tcpTwReuse: isRefused ? undefined : readUnsigned(sysRoot, 'tcp_tw_reuse'),
    tcpTwReuseDelayMs: reuseDelayMs ?? FIXED_TW_REUSE_DELAY_MS,
    tcpTwReuseDelayKnown: reuseDelayMs !== undefined,
    tcpTimestamps: readUnsigned(sysRoot, 'tcp_timestamps'),
    tcpMaxTwBuckets: readUnsigned(sysRoot, 'tcp_max_tw_buckets'),
    autobindReuse: readUnsigned(sysRoot, 'ip_autobind_reuse'),
    portStepWidth: readUnsigned(sysRoot, 'ip_local_port_step_width'),
  }
}

/**
 * Reads the two settings that matter most. Throws as readNetSettings(), but does not parse the reserved ports. A user
 * who may set them can make a list of 32,767 ranges, which takes 20 ms to parse.
 */
export function readPortSettings(sysRoot: string): Pick<NetSettings, 'range' | 'reservedText'> {
  return {
    range: readPortRange(sysRoot),
    // A kernel without the file (before 2.6.35) can reserve nothing.
    reservedText: (readProcFile(`${sysRoot}/net/ipv4/ip_local_reserved_ports`) ?? '').trim(),
  }
}

function readPortRange(sysRoot: string): PortRange {
  const path = `${sysRoot}/net/ipv4/ip_local_port_range`
  const text = readProcFile(path)
  if (text === undefined) {
    throw new SourceError('unsupported', `Cannot read the port range: there is no ${path}`)
  }
  return parsePortRange(text)
}

/**
 * Whether the reading thread is in the initial network namespace, the only one with this file
 * (docs/development/port-model.md#threads-identity-and-owners).
 */
export function isInitialNamespace(sysRoot: string): boolean {
  return existsSync(`${sysRoot}/net/ipv4/tcp_mem`)
}

/**
 * Whether a dual-stack bind to :: can happen. net.ipv6.conf.*.disable_ipv6 only takes addresses away: with all of them
 * set, bind(::) still succeeds and still collides with 0.0.0.0 (measured on 6.18). What prevents it is the boot option
 * ipv6.disable=1 or a kernel without IPv6, and neither has this directory (net/ipv6/af_inet6.c:inet6_init).
 */
function canHoldIpv6(sysRoot: string): boolean {
  return existsSync(`${sysRoot}/net/ipv6`)
}

/** Two numbers as in ip_local_port_range, both inclusive. */
export function parsePortRange(text: string): PortRange {
  const match = /^\s*(\d+)\s+(\d+)\s*$/.exec(text)
  const first = Number(match?.[1])
  const last = Number(match?.[2])
  if (!(first >= 1 && first <= last && last <= LAST_PORT)) {
    throw new DecodeError(
      `Cannot parse ip_local_port_range ${quote(text)}: expected two ascending ports from 1 to 65535`,
      0,
    )
  }
  return { first, last }
}

/** A list such as `8080,9148-9150`, in any order; what it returns is ascending and disjoint. Empty means none. */
export function parseReservedPorts(text: string): readonly PortRange[] {
  if (text.trim() === '') return []
  const ranges: PortRange[] = []
  let offset = 0
  for (const item of text.split(',')) {
    ranges.push(parseReservedItem(item, offset))
    offset += item.length + 1
  }
  return joinRanges(ranges)
}

function parseReservedItem(item: string, offset: number): PortRange {
  const match = /^\s*(\d+)(?:-(\d+))?\s*$/.exec(item)
  const first = Number(match?.[1])
  const last = Number(match?.[2] ?? match?.[1])
  if (!(first <= last && last <= LAST_PORT)) {
    throw new DecodeError(
      `Cannot parse ip_local_reserved_ports: expected a port or an ascending range of ports, got ${quote(item)}`,
      offset,
    )
  }
  return { first, last }
}

/** Undefined where the kernel has no such sysctl, where it may not be read, and where it is not a whole number. */
function readUnsigned(sysRoot: string, name: string): number | undefined {
  try {
    const text = readProcFile(`${sysRoot}/net/ipv4/${name}`) ?? ''
    return /^\s*\d{1,10}\s*$/.test(text) ? Number(text) : undefined
  } catch (error) {
    if (error instanceof SourceError) return undefined
    throw error
  }
}

function quote(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}...` : text)
}
