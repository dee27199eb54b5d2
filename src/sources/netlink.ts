// Source: the kernel itself through NETLINK_SOCK_DIAG. Exact where the kernel lists bound-idle sockets and tells who
// chose a port. Reads the namespace of the calling thread.

import { release } from 'node:os'
import { KERNEL_BTF } from '../kernel/bpf/buckets.ts'
import { type Capabilities, probeCapabilities } from '../kernel/capabilities.ts'
import { createDumpBatch, dumpSockets, openDiagChannel } from '../kernel/diag-channel.ts'
import {
  AF_INET,
  AF_INET6,
  ALL_STATES,
  CHOICE_OR_IDLE_STATES,
  CONNECTED_STATES,
  type DumpFilter,
  type DumpQuestion,
  STATE_BIT_LISTEN,
} from '../kernel/diag-request.ts'
import { type Libc, openLibc } from '../kernel/libc.ts'
import { DATAGRAM_BYTES } from '../kernel/netlink-channel.ts'
import { readActiveOpens, readTimeWaitRecycled } from '../kernel/proc-snmp.ts'
import { refusable } from '../kernel/refused-call.ts'
import { reopensPorts } from '../kernel/reopening.ts'
import { isInitialNamespace, readNetSettings } from '../kernel/sysctl.ts'
import {
  type NamespaceReading,
  type NetSettings,
  type Protocol,
  type SocketBatch,
  SourceError,
} from '../observation.ts'
import { findNamespace, type ProcNamespace, readTables } from './procfs.ts'
import type { SourceOptions, SynchronousSource } from './source.ts'

/** NB: /proc/net would be that of the main thread; and under --path.procfs thread-self may be another's. */
const OWN_NET = '/proc/thread-self/net'
const REFUSED = 'Cannot use netlink'

/** Loads libc and asks the kernel what it can tell. Throws SourceError where netlink cannot be used. */
export async function openNetlinkSource(
  options: SourceOptions,
  open: () => Promise<Libc> = options.openLibc ?? openLibc,
): Promise<SynchronousSource> {
  findOwnNamespace(options)
  return openLoadedNetlink(await loadLibc(open), options)
}

/** Finds the namespace to be read. Throws SourceError where netlink cannot list it. */
export function findOwnNamespace({
  procfs,
  platform,
  everyNamespace,
}: SourceOptions): ProcNamespace {
  if (platform !== 'linux') {
    throw new SourceError('unsupported', `Cannot use netlink on ${platform}: it is Linux' own`)
  }
  const namespace = findNamespace(procfs)
  if (namespace.own || (everyNamespace && namespace.kind === 'init')) return namespace
  throw new SourceError(
    'unsupported',
    `Cannot use netlink: ${namespace.directory} is not of our own network namespace`,
  )
}

/** Opens it with libc, which is loaded already. Throws as openNetlinkSource() does. */
export function openLoadedNetlink(libc: Libc, options: SourceOptions): SynchronousSource {
  const { procfs, everyNamespace } = options
  const namespace = findOwnNamespace(options)
  const sysRoot = namespace.own ? `${procfs}/sys` : '/proc/sys'
  const capabilities = refusable(REFUSED, () =>
    probeCapabilities(libc, readNetSettings(sysRoot).range),
  )
  const portsReopen = reopensPorts(release(), KERNEL_BTF)
  const memory = { buffer: new Uint8Array(DATAGRAM_BYTES), batch: createDumpBatch() }
  return {
    reader: 'netlink',
    synchronous: true,
    entersNamespaces: true,
    traits: {
      exactness: exactnessOf(capabilities),
      bound_idle: capabilities.boundIdle,
      port_choice: capabilities.portChoice,
      legacy_walk: capabilities.legacyWalk,
      udp_diag: capabilities.udpDiag,
      cgroup_id: capabilities.cgroupId,
      ports_reopen: portsReopen,
    },
    read: () => {
      const settings = readNetSettings(sysRoot)
      return {
        netns: everyNamespace ? nameSpecial(sysRoot) : namespace.netns,
        reader: 'netlink',
        exactness: exactnessOf(capabilities),
        readerIsExact: true,
        rangeOrigin: 'sysctl',
        settings,
        protocols: ['tcp', 'udp'],
        tcpBoundKnown: exactnessOf(capabilities) === 'exact',
        portsReopen,
        tcpChoiceKnown: capabilities.portChoice,
        udpListenersKnown: capabilities.udpDiag && capabilities.portChoice,
        ownersBy: capabilities.cgroupId ? 'cgroup' : 'user',
        canProbe: true,
        batches: readSockets(libc, settings, capabilities, memory),
        activeOpens: readActiveOpens(`${OWN_NET}/snmp`),
        timeWaitRecycled: readTimeWaitRecycled(`${OWN_NET}/netstat`),
      }
    },
  }
}

