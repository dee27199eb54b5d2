// One look at a namespace by both readers: the process in it -> netlink datagrams and /proc files of the same quiet moment.

import { existsSync, readFileSync } from 'node:fs'
import { type Capabilities, probeCapabilities } from '../../src/kernel/capabilities.ts'
import { createDumpBatch, dumpSockets, openDiagChannel } from '../../src/kernel/diag-channel.ts'
import type { Libc } from '../../src/kernel/libc.ts'
import type { NetlinkChannel } from '../../src/kernel/netlink-channel.ts'
import { readNetSettings } from '../../src/kernel/sysctl.ts'
import type { NetSettings } from '../../src/observation.ts'
import { planDumps } from '../../src/sources/netlink.ts'
import { type RecordedDump, renderDatagram } from '../support/kernel/recording.ts'
import { inNetnsOf } from '../support/netns/in-netns.ts'

export interface Capture {
  readonly capabilities: Capabilities
  readonly dumps: readonly RecordedDump[]
  /** Texts by path below /proc. */
  readonly files: ReadonlyMap<string, string>
  /** How long both readers took together. */
  readonly lookMs: number
}

const TABLES = ['net/tcp', 'net/tcp6', 'net/udp', 'net/udp6']
const SYSCTLS = [
  'ipv4/ip_autobind_reuse',
  'ipv4/ip_local_port_range',
  'ipv4/ip_local_port_step_width',
  'ipv4/ip_local_reserved_ports',
  'ipv4/tcp_max_tw_buckets',
  'ipv4/tcp_timestamps',
  'ipv4/tcp_tw_reuse',
  'ipv4/tcp_tw_reuse_delay',
  'ipv6/bindv6only',
]
const TRIES = 10

/** Looks several times; of those during which /proc did not change the fastest counts, because timers run on. */
export function captureNamespace(libc: Libc, pid: number): Capture {
  return inNetnsOf(libc, pid, () => {
    const settings = readNetSettings('/proc/sys')
    const capabilities = probeCapabilities(libc, settings.range)
    const others = readTexts(['net/snmp', ...SYSCTLS.map((name) => `sys/net/${name}`)])
    let best: Capture | undefined
    for (let tries = 0; tries < TRIES; tries++) {
      const startedAtMs = performance.now()
      const before = readTexts(TABLES)
      const dumps = recordDumps(libc, capabilities, settings)
      const after = readTexts(TABLES)
      const lookMs = Math.ceil(performance.now() - startedAtMs)
      if (withoutTimers(before) !== withoutTimers(after)) continue
      if (best === undefined || lookMs < best.lookMs) {
        best = { capabilities, dumps, files: new Map([...after, ...others]), lookMs }
      }
    }
    if (best === undefined) throw new Error(`The namespace did not come to rest in ${TRIES} looks`)
    return best
  })
}

function recordDumps(
  libc: Libc,
  capabilities: Capabilities,
  { range, ipv6 }: NetSettings,
): RecordedDump[] {
  const channel = openDiagChannel(libc)
  try {
    return planDumps(capabilities, ipv6).map(({ question, ...asked }) => {
      const datagrams: string[][] = []
      const filter = { range, ...asked }
      const dump = dumpSockets(tap(channel, datagrams), question, filter, createDumpBatch())
      for (const _batch of dump);
      return { question, choice: asked.choice, datagrams }
    })
  } finally {
    channel.close()
  }
}

function tap(channel: NetlinkChannel, datagrams: string[][]): NetlinkChannel {
  return {
    ...channel,
    receive: () => {
      const datagram = channel.receive()
      datagrams.push(renderDatagram(datagram))
      return datagram
    },
  }
}

// /proc/net is that of the main thread; a sysctl is looked up in the namespace of the reading thread by itself.
function readTexts(paths: readonly string[]): ReadonlyMap<string, string> {
  const texts = new Map<string, string>()
  for (const path of paths) {
    const place = path.startsWith('net/') ? `/proc/thread-self/${path}` : `/proc/${path}`
    if (existsSync(place)) texts.set(path, readFileSync(place, 'latin1'))
  }
  return texts
}

/** Addresses and state of every row. */
function withoutTimers(texts: ReadonlyMap<string, string>): string {
  const rows = [...texts.values()].flatMap((text) =>
    text.split('\n').map((line) => line.trim().split(/\s+/).slice(1, 4).join(' ')),
  )
  return rows.join('\n')
}
