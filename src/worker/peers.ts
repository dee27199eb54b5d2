// What the model asks of a namespace now and then besides its sockets: which live connections have timestamps, who
// listens, how devices are called, and which ports are the kernel's.

import type { Libc } from '../kernel/libc.ts'
import { readDevices, readTunnelPorts } from '../kernel/links.ts'
import { readListeners, readPeerTimestamps, readTimestamps } from '../kernel/peer-timestamps.ts'
import type { TimestampQuestions } from '../model/timestamps.ts'
import type { Device, PortRange } from '../observation.ts'
import { judgeReadError } from './read-error.ts'

export interface Peers {
  /** How to ask connections of that range; undefined while it rests. To be called inside the namespace. */
  asker(range: PortRange): TimestampQuestions['askTimestamps']
  /** How to see which live connections of that range have timestamps; undefined while it rests. As above. */
  looker(range: PortRange): TimestampQuestions['lookTimestamps']
  /** How to see all TCP listeners; undefined while it rests. As above. */
  lister(): TimestampQuestions['listListeners']
  /** Looks up devices by index; undefined where that does not work. To be called inside the namespace. */
  devices(indexes: readonly number[]): ReadonlyMap<number, Device> | undefined
  /**
   * Lists UDP ports at which the kernel itself listens; undefined where that does not work. To be called inside the
   * namespace.
   */
  tunnelPorts(): ReadonlySet<number> | undefined
}

/** An answer costs a walk over all sockets of the machine: asking each question may take one percent of the time. */
const REST_FACTOR = 100

export function createPeers(libc: Libc, monotonicSeconds: () => number): Peers {
  /** Gives the function while the question does not rest; whatever it throws is undefined. */
  function createQuestion(): <A extends readonly unknown[], T>(
    ask: (...asked: A) => T,
  ) => ((...asked: A) => T | undefined) | undefined {
    let restsUntilSeconds = 0
    return (ask) => {
      if (monotonicSeconds() < restsUntilSeconds) return undefined
      return (...asked) => {
        const before = monotonicSeconds()
        try {
          return attempt(() => ask(...asked))
        } finally {
          const now = monotonicSeconds()
          restsUntilSeconds = now + REST_FACTOR * (now - before)
        }
      }
    }
  }

  const peers = createQuestion()
  const live = createQuestion()
  const listeners = createQuestion()
  return {
    asker: (range) => peers((remote) => readPeerTimestamps(libc, range, remote)),
    looker: (range) =>
      live((see) => {
        readTimestamps(libc, range, see)
        return true
      }),
    lister: () =>
      listeners((see) => {
        readListeners(libc, see)
        return true
      }),
    devices: (indexes) => attempt(() => readDevices(libc, indexes)),
    tunnelPorts: () => attempt(() => readTunnelPorts(libc)),
  }
}

/** What cannot be learned is not known. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    judgeReadError(error)
    return undefined
  }
}