/** Names the namespace the calling thread is in, which may be another one each time. */
function nameSpecial(sysRoot: string): NamespaceReading['netns'] {
  return isInitialNamespace(sysRoot) ? 'host' : 'self'
}

function exactnessOf({ boundIdle, portChoice }: Capabilities): NamespaceReading['exactness'] {
  return boundIdle && portChoice ? 'exact' : 'upper_bound'
}

type Asked = Pick<DumpFilter, 'choice' | 'states'>

export interface PlannedDump extends Asked {
  readonly question: DumpQuestion
}

const EVERY_CHOICE: readonly Asked[] = [{ choice: 'any', states: ALL_STATES }]
const EACH_CHOICE: readonly Asked[] = [
  { choice: 'explicit', states: ALL_STATES },
  { choice: 'auto', states: ALL_STATES },
]
/** To find the sockets that are only bound the kernel walks through all others, so that it is asked for them once. */
const IDLE_ONCE: readonly Asked[] = [
  { choice: 'explicit', states: STATE_BIT_LISTEN },
  { choice: 'explicit_or_idle', states: CHOICE_OR_IDLE_STATES },
  { choice: 'auto', states: CONNECTED_STATES | STATE_BIT_LISTEN },
]
/** What is asked besides when connections were left out. Others are listed again, which the model counts once. */
const LEFT_OUT: Asked = { choice: 'explicit', states: CONNECTED_STATES }

/**
 * The dumps that together list every socket in the range once. AUTO and NOT AUTO are disjoint and complete; taking
 * "explicit" for what one dump lists and the other lacks misreads sockets that die in between
 * (docs/development/port-model.md#the-truth-test). Of a socket that is only bound nobody has to know who chose its
 * port. UDP is not among them where the kernel has no udp_diag; /proc shows the same UDP sockets.
 */
export function planDumps(capabilities: Capabilities, ipv6: boolean): readonly PlannedDump[] {
  const families = ipv6 ? [AF_INET, AF_INET6] : [AF_INET]
  const byFamily = (protocol: Protocol) =>
    families.map((family): DumpQuestion => ({ kind: 'family', family, protocol }))
  const tcp: DumpQuestion[] = capabilities.legacyWalk ? [{ kind: 'legacy' }] : byFamily('tcp')
  const udp = capabilities.udpDiag ? byFamily('udp') : []
  const choices = capabilities.portChoice ? EACH_CHOICE : EVERY_CHOICE
  const tcpChoices = capabilities.portChoice && capabilities.boundIdle ? IDLE_ONCE : choices
  const ask = (questions: readonly DumpQuestion[], asked: readonly Asked[]) =>
    questions.flatMap((question) => asked.map((one) => ({ question, ...one })))
  return [...ask(tcp, tcpChoices), ...ask(udp, choices)]
}

function* readSockets(
  libc: Libc,
  settings: NetSettings,
  capabilities: Capabilities,
  { buffer, batch }: { readonly buffer: Uint8Array; readonly batch: SocketBatch },
): Generator<SocketBatch, void, void> {
  const channel = refusable(REFUSED, () => openDiagChannel(libc, buffer))
  try {
    const { range, ipv6 } = settings
    for (const { question, ...asked } of planDumps(capabilities, ipv6)) {
      const hasLeftOut = yield* dumpSockets(channel, question, { range, ...asked }, batch)
      if (hasLeftOut) yield* dumpSockets(channel, question, { range, ...LEFT_OUT }, batch)
    }
  } finally {
    channel.close()
  }
  if (!capabilities.udpDiag) {
    yield* readTables(OWN_NET, settings.ipv6 ? ['udp', 'udp6'] : ['udp'], settings.range)
  }
}

async function loadLibc(open: () => Promise<Libc>): Promise<Libc> {
  try {
    return await open()
  } catch (error) {
    throw new SourceError(
      'unsupported',
      `Cannot load koffi, which netlink needs: ${error instanceof Error ? error.message : error}`,
      { cause: error },
    )
  }
}
