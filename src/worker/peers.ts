// The worker's side of timestamps: asks live connections to a destination whether they have them, now and then.

import type { Libc } from '../kernel/libc.ts'
import { readPeerTimestamps } from '../kernel/peer-timestamps.ts'
import type { AskTimestamps } from '../model/timestamps.ts'
import { DecodeError, type PortRange, SourceError } from '../observation.ts'

export interface Peers {
  /** How to ask connections of that range; undefined while it rests. To be called inside the namespace. */
  asker(range: PortRange): AskTimestamps | undefined
}

/** An answer costs a walk over all sockets of the machine: asking may take one percent of the time. */
const REST_FACTOR = 100

export function createPeers(libc: Libc, monotonicSeconds: () => number): Peers {
  let restsUntilSeconds = 0

  function ask(range: PortRange, remote: Parameters<AskTimestamps>[0]): boolean | undefined {
    const before = monotonicSeconds()
    try {
      return readPeerTimestamps(libc, range, remote)
    } catch (error) {
      // What cannot be learned is not known.
      if (error instanceof SourceError || error instanceof DecodeError) return undefined
      throw error
    } finally {
      const now = monotonicSeconds()
      restsUntilSeconds = now + REST_FACTOR * (now - before)
    }
  }

  return {
    asker: (range) =>
      monotonicSeconds() < restsUntilSeconds ? undefined : (remote) => ask(range, remote),
  }
}
