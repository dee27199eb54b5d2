// A tracing instance of our own: a directory in tracefs with rings, events and filters that nobody else sees.
// It belongs to the process, not to the thread that reads it: it outlives a worker, and goes with the process.
//
// Who owns an instance needs no pid and no lock: the kernel refuses to remove one while any descriptor on a file of it
// is open (kernel/trace/trace.c:__remove_instance, EBUSY), in whatever container its owner runs. So every process holds
// one, and each process that starts tries to remove all that bear our prefix: what goes was left over by a crash.

import { randomBytes } from 'node:crypto'
import { closeSync, mkdirSync, openSync, readdirSync, rmdirSync, statSync } from 'node:fs'
import { codeOf } from '../error-code.ts'
import { PROBE_FLOW } from '../kernel/probe-flow.ts'
import { findTracefs, tracefsRefusal, writeTraceFile } from '../kernel/tracefs.ts'
import { SourceError } from '../observation.ts'

export const INSTANCE_PREFIX = 'ephemeral_port_exporter.'
/** Room for about 850 events a CPU; the kernel starts an instance with 1.4 MB a CPU. */
const RING_KIB = 64
const MAKE_ATTEMPTS = 5
const PAUSE_MS = 20
const EVENT = 'events/sock/inet_sock_set_state'
const [SYN_SENT, CLOSE, TCP] = [2, 7, 6]

export interface Instance {
  readonly path: string
  readonly eventPath: string
  /** Lets go of it: from here on something else must hold it. */
  readonly release: () => void
}

/** Makes a name that no other process gives its instance. `pid` is for a user who looks at the directory. */
export function createInstanceName(pid: number): string {
  return `${INSTANCE_PREFIX}${pid}.${randomBytes(6).toString('hex')}`
}

/**
 * A connect() that dies before it gets a port goes from SYN_SENT to CLOSE without a source port
 * (docs/development/port-model.md#counting-failures). MPTCP reports the state of its own socket as well: only TCP
 * counts. What a port probe is refused does not count, whichever exporter on the node made it. It is known by its flow,
 * which no program needs, and not by a name, which any program may take.
 */
export function renderFilter(): string {
  const failure = `oldstate == ${SYN_SENT} && newstate == ${CLOSE} && sport == 0 && protocol == ${TCP}`
  const { from, to, port } = PROBE_FLOW
  return `${failure} && (saddr != ${wordOf(from)} || daddr != ${wordOf(to)} || dport != ${port})`
}

/** The kernel compares the four bytes of an address as one word, which is little-endian wherever koffi serves us. */
function wordOf(address: readonly number[]): number {
  return new DataView(Uint8Array.from(address).buffer).getUint32(0, true)
}

/**
 * Opens the process' instance, creating it when it is not there, and clears away what crashed processes left behind.
 * Throws SourceError where tracefs, the event or the rights are missing.
 */
export function openInstance(options: {
  readonly places: readonly string[] | undefined
  readonly name: string
}): Instance {
  const { places, name } = options
  const tracefs = findTracefs(places)
  // NB: not existsSync(), which asks access(2), and that knows nothing of ambient capabilities.
  if (statSync(`${tracefs}/${EVENT}`, { throwIfNoEntry: false }) === undefined) {
    throw new SourceError(
      'unsupported',
      'Cannot record failed allocations: this kernel has no event sock:inet_sock_set_state, which came with Linux 4.16',
    )
  }
  removeAbandoned(tracefs, name)
  const path = `${tracefs}/instances/${name}`
  for (let attempt = 1; ; attempt++) {
    try {
      return makeInstance(path)
    } catch (error) {
      if (!isFleeting(error) || attempt === MAKE_ATTEMPTS) throw error
      pause(attempt * PAUSE_MS)
    }
  }
}

/** Keeps others from taking the instance for abandoned, until the function it returns is called. */
export function holdInstance(path: string): () => void {
  try {
    const fd = openSync(`${path}/tracing_on`, 'r')
    return () => closeSync(fd)
  } catch (error) {
    throw tracefsRefusal(error)
  }
}

/** Removes the instance, its rings and its events; false while something is still open on it, true when it is gone. */
export function removeInstance(path: string): boolean {
  try {
    rmdirSync(path)
    return true
  } catch (error) {
    if (isGone(error)) return true
    if (codeOf(error) === 'EBUSY') return false
    throw tracefsRefusal(error)
  }
}

/** The names of the instances of exporters, dead or alive. */
export function listInstances(tracefs: string): string[] {
  try {
    return readdirSync(`${tracefs}/instances`).filter((name) => name.startsWith(INSTANCE_PREFIX))
  } catch (error) {
    throw tracefsRefusal(error)
  }
}

/** What cannot be removed is another's, or will be tried again by the next who starts. */
function removeAbandoned(tracefs: string, own: string): void {
  for (const name of listInstances(tracefs)) {
    if (name === own) continue
    try {
      removeInstance(`${tracefs}/instances/${name}`)
    } catch (error) {
      if (!(error instanceof SourceError)) throw error
    }
  }
}

function makeInstance(path: string): Instance {
  const created = makeDirectory(path)
  const release = holdInstance(path)
  try {
    configure(path)
    return { path, eventPath: `${path}/${EVENT}`, release }
  } catch (error) {
    release()
    if (created) removeInstance(path)
    throw error
  }
}

/** NB: between mkdir(2) and open(2) nobody holds it, and another exporter that starts may take it for abandoned. */
function isFleeting(error: unknown): boolean {
  return error instanceof SourceError && isGone(error.cause)
}

/** ENODEV: the files of an instance outlive it by a moment. */
function isGone(error: unknown): boolean {
  return ['ENOENT', 'ENODEV'].includes(codeOf(error) ?? '')
}

function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}

function makeDirectory(path: string): boolean {
  try {
    mkdirSync(path, { mode: 0o700 })
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw tracefsRefusal(error)
  }
}

/** Idempotent. The ring is made small, and the filter set, before the first event can be recorded. */
function configure(path: string): void {
  writeTraceFile(`${path}/buffer_size_kb`, `${RING_KIB}\n`)
  // An instance inherits the options of the top level, where someone may keep the oldest events instead of the newest.
  writeTraceFile(`${path}/options/overwrite`, '1\n')
  writeTraceFile(`${path}/${EVENT}/filter`, renderFilter())
  writeTraceFile(`${path}/${EVENT}/enable`, '1\n')
  writeTraceFile(`${path}/tracing_on`, '1\n')
}
