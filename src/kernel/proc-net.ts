// /proc/net/{tcp,tcp6,udp,udp6}: chunks of text -> batches of sockets. Mirrors tcp4_seq_show() and udp4_seq_show() in
// net/ipv4, tcp6_seq_show() in net/ipv6/tcp_ipv6.c and __ip6_dgram_sock_seq_show() in net/ipv6/datagram.c.
// A busy host has megabytes of it, so the bytes are read where they lie and a row becomes no object.

import { createSocketBatch, DecodeError, type SocketBatch } from '../observation.ts'
import { cannotDecode, quoteBytes, splitLines } from './proc-net-lines.ts'
import { createRowDecoder, type ProcNetOptions, type ProcNetTable } from './proc-net-row.ts'

const ROWS_PER_BATCH = 1024

/**
 * Yields the sockets in order, each time in the same batch. Chunks may end anywhere and be overwritten once the next is
 * asked for. Throws DecodeError, its offset counted from the start of the line.
 */
export function* decodeProcNet(
  chunks: Iterable<Uint8Array>,
  options: ProcNetOptions,
): Generator<SocketBatch, void, void> {
  const batch = createSocketBatch(ROWS_PER_BATCH)
  batch.protocol = options.table.startsWith('udp') ? 'udp' : 'tcp'
  const decodeRow = createRowDecoder(options, batch)
  let hasHeader = false
  for (const { bytes, from, to } of splitLines(chunks, options.table)) {
    if (!hasHeader) {
      checkHeader(bytes, from, to, options.table)
      hasHeader = true
      continue
    }
    decodeRow(bytes, from, to)
    if (batch.length === ROWS_PER_BATCH) {
      yield batch
      batch.length = 0
    }
  }
  // The kernel writes the header even where there is no socket.
  if (!hasHeader) throw new DecodeError(`${cannotDecode(options.table)}: it is empty`, 0)
  if (batch.length > 0) yield batch
}

function checkHeader(bytes: Uint8Array, from: number, to: number, table: ProcNetTable): void {
  const text = Buffer.from(bytes.subarray(from, to)).toString('latin1')
  if (/^\s*sl\s+local_address\s/.test(text)) return
  throw new DecodeError(
    `${cannotDecode(table)}: expected the header line, got ${quoteBytes(bytes, from, to)}`,
    0,
  )
}
