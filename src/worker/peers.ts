// What the model asks of a namespace now and then besides its sockets: whether live connections to a destination have
// timestamps, how devices are called, and which ports are the kernel's.

import type { Libc } from '../kernel/libc.ts'
import { readDevices, readTunnelPorts } from '../kernel/links.ts'
import { readPeerTimestamps } from '../kernel/peer-timestamps.ts'
import type { AskTimestamps } from '../model/timestamps.ts'
import type { Device, PortRange } from '../observation.ts'
import { judgeFailure } from './read-failure.ts'

export interface Peers {
  /** How to ask connections of that range; undefined while it rests. To be called inside the namespace. */
  asker(range: PortRange): AskTimestamps | undefined
  /** Looks up devices by index; undefined where that does not work. To be called inside the namespace. */
  devices(indexes: readonly number[]): ReadonlyMap<number, Device> | undefined
  /** Lists UDP ports at which the kernel itself listens; undefined where that does not work. To be called inside the namespace. */
  tunnelPorts(): ReadonlySet<number> | undefined
}

/** An answer costs a walk over all sockets of the machine: asking may take one percent of the time. */
const REST_FACTOR = 100

export function createPeers(libc: Libc, monotonicSeconds: () => number): Peers {
  let restsUntilSeconds = 0

  function ask(range: PortRange, remote: Parameters<AskTimestamps>[0]): ReturnType<AskTimestamps> {
    const before = monotonicSeconds()
    try {
      return attempt(() => readPeerTimestamps(libc, range, remote))
    } finally {
      const now = monotonicSeconds()
      restsUntilSeconds = now + REST_FACTOR * (now - before)
    }
  }

  return {
    asker: (range) =>
      monotonicSeconds() < restsUntilSeconds ? undefined : (remote) => ask(range, remote),
    devices: (indexes) => attempt(() => readDevices(libc, indexes)),
    tunnelPorts: () => attempt(() => readTunnelPorts(libc)),
  }
}

/** What cannot be learned is not known. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    judgeFailure(error)
    return undefined
  }
}
