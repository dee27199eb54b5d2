// Which sockets that listen are services, that keep their port: census and memory -> those that were seen for a minute
// or more. A resolver chooses random UDP ports by itself, and a server of passive FTP or a test run listens on TCP
// ports for seconds. They look the same and are gone soon. A port that bind(0) gave is none that somebody relies on.

import type { Listener } from './listeners.ts'

interface Seen {
  readonly inode: number
  readonly sinceSeconds: number
}

/** What one sample leaves for the next. */
export interface Services {
  /** Time of the first sample. */
  readonly startedSeconds: number
  /** The socket on each port that is seen for longest sample after sample, by number of the port and the protocol. */
  readonly seen: ReadonlyMap<number, Seen>
}

export interface ServicesInput {
  readonly listeners: readonly Listener[]
  /** Whether TCP ports that applications chose can be told. */
  readonly tcpChoiceKnown: boolean
  readonly atSeconds: number
}

export interface ServicesNow {
  readonly memory: Services
  /** The listeners on ports of services. */
  readonly listeners: readonly Listener[]
  /** Whether the samples reach back far enough to tell those of UDP. */
  readonly udpKnown: boolean
}

const SERVICE_SECONDS = 60
/** Above every port: added to those of UDP. */
const UDP = 65_536

/** Knows a socket again by its inode: with many random ports some are taken by chance in one sample after another. */
export function advanceServices(
  before: Services | undefined,
  { listeners, tcpChoiceKnown, atSeconds }: ServicesInput,
): ServicesNow {
  const startedSeconds = before?.startedSeconds ?? atSeconds
  const lasting = listeners.filter(
    ({ protocol, explicit }) => protocol === 'udp' || explicit || !tcpChoiceKnown,
  )
  const seen = new Map<number, Seen>()
  for (const listener of lasting) {
    const key = keyOf(listener)
    const { inode } = listener
    const known = before?.seen.get(key)
    if (known?.inode === inode) seen.set(key, known)
    else if (!seen.has(key)) seen.set(key, { inode, sinceSeconds: atSeconds })
  }
  const isService = (listener: Listener) => {
    const sinceSeconds = seen.get(keyOf(listener))?.sinceSeconds ?? atSeconds
    // What listened on TCP before anybody looked may have done so for long.
    if (listener.protocol === 'tcp' && sinceSeconds === startedSeconds) return true
    return atSeconds - sinceSeconds >= SERVICE_SECONDS
  }
  return {
    memory: { startedSeconds, seen },
    listeners: lasting.filter(isService),
    udpKnown: atSeconds - startedSeconds >= SERVICE_SECONDS,
  }
}

function keyOf({ protocol, port }: Listener): number {
  return protocol === 'udp' ? UDP + port : port
}
