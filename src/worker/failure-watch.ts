// The worker's side of the failures collector: reads what the kernel recorded and says in which namespace it happened.

import { openRecorder, type Recorder } from '../failures/recorder.ts'
import { countsAsKernel, readCgroupPath, readNetnsInode } from '../failures/traced-threads.ts'
import { type Mark, visibleInodeOf } from '../namespaces/processes.ts'
import { SourceError } from '../observation.ts'
import { ELSEWHERE, type FailureReading, type Recorded } from '../sample.ts'
import type { SamplingSettings } from '../settings.ts'
import type { Snapshot } from '../snapshot.ts'
import { attempt } from './read-error.ts'
import { type Identity, lastingKeyOf, type Watched } from './watched.ts'

export interface FailureWatch {
  /** Call it once a sample, outside every other namespace. Undefined while there is no recorder. */
  read(watched: Iterable<Watched>): Recorded | undefined
  /** Undefined where the collector is absent. */
  collector(): Snapshot['collectors'][number] | undefined
  /** Why nothing is counted although nobody switched that off; undefined where it is, or where it was asked for. */
  absence(): string | undefined
}

export interface FailureWatchOptions
  extends Pick<SamplingSettings, 'procfs' | 'tracefs' | 'everyNamespace'> {
  /** Name of the instance, the same for every worker of the process. */
  readonly name: string
  /** Whether the user asked for it by name: then it is a problem that nothing can be counted. */
  readonly asked: boolean
  readonly monotonicSeconds: () => number
  readonly nameProcess: (pid: number, cgroupPath: string) => string
}

/** tracefs may be mounted later. */
const RETRY_SECONDS = 60

export function createFailureWatch(options: FailureWatchOptions): FailureWatch {
  const { procfs, monotonicSeconds } = options
  const countsAlike = countsAsKernel(procfs)
  let recorder: Recorder | undefined
  let problem: string | undefined
  /** Never permitted, or not possible with this kernel; tracefs may still come. */
  let absence: string | undefined
  let triedAtSeconds = Number.NEGATIVE_INFINITY
  let durationSeconds = 0

  function open(): void {
    if (recorder !== undefined || monotonicSeconds() - triedAtSeconds < RETRY_SECONDS) return
    triedAtSeconds = monotonicSeconds()
    absence = undefined
    problem = attempt(() => {
      const places = options.tracefs === undefined ? undefined : [options.tracefs]
      try {
        recorder = openRecorder({ places, name: options.name })
      } catch (error) {
        if (!options.asked && isDenied(error)) absence = error.message
        else throw error
      }
    })?.message
  }

  /** Reads where a thread is. Of one that may not be looked at, the inode of net/tcp still tells. */
  function readMark(pid: number): string | undefined {
    const inode = readNetnsInode(procfs, pid)
    if (inode !== undefined) return nameMark('ns', inode)
    const netInode = visibleInodeOf(`${procfs}/${pid}/net/tcp`)
    return netInode === undefined ? undefined : nameMark('net', netInode)
  }

  function readRecorder(opened: Recorder, keyByMark: ReadonlyMap<string, string>) {
    let reading: FailureReading | undefined
    problem = attempt(() => {
      reading = opened.read({
        netnsOf: (pid) => {
          const mark = countsAlike ? readMark(pid) : undefined
          if (mark === undefined) return undefined
          return keyByMark.get(mark) ?? (options.everyNamespace ? undefined : ELSEWHERE)
        },
        ownerOf: (pid) => {
          const path = countsAlike ? readCgroupPath(procfs, pid) : undefined
          return path === undefined ? undefined : options.nameProcess(pid, path)
        },
      })
    })?.message
    problem ??= reading?.problem
    return reading
  }

  return {
    read(watched) {
      const before = monotonicSeconds()
      open()
      const keys = [...watched].map(({ identity }) => ({ identity, key: lastingKeyOf(identity) }))
      const marks = keys.flatMap(({ identity, key }) =>
        listMarks(identity).map((mark) => [mark, key] as const),
      )
      const opened = recorder
      const recorded = opened && {
        instancePath: opened.instancePath,
        reading: readRecorder(opened, new Map(marks)),
        present: keys.map(({ key }) => key),
        named: keys.flatMap(({ identity: { name }, key }): [string, string][] =>
          name === undefined ? [] : [[key, name.netns]],
        ),
      }
      durationSeconds = monotonicSeconds() - before
      return recorded
    },
    collector: () =>
      absence === undefined
        ? {
            collector: 'failures',
            success: problem === undefined,
            durationSeconds,
            problem,
          }
        : undefined,
    absence: () => absence,
  }
}

function listMarks({ namespace }: Identity): string[] {
  const inode = namespace.own ? visibleInodeOf('/proc/thread-self/ns/net') : namespace.inode
  const netInode = namespace.own ? visibleInodeOf('/proc/thread-self/net/tcp') : namespace.netInode
  return [
    ...(inode === undefined ? [] : [nameMark('ns', inode)]),
    ...(netInode === undefined ? [] : [nameMark('net', netInode)]),
  ]
}

function nameMark(by: Mark['by'], inode: number): string {
  return `${by} ${inode}`
}

function isDenied(error: unknown): error is SourceError {
  return error instanceof SourceError && ['permission', 'unsupported'].includes(error.reason)
}
