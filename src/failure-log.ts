// What fails and what works again, a line each time it changes: Snapshots, one after the other -> log lines.

import type { Log, LogFields } from './log.ts'
import type { Snapshot } from './snapshot.ts'

/** More namespaces than that which begin to fail at once, for reasons of one kind, share a line. */
const MOST_LINES = 3

export function createFailureLog(log: Log): (snapshot: Snapshot) => void {
  const failing = new Map<string, string>()

  /** Notes what `key` suffers from now; `changed` is called when that is something else than before. */
  function note(key: string, reason: string | undefined, changed: (reason?: string) => void): void {
    if (failing.get(key) === reason) return
    if (reason === undefined) failing.delete(key)
    else failing.set(key, reason)
    changed(reason)
  }

  const warn = (fields: LogFields) => log.warn('Sockets cannot be read', fields)

  return ({ namespaces, collectors, absences }) => {
    const present = new Set(namespaces.map(({ netns }) => `netns ${netns}`))
    for (const key of failing.keys()) {
      if (key.startsWith('netns ') && !present.has(key)) failing.delete(key)
    }
    const failed = new Map<string, { readonly netns: string; readonly reason: string }[]>()
    for (const { netns, failure } of namespaces) {
      // Namespaces end all the time, some of them while they are read.
      const message = failure?.reason === 'vanished' ? undefined : failure?.message
      note(`netns ${netns}`, message, (reason) => {
        if (reason === undefined) log.info('Sockets can be read again', { netns })
        else if (failure !== undefined) {
          const alike = failed.get(failure.reason) ?? []
          failed.set(failure.reason, [...alike, { netns, reason }])
        }
      })
    }
    for (const alike of failed.values()) {
      if (alike.length <= MOST_LINES) for (const one of alike) warn(one)
      else warn({ namespaces: alike.length, ...alike[0] })
    }
    for (const { collector, reason } of absences) {
      note(`absent ${collector}`, reason, () =>
        log.info('A collector is not possible here, its metrics are absent', { collector, reason }),
      )
    }
    for (const { collector, problem } of collectors) {
      note(`collector ${collector}`, problem, (reason) => {
        if (reason === undefined) log.info('Collector works again', { collector })
        else log.warn('Collector does not work', { collector, reason })
      })
    }
  }
}
