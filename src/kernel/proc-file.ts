// Small files under /proc: path -> text, and a refused system call -> SourceError. Synchronous file system calls only,
// so that it may run in a thread that has switched its namespace.

import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import { codeOf } from '../error-code.ts'
import { type ReadErrorReason, SourceError } from '../observation.ts'
import { errnoReason } from './errno.ts'

/**
 * NB: a sysctl must be read by one read(2) with room to spare: the kernel answers the first with as much as fits, cut
 * in the middle of a number, and every further one with end of file (kernel/sysctl.c:proc_do_large_bitmap).
 * readFileSync() asks for 8 KiB, which turned 90,000 characters of ip_local_reserved_ports into 8,192 ending in
 * `,32729,32`.
 */
const FIRST_READ_BYTES = 4096
const SECOND_READ_BYTES = 512 * 1024

/**
 * Reads a whole file, or returns undefined when there is none. Throws SourceError when it may not or cannot be read.
 * Bytes that are no UTF-8 are U+FFFD. `expectedBytes` is more than it usually has: a small buffer costs less.
 */
export function readProcFile(path: string, expectedBytes = FIRST_READ_BYTES): string | undefined {
  return unlessMissing(path, () => {
    for (const size of [expectedBytes, SECOND_READ_BYTES]) {
      const bytes = readOnce(path, Buffer.allocUnsafe(size))
      if (bytes.length < size) return bytes.toString('utf8')
    }
    throw new SourceError('malformed', `Cannot read ${path}: it is longer than 512 KiB`)
  })
}

/**
 * Reads a list such as mountinfo, which readProcFile() would cut: one read(2) gives as many whole records as fit into a
 * page, however much it asks for (fs/seq_file.c:seq_read_iter). Files of one record, such as cgroup, snmp or stat, come
 * whole.
 */
export function readProcList(path: string): string | undefined {
  return unlessMissing(path, () => readFileSync(path, 'utf8'))
}

function unlessMissing(path: string, read: () => string): string | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof SourceError) throw error
    // ESRCH: the process ended between open(2) and read(2).
    if (isMissing(error) || codeOf(error) === 'ESRCH') return undefined
    throw refusal(`read ${path}`, error)
  }
}

/** What a refused file system call means. `missing` is the reason when there is no such file. */
export function refusal(
  action: string,
  error: unknown,
  missing: ReadErrorReason = 'unsupported',
): SourceError {
  const code = codeOf(error)
  const detail = error instanceof Error ? error.message : String(error)
  const reason = isMissing(error) ? missing : errnoReason(code ?? '')
  return new SourceError(reason, `Cannot ${action}: ${detail}`, { cause: error })
}

/** ENXIO: the network namespace behind a /proc/<pid>/net is gone (fs/proc/proc_net.c:seq_open_net). */
function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'ENXIO'].includes(codeOf(error) ?? '')
}

function readOnce(path: string, buffer: Buffer): Buffer {
  const fd = openSync(path, 'r')
  try {
    return buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, null))
  } finally {
    closeSync(fd)
  }
}
