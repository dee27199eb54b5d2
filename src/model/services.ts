// Which UDP sockets are services: census and memory -> those on whose ports one was seen for a minute or more. A resolver
// chooses random ports by itself, which look the same and are gone within seconds.

import type { Listener } from './census.ts'

/** What one sample leaves for the next. */
export interface UdpServices {
  /** Time of the first sample. */
  readonly startedSeconds: number
  /** When sample after sample a listening socket has been on the port since, by port number. */
  readonly sinceSeconds: ReadonlyMap<number, number>
}

export interface UdpServicesNow {
  readonly memory: UdpServices
  /** The listeners without those UDP sockets that are too young. */
  readonly listeners: readonly Listener[]
  /** Whether the samples reach back far enough to tell. */
  readonly known: boolean
}

const SERVICE_SECONDS = 60

export function advanceUdpServices(
  before: UdpServices | undefined,
  listeners: readonly Listener[],
  atSeconds: number,
): UdpServicesNow {
  const startedSeconds = before?.startedSeconds ?? atSeconds
  const sinceSeconds = new Map<number, number>()
  for (const { protocol, port } of listeners) {
    if (protocol === 'udp') sinceSeconds.set(port, before?.sinceSeconds.get(port) ?? atSeconds)
  }
  const isOld = (port: number) =>
    atSeconds - (sinceSeconds.get(port) ?? atSeconds) >= SERVICE_SECONDS
  return {
    memory: { startedSeconds, sinceSeconds },
    listeners: listeners.filter(({ protocol, port }) => protocol === 'tcp' || isOld(port)),
    known: atSeconds - startedSeconds >= SERVICE_SECONDS,
  }
}
