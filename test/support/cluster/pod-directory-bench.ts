// A pod directory before a fake API server, on a clock that the test moves.

import { setTimeout as delay } from 'node:timers/promises'
import {
  createPodDirectory,
  type PodDirectory,
  type PodDirectoryOptions,
} from '../../../src/pods/directory.ts'
import type { Pod } from '../../../src/sample.ts'
import { type FakeApiServer, sourceOf, startFakeApiServer } from './fake-api-server.ts'
import { createManualClock, type ManualClock } from './manual-clock.ts'

export interface DirectoryBench {
  readonly fake: FakeApiServer
  readonly clock: ManualClock
  readonly directory: PodDirectory
  /** Of what the directory knows. */
  lookup(podUid: string): Pod | undefined
  /** When each list was started, in seconds since the bench was set up. */
  readonly startedSeconds: readonly number[]
  /** Log lines: level, message and the field reason. */
  readonly logged: readonly string[]
  /** Resolves when the list under way has ended. */
  idle(): Promise<void>
  /** Asks for these every `everyMs`, as a sampler does, and lets each list end before time goes on. */
  sample(ids: readonly string[], forMs: number, everyMs?: number): Promise<void>
  close(): Promise<void>
}

export async function setUpDirectory(
  options: Partial<PodDirectoryOptions> = {},
): Promise<DirectoryBench> {
  const fake = await startFakeApiServer()
  const clock = createManualClock()
  const originMs = clock.now()
  const startedSeconds: number[] = []
  const logged: string[] = []
  /** What the directory said when the last list was started. */
  let before = undefined as ReturnType<PodDirectory['lastList']>
  const write =
    (level: string) =>
    (message: string, fields: { reason?: unknown } = {}) => {
      logged.push([level, message, fields.reason].filter(Boolean).join(': '))
    }
  const directory = createPodDirectory({
    ...sourceOf(fake),
    ...clock,
    random: () => 0,
    log: { info: write('info'), warn: write('warn') },
    // Reading the CA opens every HTTP request, before anything asynchronous; no test here sends two for one list.
    readCa: () => {
      startedSeconds.push((clock.now() - originMs) / 1000)
      before = directory.lastList()
      return fake.ca
    },
    ...options,
  })

  async function idle(): Promise<void> {
    while (startedSeconds.length > 0 && directory.lastList() === before) await delay(1)
  }
  return {
    fake,
    clock,
    directory,
    lookup: (podUid) => directory.pods().find(({ uid }) => uid === podUid),
    startedSeconds,
    logged,
    idle,
    async sample(ids, forMs, everyMs = 5000) {
      for (let passedMs = 0; passedMs < forMs; passedMs += everyMs) {
        directory.request(ids)
        await idle()
        // In steps, so that a list which falls due between two samples ends before the next.
        for (let stepMs = 0; stepMs < everyMs; stepMs += 1000) {
          clock.advance(1000)
          await idle()
        }
      }
    },
    async close() {
      directory.stop()
      await fake.close()
    },
  }
}
