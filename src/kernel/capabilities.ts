// What this kernel can tell, found out by trying: one idle socket of our own is looked for in the dumps that should
// list it. It is bound outside the ephemeral range, so that the test takes no port from anyone.

import { type PortRange, type SocketBatch, SourceError, STATE } from '../observation.ts'
import { createDumpBatch, dumpSockets, openDiagChannel } from './diag-channel.ts'
import {
  AF_INET,
  ALL_STATES,
  type DumpQuestion,
  type PortChoice,
  STATE_BIT_LISTEN,
} from './diag-request.ts'
import { encodeIpv4Endpoint } from './ipv4-endpoint.ts'
import { type Libc, SystemError } from './libc.ts'
import type { NetlinkChannel } from './netlink-channel.ts'

export interface Capabilities {
  /** TCPDIAG_GETSOCK lists both families in one walk. */
  readonly legacyWalk: boolean
  /** State bit 13 lists sockets that hold a port but neither listen nor connect (Linux 6.8). */
  readonly boundIdle: boolean
  /** INET_DIAG_BC_AUTO tells ports the application chose from those the kernel chose. */
  readonly portChoice: boolean
  /** SOCK_DIAG_BY_FAMILY answers for UDP (module udp_diag). */
  readonly udpDiag: boolean
  /** Sockets carry their cgroup's id (Linux 5.9 with cgroup v2). */
  readonly cgroupId: boolean
}

const SOCK_STREAM = 1
const SOCK_DGRAM = 2
const BIND_ATTEMPTS = 32
/** Somebody has the port, or net.ipv4.ip_unprivileged_port_start is above it. */
const BIND_AGAIN = ['EADDRINUSE', 'EACCES']
const FIRST_UNPRIVILEGED_PORT = 1024
const LAST_PORT = 65535
const EVERY_PORT: PortRange = { first: 1, last: LAST_PORT }

/**
 * Runs the self-test in the calling thread's namespace. Throws SourceError when TCP sockets cannot be listed at all.
 */
export function probeCapabilities(libc: Libc, range: PortRange): Capabilities {
  const channel = openDiagChannel(libc)
  try {
    const tcp = withBoundSocket(libc, SOCK_STREAM, range, (fd, port) =>
      probeTcp(channel, { port, listen: () => libc.listen(fd, 1) }),
    )
    return { ...tcp, udpDiag: probeUdp(libc, range, channel) }
  } finally {
    channel.close()
  }
}

/** The TCP half, over a socket bound to `port` that `listen` can make visible to older kernels. */
export function probeTcp(
  channel: NetlinkChannel,
  socket: { readonly port: number; readonly listen: () => void },
): Omit<Capabilities, 'udpDiag'> {
  const { port } = socket
  const modern: DumpQuestion = { kind: 'family', family: AF_INET, protocol: 'tcp' }
  const look = (question: DumpQuestion, choice: PortChoice, states: number) =>
    findSocket(channel, question, { port, choice, states })

  let ours = unlessMissing(() => look(modern, 'any', ALL_STATES))
  const boundIdle = ours.found
  let states = ALL_STATES
  if (!boundIdle) {
    socket.listen()
    states = STATE_BIT_LISTEN
    ours = look(modern, 'any', states)
    if (!ours.found) {
      throw new SourceError(
        'unsupported',
        'Cannot use netlink: the kernel does not list a listening socket of our own',
      )
    }
  }
  return {
    legacyWalk: succeeds(() => look({ kind: 'legacy' }, 'any', states).found),
    boundIdle,
    portChoice: look(modern, 'explicit', states).found && !look(modern, 'auto', states).found,
    cgroupId: ours.cgroupId > 0,
  }
}

/** Nobody answers for TCP without the module, and the kernel could not load it (net/ipv4/inet_diag.c). */
function unlessMissing<T>(look: () => T): T {
  try {
    return look()
  } catch (error) {
    const { cause } = error instanceof SourceError ? error : {}
    if (!(cause instanceof SystemError && cause.code === 'ENOENT')) throw error
    throw new SourceError(
      'unsupported',
      'Cannot use netlink: tcp_diag is missing: modprobe tcp_diag',
      { cause: error },
    )
  }
}

function probeUdp(libc: Libc, range: PortRange, channel: NetlinkChannel): boolean {
  const question: DumpQuestion = { kind: 'family', family: AF_INET, protocol: 'udp' }
  return succeeds(() =>
    withBoundSocket(
      libc,
      SOCK_DGRAM,
      range,
      (_fd, port) =>
        findSocket(channel, question, { port, choice: 'any', states: ALL_STATES }).found,
    ),
  )
}

function findSocket(
  channel: NetlinkChannel,
  question: DumpQuestion,
  wanted: { readonly port: number; readonly choice: PortChoice; readonly states: number },
): { found: boolean; cgroupId: number } {
  const filter = {
    range: { first: wanted.port, last: wanted.port },
    choice: wanted.choice,
    states: wanted.states,
  }
  let found = false
  let cgroupId = 0
  for (const batch of dumpSockets(channel, question, filter, createDumpBatch())) {
    for (let row = 0; row < batch.length; row++) {
      if (!isOurs(batch, row, wanted.port)) continue
      found = true
      cgroupId = batch.cgroupId[row] ?? 0
    }
  }
  return { found, cgroupId }
}

function isOurs(batch: SocketBatch, row: number, port: number): boolean {
  const state = batch.state[row]
  return batch.localPort[row] === port && (state === STATE.bound || state === STATE.listen)
}

/** A dump the kernel refuses is an answer too. */
function succeeds(probe: () => boolean): boolean {
  try {
    return probe()
  } catch (error) {
    if (error instanceof SourceError) return false
    throw error
  }
}

/** Calls `use` with an IPv4 socket bound to the wildcard address and a free port outside `range`. */
function withBoundSocket<T>(
  libc: Libc,
  type: number,
  range: PortRange,
  use: (fd: number, port: number) => T,
): T {
  const fd = libc.socket(AF_INET, type, 0)
  try {
    return use(fd, bindOutside(libc, fd, range))
  } finally {
    libc.close(fd)
  }
}

function bindOutside(libc: Libc, fd: number, range: PortRange): number {
  for (let attempt = 0; attempt < BIND_ATTEMPTS; attempt++) {
    // Where every port outside may be refused, one inside for a moment is better than no self-test.
    const avoided = attempt < BIND_ATTEMPTS / 2 ? range : EVERY_PORT
    const port = portOutside(avoided, Math.random())
    try {
      libc.bind(fd, encodeIpv4Endpoint([0, 0, 0, 0], port))
      return port
    } catch (error) {
      if (!(error instanceof SystemError) || !BIND_AGAIN.includes(error.code)) throw error
    }
  }
  throw new SourceError('exhausted', 'Cannot bind a socket for the self-test: no port was free')
}

/** A port outside the range, or any unprivileged one where the range leaves none; `fraction` is in [0, 1). */
export function portOutside(range: PortRange, fraction: number): number {
  const below = Math.max(0, range.first - FIRST_UNPRIVILEGED_PORT)
  const firstAbove = Math.max(range.last + 1, FIRST_UNPRIVILEGED_PORT)
  const above = LAST_PORT + 1 - firstAbove
  if (below + above === 0) {
    return FIRST_UNPRIVILEGED_PORT + Math.floor(fraction * (LAST_PORT - FIRST_UNPRIVILEGED_PORT))
  }
  const index = Math.floor(fraction * (below + above))
  return index < below ? FIRST_UNPRIVILEGED_PORT + index : firstAbove + (index - below)
}
