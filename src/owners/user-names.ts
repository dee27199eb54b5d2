// /etc/passwd: text -> names by uid; passwd(5). A file that cannot be read leaves the numbers.

import { readProcFile } from '../kernel/proc-file.ts'
import { SourceError } from '../observation.ts'

/** Reads the file when it is called for the first time, and never again: users hardly change while ports run out. */
export function createUserNames(path = '/etc/passwd'): () => ReadonlyMap<number, string> {
  let names: ReadonlyMap<number, string> | undefined
  return () => {
    names ??= readUserNames(path)
    return names
  }
}

function readUserNames(path: string): ReadonlyMap<number, string> {
  try {
    return parsePasswd(readProcFile(path) ?? '')
  } catch (error) {
    if (error instanceof SourceError) return new Map()
    throw error
  }
}

/**
 * Parses /etc/passwd. The first line of a uid counts, as for getpwuid(3). Lines of another form (NIS' `+`) say nothing.
 */
export function parsePasswd(text: string): Map<number, string> {
  const names = new Map<number, string>()
  for (const line of text.split('\n')) {
    const [, name, digits] = /^([^:#+-][^:]*):[^:]*:(\d{1,10}):/.exec(line) ?? []
    const uid = Number(digits)
    if (name !== undefined && !names.has(uid)) names.set(uid, name)
  }
  return names
}
