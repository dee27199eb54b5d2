// Rows of batches as text, to compare: `tcp time_wait 127.0.0.1:40808 > 127.0.0.1:8080 minisock 59790ms uid 0`.

import { FLAG, type SocketBatch, socketStates } from '../../src/observation.ts'

export function describeRows(batches: Iterable<SocketBatch>): string[] {
  const rows: string[] = []
  for (const batch of batches) {
    for (let row = 0; row < batch.length; row++) rows.push(describeRow(batch, row))
  }
  return rows
}

function describeRow(batch: SocketBatch, row: number): string {
  const flags = batch.flags[row] ?? 0
  const local = `${addressText(batch.localAddress, row)}:${batch.localPort[row]}`
  const remote = `${addressText(batch.remoteAddress, row)}:${batch.remotePort[row]}`
  return [
    batch.protocol,
    socketStates[batch.state[row] ?? 0],
    local,
    '>',
    remote,
    (flags & FLAG.minisock) !== 0 ? 'minisock' : '',
    (flags & FLAG.ipv6Only) !== 0 ? 'v6only' : '',
    batch.expiresMs[row] === 0 ? '' : `${batch.expiresMs[row]}ms`,
    batch.uid[row] === 0 ? '' : `uid ${batch.uid[row]}`,
    batch.device[row] === 0 ? '' : `device ${batch.device[row]}`,
    batch.cgroupId[row] === 0 ? '' : `cgroup ${batch.cgroupId[row]}`,
  ]
    .filter((part) => part !== '')
    .join(' ')
}

function addressText(column: Uint32Array, row: number): string {
  const words = [...column.subarray(row * 4, row * 4 + 4)]
  const halves = words.flatMap((word) => [word >>> 16, word & 0xffff])
  if (halves.slice(0, 5).every((half) => half === 0) && halves[5] === 0xffff) {
    return [24, 16, 8, 0].map((shift) => ((words[3] ?? 0) >>> shift) & 0xff).join('.')
  }
  const groups = halves.map((half) => half.toString(16)).join(':')
  // The URL standard shortens IPv6 addresses and shares no code with us.
  return new URL(`http://[${groups}]`).hostname
}
