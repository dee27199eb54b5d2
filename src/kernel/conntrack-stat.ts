// /proc/<pid>/net/stat/nf_conntrack: text -> what the namespace has counted. Mirrors
// net/netfilter/nf_conntrack_standalone.c:ct_cpu_seq_show(): a row of names, then a row of hexadecimal numbers a CPU.
// World-readable.

import { DecodeError } from '../observation.ts'
import { readProcFile, readProcList } from './proc-file.ts'

export interface ConntrackCounts {
  /** Entries of the namespace now. */
  readonly entries: number
  /** Taken ports that searches for a free one met. */
  readonly found: number
  /** Entries that could not be inserted, because their tuple was taken. */
  readonly insertFailed: number
  /** Packets dropped by conntrack, for whatever reason. */
  readonly drop: number
  /** Insertions that lost a race against the same connection and were merged with it. Undefined before Linux 5.9. */
  readonly clashResolve: number | undefined
}

/** Counters are 32 bits a CPU (struct ip_conntrack_stat). */
const COUNTER = /^[0-9a-f]{1,8}$/

/** Reads one namespace's file. It gives undefined where there is none, as without the module nf_conntrack. */
export function readConntrackCounts(path: string): ConntrackCounts | undefined {
  const text = readProcList(path)
  return text === undefined ? undefined : parseConntrackCounts(text)
}

/** Adds up the rows; columns are found by name, because kernels have added and emptied some. Throws DecodeError. */
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
  const sum = (name: string) => values(name)?.reduce((total, value) => total + value, 0)
  const needed = (name: string, value: number | undefined): number => {
    if (value !== undefined) return value
    throw new DecodeError(`Cannot parse nf_conntrack: there is no column ${name}`, 0)
  }
  return {
    // The same number in each row.
    entries: needed('entries', values('entries')?.[0]),
    found: needed('found', sum('found')),
    insertFailed: needed('insert_failed', sum('insert_failed')),
    drop: needed('drop', sum('drop')),
    clashResolve: sum('clashres'),
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
 * where there is no conntrack.
 */
export function readConntrackLimit(sysRoot: string): number | undefined {
  const path = `${sysRoot}/net/netfilter/nf_conntrack_max`
  const text = readProcFile(path)?.trim()
  if (text === undefined) return undefined
  if (!/^\d+$/.test(text)) {
    throw new DecodeError(`Cannot parse ${path}: got ${JSON.stringify(text.slice(0, 40))}`, 0)
  }
  return Number(text)
}
