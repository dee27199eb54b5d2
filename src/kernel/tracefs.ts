// tracefs: finding the mount, and small files of it. https://docs.kernel.org/trace/ftrace.html
// Rights are plain file permissions (docs/development/port-model.md#counting-failures), so a refusal is worth one
// sentence that says what to mount or to grant.

import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { codeOf } from '../error-code.ts'
import { SourceError } from '../observation.ts'
import { errnoReason } from './errno.ts'

/** Where systemd and the kernel itself mount it; the second is what it was before Linux 4.1, and still leads there. */
export const TRACEFS_PLACES = ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'] as const

const ADVICE_MISSING =
  'mount it (mount -t tracefs nodev /sys/kernel/tracing), and into a container, read-write, from the host'
const ADVICE_RIGHTS =
  "this takes root or CAP_DAC_OVERRIDE, and in a container the host's /sys/kernel/tracing mounted read-write"

/** The first of the places that is a tracefs. Throws SourceError. */
export function findTracefs(places: readonly string[] = TRACEFS_PLACES): string {
  for (const place of places) {
    try {
      if (statSync(`${place}/instances`).isDirectory()) return place
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' && codeOf(error) !== 'ENOTDIR') throw tracefsRefusal(error)
    }
  }
  throw new SourceError(
    'unsupported',
    `Cannot record failed allocations: there is no tracefs at ${places.join(' or ')}; ${ADVICE_MISSING}`,
  )
}

/** What a refused system call on a file of tracefs means. */
export function tracefsRefusal(error: unknown): SourceError {
  const code = codeOf(error) ?? ''
  const detail = error instanceof Error ? error.message : String(error)
  const readOnly = code === 'EROFS'
  const reason = readOnly ? 'permission' : errnoReason(code)
  const advice = reason === 'permission' ? `; ${ADVICE_RIGHTS}` : ''
  return new SourceError(reason, `Cannot record failed allocations: ${detail}${advice}`, {
    cause: error,
  })
}

export function readTraceFile(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch (error) {
    throw tracefsRefusal(error)
  }
}

export function writeTraceFile(path: string, text: string): void {
  try {
    writeFileSync(path, text)
  } catch (error) {
    throw tracefsRefusal(error)
  }
}
