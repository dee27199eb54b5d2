// What fails and what works again, a line each time it changes: Snapshots, one after the other -> log lines.

import type { Log } from './log.ts'
import type { Snapshot } from './snapshot.ts'

/** More namespaces than that which begin to fail at once, for reasons of one kind, share a line. */
const MOST_LINES = 3

interface Unread {
  readonly level: 'info' | 'warn'
  readonly netns: string
  readonly reason: string
}

export function createFailureLog(log: Log): (snapshot: Snapshot) => void {
  const failing = new Map<string, string>()
  /** Namespaces that could be read once. */
  const readable = new Set<string>()

  /** Notes what `key` suffers from now; `changed` is called when that is something else than before. */
  function note(key: string, reason: string | undefined, changed: (reason?: string) => void): void {
    if (failing.get(key) === reason) return
    if (reason === undefined) failing.delete(key)
    else failing.set(key, reason)
    changed(reason)
  }

  return ({ namespaces, collectors, absences }) => {
    const present = new Set(namespaces.map(({ netns }) => `netns ${netns}`))
    for (const keys of [failing, readable]) {
      for (const key of keys.keys()) {
        if (key.startsWith('netns ') && !present.has(key)) keys.delete(key)
      }
    }
    const failed = new Map<string, Unread[]>()
    for (const { netns, failure } of namespaces) {
      // Namespaces end all the time, some of them while they are read.
      const message = failure?.reason === 'vanished' ? undefined : failure?.message
      const key = `netns ${netns}`
      if (failure === undefined) readable.add(key)
      note(key, message, (reason) => {
        if (reason === undefined) log.info('Sockets can be read again', { netns })
        else if (failure !== undefined) {
          // What was never permitted is no alarm.
          const level = failure.reason === 'permission' && !readable.has(key) ? 'info' : 'warn'
          const alike = failed.get(`${level} ${failure.reason}`) ?? []
          failed.set(`${level} ${failure.reason}`, [...alike, { level, netns, reason }])
        }
      })
    }
    for (const alike of failed.values()) {
      const shown = alike.length <= MOST_LINES ? alike : alike.slice(0, 1)
      const more = shown.length < alike.length ? { namespaces: alike.length } : {}
      for (const { level, ...one } of shown)
        log[level]('Sockets cannot be read', { ...more, ...one })
    }
    for (const { collector, reason } of absences) {
      note(`absent ${collector}`, reason, () =>
        log.debug('A collector is not permitted here', { collector, reason }),
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
