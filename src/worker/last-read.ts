// What was read of one namespace last, and all that changes it.

import type { ModelState } from '../model/step.ts'
import type { PortSettings } from '../namespaces/namespaces.ts'
import type { Pod } from '../sample.ts'
import type { Destination, Namespace, NamespaceState, ReadError } from '../snapshot.ts'
import { type NatMemory, startNatMemory } from './nat-memory.ts'
import { type ProbeMemory, startProbeMemory } from './prober.ts'

/** What was read of a namespace last. Times are of a clock that never steps. Only the functions below change it. */
export interface LastRead {
  /** No more ports than this are held; undefined where that is not known. */
  readonly boundPorts: number | undefined
  readonly model: ModelState | undefined
  readonly state: NamespaceState | undefined
  /** The port settings that the state is of, and the pod that was known then. */
  readonly ports: PortSettings | undefined
  readonly pod: Pod | undefined
  readonly readError: ReadError | undefined
  /** Undefined before the first read that succeeded. */
  readonly readAtSeconds: number | undefined
  /** When a read was tried last, whether it succeeded or not. */
  readonly triedAtSeconds: number
  /** When its range was looked at last. */
  readonly rangeAtSeconds: number
  /** When an allocation was last seen to fail in it. */
  readonly failedAtSeconds: number
  /** Destinations to which connect() was refused a port since its sockets were read last. */
  readonly refused: readonly Destination[]
  /** Ports of tunnels, where some UDP socket may be one. */
  readonly tunnels:
    | { readonly readAtSeconds: number; readonly ports: ReadonlySet<number> | undefined }
    | undefined
  readonly probeMemory: ProbeMemory
  /** Programs of the owners behind a pool that is nearly full. */
  readonly programs: Namespace['programs']
  readonly nat: NatMemory
}

type Changing = { -readonly [K in keyof LastRead]: LastRead[K] }

/** Destinations of a namespace that the model hears of: a client of all the world is refused everywhere. */
const MOST_REFUSED = 16

export const NO_PROGRAMS: Namespace['programs'] = []

export function startLastRead(): LastRead {
  return {
    boundPorts: undefined,
    model: undefined,
    state: undefined,
    ports: undefined,
    pod: undefined,
    readError: undefined,
    readAtSeconds: undefined,
    triedAtSeconds: 0,
    rangeAtSeconds: 0,
    failedAtSeconds: Number.NEGATIVE_INFINITY,
    refused: [],
    tunnels: undefined,
    probeMemory: startProbeMemory(),
    programs: NO_PROGRAMS,
    nat: startNatMemory(),
  }
}

/** A read is tried. */
export function noteTry(last: Changing, nowSeconds: number): void {
  last.triedAtSeconds = nowSeconds
}

/** A read has succeeded. */
export function noteRead(
  last: Changing,
  read: Pick<LastRead, 'model' | 'state' | 'ports' | 'pod'>,
  nowSeconds: number,
): void {
  Object.assign(last, read)
  last.readAtSeconds = nowSeconds
  last.rangeAtSeconds = nowSeconds
  last.refused = []
}

/** How the last read ended; undefined where it succeeded. */
export function noteReadError(last: Changing, readError: ReadError | undefined): void {
  last.readError = readError
}

/** Its range alone is looked at. */
export function noteRangeLook(last: Changing, nowSeconds: number): void {
  last.rangeAtSeconds = nowSeconds
}

export function noteBound(last: Changing, boundPorts: number | undefined): void {
  last.boundPorts = boundPorts
}

export function noteTunnels(last: Changing, tunnels: LastRead['tunnels']): void {
  last.tunnels = tunnels
}

export function notePrograms(last: Changing, programs: LastRead['programs']): void {
  last.programs = programs
}

/** Allocations to these destinations have failed. */
export function noteFailing(
  last: Changing,
  destinations: readonly Destination[],
  nowSeconds: number,
): void {
  last.failedAtSeconds = nowSeconds
  // Until it is read the next sample may come.
  last.refused = [...destinations, ...last.refused].slice(0, MOST_REFUSED)
}

/** Forgets one that is not read any more. */
export function forgetRead(last: Changing): void {
  last.model = undefined
  last.state = undefined
  last.readError = undefined
  last.readAtSeconds = undefined
}
