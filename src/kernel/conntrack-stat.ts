// /proc/<pid>/net/stat/nf_conntrack: text -> what the namespace has counted. Mirrors
// net/netfilter/nf_conntrack_standalone.c:ct_cpu_seq_show(): a row of names, then a row of hexadecimal numbers a CPU.
// World-readable.

import { DecodeError } from '../observation.ts'
import { readProcFile, readProcList } from './proc-file.ts'

/**
 * The counters have a number for each CPU, of 32 bits, which begins at 0 again after the last (struct
 * ip_conntrack_stat).
 */
export interface ConntrackCounts {
  /** Entries of the namespace now. */
  readonly entries: number
  /** Taken ports that searches for a free one met. */
  readonly found: readonly number[]
  /** Entries that could not be inserted, because their tuple was taken. */
  readonly insertFailed: readonly number[]
  /** Packets dropped by conntrack, for whatever reason. */
  readonly drop: readonly number[]
  /** Insertions that lost a race against the same connection and were merged with it. Undefined before Linux 5.9. */
  readonly clashResolve: readonly number[] | undefined
}

const COUNTER = /^[0-9a-f]{1,8}$/

/** Reads one namespace's file. It gives undefined where there is none, as without the module nf_conntrack. */
export function readConntrackCounts(path: string): ConntrackCounts | undefined {
  const text = readProcList(path)
  return text === undefined ? undefined : parseConntrackCounts(text)
}

/** Takes the rows apart; columns are found by name, because kernels have added and emptied some. Throws DecodeError. */
export function parseConntrackCounts(text: string): ConntrackCounts {
  const [head = '', ...lines] = text.trimEnd().split('\n')
  const names = head.trim().split(/\s+/)
  const rows = lines.map((line) => line.trim().split(/\s+/))
  if (rows.length === 0 || rows.some((row) => row.length !== names.length)) {
    throw new DecodeError(
      `Cannot parse nf_conntrack: expected rows of ${names.length} numbers, got ${JSON.stringify(text.slice(0, 80))}`,
      0,
    )
  }
  const values = (name: string): number[] | undefined => {
    const column = names.indexOf(name)
    return column < 0 ? undefined : rows.map((row) => parseCounter(name, row[column] ?? ''))
  }
  const needed = (name: string): number[] => {
    const found = values(name)
    if (found !== undefined) return found
    throw new DecodeError(`Cannot parse nf_conntrack: there is no column ${name}`, 0)
  }
  return {
    // Each row has the same number.
    entries: needed('entries')[0] ?? 0,
    found: needed('found'),
    insertFailed: needed('insert_failed'),
    drop: needed('drop'),
    clashResolve: values('clashres'),
  }
}

function parseCounter(name: string, text: string): number {
  if (COUNTER.test(text)) return Number.parseInt(text, 16)
  throw new DecodeError(
    `Cannot parse nf_conntrack: expected ${name} in hexadecimal, got ${JSON.stringify(text.slice(0, 40))}`,
    0,
  )
}

/**
 * net.netfilter.nf_conntrack_max, the same for all namespaces. `sysRoot` is /proc/sys or what stands for it. Undefined
 * where there is no conntrack, and where nothing limits it: 0 says so (net/netfilter/nf_conntrack_core.c,
 * resolve_conntrack), and older kernels take a negative one for a number that nobody reaches.
 */
export function readConntrackLimit(sysRoot: string): number | undefined {
  const text = readProcFile(`${sysRoot}/net/netfilter/nf_conntrack_max`)?.trim() ?? ''
  return /^[1-9]\d*$/.test(text) ? Number(text) : undefined
}
