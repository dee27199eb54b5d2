// What fails and what works again, a line each time it changes: Snapshots, one after the other -> log lines.

import type { Log } from './log.ts'
import type { Snapshot } from './snapshot.ts'

export function createFailureLog(log: Log): (snapshot: Snapshot) => void {
  const failing = new Map<string, string>()

  /** Notes what `key` suffers from now; `changed` is called when that is something else than before. */
  function note(key: string, reason: string | undefined, changed: (reason?: string) => void): void {
    if (failing.get(key) === reason) return
    if (reason === undefined) failing.delete(key)
    else failing.set(key, reason)
    changed(reason)
  }

  return ({ namespaces, collectors }) => {
    const present = new Set(namespaces.map(({ netns }) => `netns ${netns}`))
    for (const key of failing.keys()) {
      if (key.startsWith('netns ') && !present.has(key)) failing.delete(key)
    }
    for (const { netns, failure } of namespaces) {
      // Namespaces end all the time, some of them while they are read.
      const message = failure?.reason === 'vanished' ? undefined : failure?.message
      note(`netns ${netns}`, message, (reason) => {
        if (reason === undefined) log.info('Sockets can be read again', { netns })
        else log.warn('Sockets cannot be read', { netns, reason })
      })
    }
    for (const { collector, problem } of collectors) {
      note(`collector ${collector}`, problem, (reason) => {
        if (reason === undefined) log.info('Collector works again', { collector })
        else log.warn('Collector does not work', { collector, reason })
      })
    }
  }
}
