// The kernel's record of failed allocations, read from the rings of our tracing instance without ever waiting: rings ->
// FailureReading. Belongs to the worker thread; the instance outlives it, and the next worker's recorder goes on with
// it.

import { closeSync, constants, openSync, readdirSync, readSync } from 'node:fs'
import { codeOf } from '../error-code.ts'
import {
  type EventFormat,
  type PageFormat,
  parseEventFormat,
  parsePageFormat,
} from '../kernel/trace-event-format.ts'
import { decodeRingPage, type FailureRecord } from '../kernel/trace-ring-page.ts'
import { parseGoneEvents } from '../kernel/trace-ring-stats.ts'
import { readTraceFile, tracefsRefusal } from '../kernel/tracefs.ts'
import { DecodeError } from '../observation.ts'
import type { FailureReading, RingCount } from '../sample.ts'
import { openInstance } from './instance.ts'
import { createTally, type Resolvers } from './tally.ts'

export interface Recorder {
  /** Path of the instance, for a thread that outlives this one and calls holdInstance() and removeInstance(). */
  readonly instancePath: string
  /** What has happened since the last reading. Throws SourceError when tracefs refuses. */
  read(resolvers: Resolvers): FailureReading
  /** Closes what is open; the instance goes on recording. */
  close(): void
}

export interface RecorderOptions {
  /** Where tracefs may be mounted; undefined for the usual places. */
  readonly places: readonly string[] | undefined
  /** Name that all threads of the process share: createInstanceName(). */
  readonly name: string
}

/**
 * A ring has 16 pages of 4 KiB, and one that the reader owns. A storm must not hold the reader for longer than that.
 */
const PAGES_PER_READING = 24
/** A few short lines. */
const MOST_STATS_BYTES = 4096

interface Format {
  readonly event: EventFormat
  readonly layout: PageFormat
}

interface Ring {
  readonly cpu: number
  readonly fd: number
  /** The file of its counts: like the ring, it stays readable where tracefs is unmounted. */
  readonly statsFd: number
}

/** Opens the instance for the calling thread. Throws SourceError or DecodeError. */
export function openRecorder(options: RecorderOptions): Recorder {
  const { path, eventPath, release } = openInstance(options)
  const { format, rings } = openParts(path, eventPath, release)
  const page = new Uint8Array(format.layout.bytes)
  let first = true

  return {
    instancePath: path,
    read(resolvers) {
      const counts: RingCount[] = []
      const tally = createTally(resolvers)
      let problem: string | undefined
      for (const ring of rings) {
        const drained = drainRing(ring, {
          page,
          format,
          record: (seen) => tally.add(ring.cpu, seen),
        })
        problem ??= drained.problem
        if (drained.pages > 0 || first) {
          const gone = parseGoneEvents(readStats(ring.statsFd))
          counts.push({ cpu: ring.cpu, gone, strangers: drained.strangers })
        }
      }
      first = false
      return { rings: counts, events: tally.events(), problem }
    },
    close() {
      closeRings(rings)
    },
  }
}

/** Opens the parts of the instance. From here on the descriptors of its rings hold it. */
function openParts(
  path: string,
  eventPath: string,
  release: () => void,
): { format: Format; rings: Ring[] } {
  try {
    const format = {
      event: parseEventFormat(readTraceFile(`${eventPath}/format`)),
      layout: parsePageFormat(readTraceFile(`${path}/events/header_page`)),
    }
    return { format, rings: openRings(path) }
  } finally {
    release()
  }
}

function openRings(path: string): Ring[] {
  const rings: Ring[] = []
  try {
    for (const name of readdirSync(`${path}/per_cpu`)) {
      const cpu = /^cpu(\d+)$/.exec(name)?.[1]
      if (cpu === undefined) continue
      const directory = `${path}/per_cpu/${name}`
      const statsFd = openSync(`${directory}/stats`, 'r')
      try {
        const flags = constants.O_RDONLY | constants.O_NONBLOCK
        rings.push({
          cpu: Number(cpu),
          fd: openSync(`${directory}/trace_pipe_raw`, flags),
          statsFd,
        })
      } catch (error) {
        closeSync(statsFd)
        throw error
      }
    }
  } catch (error) {
    closeRings(rings)
    throw tracefsRefusal(error)
  }
  return rings
}

function closeRings(rings: readonly Ring[]): void {
  for (const { fd, statsFd } of rings) for (const one of [fd, statsFd]) closeSync(one)
}

/** The counts of now: each read(2) from the beginning makes them anew (kernel/trace/trace.c:tracing_stats_read). */
function readStats(fd: number): string {
  try {
    const buffer = Buffer.alloc(MOST_STATS_BYTES)
    return buffer.toString('latin1', 0, readSync(fd, buffer, 0, buffer.length, 0))
  } catch (error) {
    throw tracefsRefusal(error)
  }
}

/** Reads a ring until it is empty. A page that cannot be decoded is left to the counters. */
function drainRing(
  ring: Ring,
  options: {
    readonly page: Uint8Array
    readonly format: Format
    readonly record: (record: FailureRecord) => void
  },
): { pages: number; strangers: number; problem: string | undefined } {
  const { page, format, record } = options
  let [pages, strangers] = [0, 0]
  let problem: string | undefined
  while (pages < PAGES_PER_READING) {
    const length = readPage(ring.fd, page)
    if (length === 0) break
    pages++
    try {
      const decoded = decodeRingPage(page.subarray(0, length), format)
      strangers += decoded.strangers
      for (const one of decoded.records) record(one)
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      problem ??= error.message
    }
  }
  return { pages, strangers, problem }
}

/** One read(2) for one page; 0 when there is nothing to read. */
function readPage(fd: number, page: Uint8Array): number {
  try {
    return readSync(fd, page, 0, page.length, null)
  } catch (error) {
    if (codeOf(error) === 'EAGAIN') return 0
    throw tracefsRefusal(error)
  }
}
