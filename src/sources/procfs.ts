// Source of last resort on Linux: /proc/<who>/net/{tcp,tcp6,udp,udp6} -> one NamespaceReading, without netlink and
// without any right. The text lacks what is only bound, and who chose a port, so its readings are upper bounds
// (docs/development/port-model.md#the-truth-test).

import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { endianness } from 'node:os'
import { readProcFile, refusal } from '../kernel/proc-file.ts'
import { decodeProcNet } from '../kernel/proc-net.ts'
import type { ProcNetTable } from '../kernel/proc-net-row.ts'
import { readActiveOpens, readTimeWaitRecycled } from '../kernel/proc-snmp.ts'
import { isInitialNamespace, readNetSettings } from '../kernel/sysctl.ts'
import {
  type NamespaceReading,
  type NetSettings,
  type PortRange,
  type Protocol,
  type SocketBatch,
  SourceError,
} from '../observation.ts'
import type { SourceOptions, SynchronousSource } from './source.ts'

const TABLES: readonly ProcNetTable[] = ['tcp', 'tcp6', 'udp', 'udp6']

/** The kernel hands out at most a page a read; this is room for kernels that do better. */
const CHUNK_BYTES = 64 * 1024

/** net/ipv4/af_inet.c:inet_init_net: what every namespace starts with. */
const DEFAULT_RANGE: PortRange = { first: 32768, last: 60999 }

/** Reads far enough to know that reading works. Throws SourceError or DecodeError where it does not. */
export function openProcfsSource({ procfs, platform }: SourceOptions): SynchronousSource {
  if (platform !== 'linux') {
    throw new SourceError('unsupported', `Cannot use procfs on ${platform}: it is Linux' own`)
  }
  const source = createProcfsSource({ procfs })
  for (const _first of source.read().batches) break
  return source
}

/**
 * `procfs` is a mounted /proc, or a copy with net/ and sys/net/ in it. Looks from the calling thread, synchronously.
 */
export function createProcfsSource({ procfs }: { readonly procfs: string }): SynchronousSource {
  return {
    reader: 'procfs',
    synchronous: true,
    entersNamespaces: false,
    traits: { exactness: 'upper_bound' },
    read() {
      const namespace = findNamespace(procfs)
      return readDirectory(namespace.directory, {
        netns: namespace.netns,
        settings: namespace.settingsReadable ? () => readNetSettings(`${procfs}/sys`) : undefined,
      })
    },
  }
}

/** Reads the namespace that the calling thread is in, whatever procfs stands for. Throws SourceError. */
export function readEnteredNamespace(): NamespaceReading {
  return readDirectory('/proc/thread-self/net', {
    netns: isInitialNamespace('/proc/sys') ? 'host' : 'self',
    settings: () => readNetSettings('/proc/sys'),
  })
}

export interface Directory {
  readonly netns: NamespaceReading['netns']
  /** Reads the settings; undefined where they cannot be read. */
  readonly settings: (() => NetSettings) | undefined
  /** What its pod's spec says of a namespace whose settings cannot be read. */
  readonly spec?: Partial<Pick<NetSettings, 'range' | 'reserved' | 'reservedText'>> | undefined
}

/**
 * Reads the namespace behind `directory`, a /proc/<who>/net. Where its settings cannot be read, they are those of the
 * pod's spec, else what every namespace starts with. Throws SourceError.
 */
export function readDirectory(
  directory: string,
  { netns, settings: readSettings, spec = {} }: Directory,
): NamespaceReading {
  const tables = TABLES.filter((table) => exists(`${directory}/${table}`))
  if (!tables.includes('tcp')) {
    throw new SourceError('unsupported', `Cannot read sockets: there is no ${directory}/tcp`)
  }
  const settings = readSettings?.() ?? { ...defaultSettings(tables.includes('tcp6')), ...spec }
  const protocols: readonly Protocol[] = ['tcp', 'udp']
  return {
    netns,
    reader: 'procfs',
    exactness: 'upper_bound',
    readerIsExact: false,
    rangeOrigin: readSettings ? 'sysctl' : spec.range ? 'pod_spec' : 'default',
    settings,
    // A missing tcp6 or udp6 means that the host has no IPv6; a missing udp, that nothing is known of UDP.
    protocols: protocols.filter((protocol) => tables.includes(protocol)),
    tcpBoundKnown: false,
    portsReopen: false,
    tcpChoiceKnown: false,
    udpListenersKnown: false,
    ownersBy: 'user',
    canProbe: false,
    batches: readTables(directory, tables, settings.range),
    activeOpens: readActiveOpens(`${directory}/snmp`),
    timeWaitRecycled: readTimeWaitRecycled(`${directory}/netstat`),
  }
}

