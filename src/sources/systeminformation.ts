// The portable source, for macOS and Windows, and on Linux where it is asked for: systeminformation's
// networkConnections() -> one NamespaceReading. It runs netstat or ss in a shell and takes the text apart, so it is
// slow and sees the least of all; above all it answers a failure with an empty list, which must never pass for a quiet
// host.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { readProcFile, refusal } from '../kernel/proc-file.ts'
import { parseTcpSocketCount } from '../kernel/proc-snmp.ts'
import { isInitialNamespace, readNetSettings } from '../kernel/sysctl.ts'
import {
  type NetSettings,
  type PortRange,
  type Protocol,
  type SocketBatch,
  SourceError,
  STATE,
} from '../observation.ts'
import { isSameRange } from '../port-ranges.ts'
import { type ConnectionRow, parseConnections } from './connection-rows.ts'
import {
  MACOS_RANGE_SYSCTLS,
  parseMacosPortRange,
  parseNetshDynamicPort,
} from './portable-range.ts'
import type { AsynchronousSource, Source, SourceOptions } from './source.ts'

export interface SystemInformationOptions {
  readonly platform: string
  readonly procfs: string
  /** The TCP port this program listens on, or undefined while it does not: a table without it is wrong. */
  readonly ownPort?: () => number | undefined
  /** Replaces networkConnections(), and below a program's standard output, in tests of other platforms. */
  readonly listConnections?: () => Promise<readonly ConnectionRow[]>
  readonly run?: (program: string, args: readonly string[]) => Promise<string>
}

const PROGRAM_TIMEOUT_MS = 10_000
const TOLERATED_SOCKETS = 100

/** Reads once to know that reading works. Throws SourceError or DecodeError where it does not. */
export async function openSystemInformationSource({
  procfs,
  platform,
  ownPort,
}: SourceOptions): Promise<Source> {
  const source = createSystemInformationSource({ platform, procfs, ownPort: () => ownPort })
  await source.read()
  return source
}

export function createSystemInformationSource({
  platform,
  procfs,
  ownPort = () => undefined,
  listConnections = listNetworkConnections,
  run = runProgram,
}: SystemInformationOptions): AsynchronousSource {
  return {
    reader: 'systeminformation',
    synchronous: false,
    entersNamespaces: false,
    traits: { exactness: 'upper_bound' },
    async read() {
      const { settings, protocols } = await readPlatform(platform, procfs, run)
      const rows = await listConnections()
      const { tcp, udp } = parseConnections(rows, platform)
      // Windows' headings pass for rows, so that it is not the rows that count.
      if (tcp.length + udp.length === 0) {
        throw new SourceError(
          'unsupported',
          'Cannot list connections: systeminformation returned none, so netstat and ss are missing or failed',
        )
      }
      checkOwnPort(tcp, ownPort())
      if (platform === 'linux') checkCompleteness(tcp, procfs)
      const batches = protocols.map((protocol) => (protocol === 'tcp' ? tcp : udp))
      return {
        netns: platform !== 'linux' || isInitialNamespace(`${procfs}/sys`) ? 'host' : 'self',
        reader: 'systeminformation',
        exactness: 'upper_bound',
        readerIsExact: false,
        rangeOrigin: 'sysctl',
        settings,
        protocols,
        tcpBoundKnown: false,
        portsReopen: false,
        tcpChoiceKnown: false,
        udpListenersKnown: false,
        ownersBy: undefined,
        canProbe: false,
        batches: batches.filter((batch) => batch.length > 0),
        activeOpens: undefined,
      }
    },
  }
}

interface PlatformFacts {
  readonly settings: NetSettings
  readonly protocols: readonly Protocol[]
}

