// A tracefs to test with: the machine's own mount, or one more of the same on a directory that goes away again.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TRACEFS_PLACES } from '../../../src/kernel/tracefs.ts'
import { whyNotLive } from '../netns/live.ts'

export interface TracefsPlace {
  readonly place: string
  close(): void
}

/** The reason for `ctx.skip(reason)`, or undefined where failed allocations can be recorded. */
export function whyNotTraced(): string | undefined {
  const reason = whyNotLive()
  if (reason !== undefined) return reason
  try {
    const tracefs = openTracefs()
    const event = existsSync(`${tracefs.place}/events/sock/inet_sock_set_state`)
    tracefs.close()
    return event ? undefined : 'needs the trace event sock:inet_sock_set_state (Linux 4.16)'
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

export function openTracefs(): TracefsPlace {
  const mounted = TRACEFS_PLACES.find((place) => existsSync(`${place}/instances`))
  if (mounted !== undefined) return { place: mounted, close: () => {} }
  const place = mkdtempSync(join(tmpdir(), 'tracefs-'))
  const { status, stderr, error } = spawnSync('mount', ['-t', 'tracefs', 'nodev', place])
  if (status !== 0) {
    rmdirSync(place)
    throw new Error(`needs tracefs, cannot mount it: ${error?.message ?? stderr.toString().trim()}`)
  }
  return {
    place,
    close: () => {
      // Lazily, since somebody may have a file of it open for a moment yet, and it would be busy.
      spawnSync('umount', ['-l', place])
      rmdirSync(place)
    },
  }
}
