// Who listens on a port of the namespace of this process: /proc/self/net/{tcp,tcp6} -> user ids. Any user may take a
// port that is free.

import { closeSync, openSync, readSync } from 'node:fs'
import { codeOf } from '../error-code.ts'
import { STATE } from '../observation.ts'
import { decodeProcNet } from './proc-net.ts'
import type { ProcNetTable } from './proc-net-row.ts'

/** The kernel writes listeners first (tcp_get_idx in net/ipv4/tcp_ipv4.c): a row of anything else ends them. */
const OTHER_ROW = /^ *\d+: \S+ \S+ (?!0A )/m
const CHUNK_BYTES = 65_536

/** Reads a file of /proc in chunks of whole rows. Throws where there is none. */
export type ReadRows = (path: string) => Iterable<Buffer>

/**
 * Lists the users of the sockets that listen on that port, whatever their address. A table that is missing has none.
 * Throws DecodeError when the text is wrong.
 */
export function readListenerUids(port: number, read: ReadRows = readRows): readonly number[] {
  return [...listUids('tcp', port, read), ...listUids('tcp6', port, read)]
}

function listUids(table: ProcNetTable, port: number, read: ReadRows): readonly number[] {
  const uids: number[] = []
  const rows = takeListeners(read(`/proc/self/net/${table}`))
  try {
    for (const batch of decodeProcNet(rows, { table, range: { first: port, last: port } })) {
      for (let row = 0; row < batch.length; row++) {
        if (batch.state[row] === STATE.listen) uids.push(batch.uid[row] ?? 0)
      }
    }
  } catch (error) {
    if (codeOf(error) === undefined) throw error
  }
  return uids
}

/** A busy host has millions of other rows behind them. */
function* takeListeners(chunks: Iterable<Buffer>): Generator<Buffer, void, void> {
  for (const chunk of chunks) {
    yield chunk
    if (OTHER_ROW.test(chunk.toString('latin1'))) return
  }
}

function* readRows(path: string): Generator<Buffer, void, void> {
  const file = openSync(path, 'r')
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES)
    for (;;) {
      // Whole rows, since the kernel never cuts one.
      const length = readSync(file, chunk)
      if (length === 0) return
      yield chunk.subarray(0, length)
    }
  } finally {
    closeSync(file)
  }
}