async function readPlatform(
  platform: string,
  procfs: string,
  run: NonNullable<SystemInformationOptions['run']>,
): Promise<PlatformFacts> {
  switch (platform) {
    case 'linux':
      // Its filter on states drops every unconnected UDP socket, so that of UDP nothing is known.
      return { settings: readNetSettings(`${procfs}/sys`), protocols: ['tcp'] }
    case 'darwin': {
      const range = parseMacosPortRange(
        await run('/usr/sbin/sysctl', ['-n', ...MACOS_RANGE_SYSCTLS]),
      )
      return { settings: portableSettings(range), protocols: ['tcp', 'udp'] }
    }
    case 'win32': {
      const ask = async (protocol: Protocol) =>
        parseNetshDynamicPort(await run('netsh', ['int', 'ipv4', 'show', 'dynamicport', protocol]))
      const [tcp, udp] = await Promise.all([ask('tcp'), ask('udp')])
      // A reading has one range. Where UDP's own differs it is not known what of UDP is used, which is not the same as
      // unused.
      const isShared = isSameRange(tcp, udp)
      return { settings: portableSettings(tcp), protocols: isShared ? ['tcp', 'udp'] : ['tcp'] }
    }
    default:
      throw new SourceError(
        'unsupported',
        `Cannot use systeminformation on ${platform}: its range of ephemeral ports is not known`,
      )
  }
}

/** What is not listed here has no like on macOS and Windows, or is not told. Windows' excluded ranges stay unread. */
function portableSettings(range: PortRange): NetSettings {
  return {
    range,
    reserved: [],
    reservedText: '',
    ipv6: true,
    tcpTwReuse: undefined,
    tcpTwReuseDelayMs: 1000,
    tcpTwReuseDelayKnown: false,
    tcpTimestamps: undefined,
    tcpMaxTwBuckets: undefined,
  }
}

/** Our own listener must be in any table that is right. */
function checkOwnPort(tcp: SocketBatch, port: number | undefined): void {
  if (port === undefined) return
  for (let row = 0; row < tcp.length; row++) {
    if (tcp.localPort[row] === port && tcp.state[row] === STATE.listen) return
  }
  throw new SourceError(
    'malformed',
    `Cannot trust systeminformation: among its ${tcp.length} TCP sockets there is no listener on port ${port}, which is our own`,
  )
}

/**
 * Throws where sockets are missing: systeminformation was seen to return 131,491 of 1,000,053 without a word. The
 * kernel's own count shows that. What ss misses by design (FIN_WAIT, which it spells otherwise than systeminformation
 * expects) and what changes between the two looks must not, hence the tolerance.
 */
function checkCompleteness(tcp: SocketBatch, procfs: string): void {
  const counted = parseTcpSocketCount(
    readProcFile(`${procfs}/thread-self/net/sockstat`) ?? '',
    readProcFile(`${procfs}/thread-self/net/sockstat6`) ?? '',
  )
  if (tcp.length >= counted / 2 - TOLERATED_SOCKETS) return
  throw new SourceError(
    'malformed',
    `Cannot trust systeminformation: it lists ${tcp.length} TCP sockets where the kernel counts ${counted}`,
  )
}

async function listNetworkConnections(): Promise<readonly ConnectionRow[]> {
  const { networkConnections } = await import('systeminformation')
  return networkConnections()
}

async function runProgram(program: string, args: readonly string[]): Promise<string> {
  const options = { encoding: 'latin1', timeout: PROGRAM_TIMEOUT_MS, windowsHide: true } as const
  try {
    return (await promisify(execFile)(program, args, options)).stdout
  } catch (error) {
    const action = `run ${[program, ...args].join(' ')}`
    const stderr = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : ''
    if (error instanceof Error && 'killed' in error && error.killed === true) {
      throw new SourceError('timeout', `Cannot ${action}: no answer in ${PROGRAM_TIMEOUT_MS} ms`, {
        cause: error,
      })
    }
    if (stderr !== '') {
      const complaint = JSON.stringify(stderr.split(/\r?\n/)[0])
      throw new SourceError('unsupported', `Cannot ${action}: it says ${complaint}`, {
        cause: error,
      })
    }
    throw refusal(action, error)
  }
}