/** The namespace that a procfs stands for. */
export interface ProcNamespace {
  readonly kind: 'own' | 'init' | 'copy'
  readonly directory: string
  readonly netns: 'host' | 'self'
  /** Whether <procfs>/sys/net shows the settings of that same namespace. */
  readonly settingsReadable: boolean
  /** Whether it is the calling thread's own namespace, the only one that netlink can list. */
  readonly own: boolean
}

/**
 * Three kinds of `procfs`: our own /proc, of which the calling thread's namespace is meant; the /proc of another PID
 * namespace, mounted into this container, of which that of its PID 1 is meant; and a copy.
 */
export function findNamespace(procfs: string): ProcNamespace {
  const own = `${procfs}/thread-self/net`
  const init = `${procfs}/1/net`
  const ownNetns = isInitialNamespace(`${procfs}/sys`) ? 'host' : 'self'
  if (exists(`${own}/tcp`) && isOurPidNamespace(procfs)) {
    return { kind: 'own', directory: own, netns: ownNetns, settingsReadable: true, own: true }
  }
  if (exists(`${init}/tcp`)) {
    const isOurs = isOurNetworkNamespace(init)
    return { kind: 'init', directory: init, netns: 'host', settingsReadable: isOurs, own: isOurs }
  }
  return {
    kind: 'copy',
    directory: `${procfs}/net`,
    netns: ownNetns,
    settingsReadable: true,
    own: false,
  }
}

/**
 * NB: thread-self alone does not tell: the /proc of a parent PID namespace resolves it too, to the number we have over
 * there. Only NSpid does, which lists our number in each PID namespace from that of the mount inwards.
 */
function isOurPidNamespace(procfs: string): boolean {
  const status = readProcFile(`${procfs}/thread-self/status`) ?? ''
  const numbers = /^NSpid:(.*)$/m.exec(status)?.[1]?.trim().split(/\s+/)
  return numbers === undefined || numbers.length === 1
}

/**
 * /proc/sys/net shows the namespace of the reading thread, whatever procfs it is reached through
 * (docs/development/port-model.md#network-namespaces). Files of one namespace's /proc/net have the same inode numbers
 * in all mounts, so they tell whether it is the same.
 */
function isOurNetworkNamespace(directory: string): boolean {
  return inodeOf(`${directory}/tcp`) === inodeOf('/proc/thread-self/net/tcp')
}

/** NB: not existsSync(), which takes what may not be looked at for missing. */
function exists(path: string): boolean {
  return inodeOf(path) !== undefined
}

function inodeOf(path: string): number | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })?.ino
  } catch (error) {
    throw refusal(`look at ${path}`, error)
  }
}

/**
 * Gives the settings of another namespace, of which only the sockets can be read. Reuse is unknown, and so is what may
 * be reserved.
 */
function defaultSettings(ipv6: boolean): NetSettings {
  return {
    range: DEFAULT_RANGE,
    reserved: [],
    reservedText: '',
    ipv6,
    tcpTwReuse: undefined,
    tcpTwReuseDelayMs: 1000,
    tcpTwReuseDelayKnown: false,
    tcpTimestamps: undefined,
    tcpMaxTwBuckets: undefined,
  }
}

/** The sockets of those tables under `directory`, a /proc/<who>/net, that have a port in the range. */
export function* readTables(
  directory: string,
  tables: readonly ProcNetTable[],
  range: PortRange,
): Generator<SocketBatch, void, void> {
  const bigEndian = endianness() === 'BE'
  for (const table of tables) {
    yield* decodeProcNet(readChunks(`${directory}/${table}`), { table, range, bigEndian })
  }
}

/** Yields one buffer again and again. The descriptor is closed however the reading ends. */
function* readChunks(path: string): Generator<Uint8Array, void, void> {
  const fd = guard(path, () => openSync(path, 'r'))
  try {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
    for (;;) {
      const length = guard(path, () => readSync(fd, buffer, 0, buffer.length, null))
      if (length === 0) return
      yield buffer.subarray(0, length)
    }
  } finally {
    closeSync(fd)
  }
}

/** The file was there when the reading began, so if it no longer is, its namespace has gone. */
function guard<T>(path: string, call: () => T): T {
  try {
    return call()
  } catch (error) {
    throw refusal(`read ${path}`, error, 'vanished')
  }
}
