// What fails and what works again, a line each time it changes: Snapshots, one after the other -> log lines.

import type { Log } from './log.ts'
import type { Snapshot } from './snapshot.ts'

export function createFailureLog(log: Log): (snapshot: Snapshot) => void {
  const failing = new Map<string, string>()
  return ({ namespaces }) => {
    const present = new Set(namespaces.map(({ netns }) => netns))
    for (const netns of failing.keys()) if (!present.has(netns)) failing.delete(netns)
    for (const { netns, failure } of namespaces) {
      if (failure?.message === failing.get(netns)) continue
      if (failure === undefined) {
        failing.delete(netns)
        log.info('Sockets can be read again', { netns })
      } else {
        failing.set(netns, failure.message)
        log.warn('Sockets cannot be read', { netns, reason: failure.message })
      }
    }
  }
}
