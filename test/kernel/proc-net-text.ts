// Writes /proc/net/{tcp,tcp6,udp,udp6} as the kernel does, independently of the decoder, and says what is to be read.

import fc from 'fast-check'
import type { ProcNetTable } from '../../src/kernel/proc-net-row.ts'

export interface TableRow {
  readonly local: Uint8Array
  readonly localPort: number
  readonly remote: Uint8Array
  readonly remotePort: number
  readonly state: number
  readonly timer: number
  readonly ticks: number
  readonly uid: number
  /** What describeRows() must say of it. */
  readonly expected: string
}

const HEADER =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n'

/** Rows may end after the state or the user id; the rest is filled in. */
export function procNetText(rows: readonly string[]): string {
  return [HEADER, ...rows.map(completeRow)].join('')
}

function completeRow(row: string): string {
  const fields = row.trim().split(/\s+/).length
  const rest = ' 00000000:00000000 00:00000000 00000000     0'
  return `${fields === 4 ? row + rest : row}        0 192109 1 000000000d2f120e 100 0 0 10 0\n`
}

/** printf formats of net/ipv4/tcp_ipv4.c:get_tcp4_sock() and its like, up to the user id. */
export function procNetRow(index: number, row: TableRow): string {
  const end = (address: Uint8Array, port: number) => `${words(address)}:${hex(port, 4)}`
  return (
    `${String(index).padStart(4)}: ${end(row.local, row.localPort)} ${end(row.remote, row.remotePort)} ` +
    `${hex(row.state, 2)} 00000000:00000000 ${hex(row.timer, 2)}:${hex(row.ticks, 8)} 00000000 ` +
    String(row.uid).padStart(5)
  )
}

/** The words of the address as a little endian host sees them. */
function words(address: Uint8Array): string {
  const bytes = Buffer.from(address)
  return Array.from({ length: bytes.length / 4 }, (_, word) =>
    hex(bytes.readUInt32LE(word * 4), 8),
  ).join('')
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0')
}

/** Kernel state -> name, per protocol (include/net/tcp_states.h). */
const STATE_NAMES = {
  tcp: [
    'unknown',
    'established',
    'syn_sent',
    'syn_recv',
    'fin_wait1',
    'fin_wait2',
    'time_wait',
    'close',
    'close_wait',
    'last_ack',
    'listen',
    'closing',
    'syn_recv',
    'unknown',
  ],
  udp: { 1: 'established', 7: 'bound' } as Record<number, string>,
}

export function tableRow(table: ProcNetTable): fc.Arbitrary<TableRow> {
  const protocol = table.startsWith('tcp') ? 'tcp' : 'udp'
  const length = table.endsWith('6') ? 16 : 4
  const mapped = Buffer.from('00000000000000000000ffff', 'hex')
  const anyBytes = fc.uint8Array({ minLength: length, maxLength: length })
  const anyV4 = fc.uint8Array({ minLength: 4, maxLength: 4 })
  const address =
    length === 4
      ? anyBytes
      : fc.oneof(
          anyBytes,
          anyV4.map((v4) => new Uint8Array(Buffer.concat([mapped, v4]))),
          fc.constant(new Uint8Array(16)),
        )
  const port = fc.integer({ min: 0, max: 65535 })
  return fc
    .record({
      local: address,
      localPort: port,
      remote: address,
      remotePort: port,
      state: protocol === 'tcp' ? fc.integer({ min: 0, max: 13 }) : fc.constantFrom(1, 7),
      timer: protocol === 'tcp' ? fc.integer({ min: 0, max: 4 }) : fc.constant(0),
      ticks: fc.integer({ min: 0, max: 100_000 }),
      uid: fc.integer({ min: 0, max: 0xffff_ffff }),
    })
    .map((row) => ({ ...row, expected: describe(protocol, row) }))
}

function describe(protocol: 'tcp' | 'udp', row: Omit<TableRow, 'expected'>): string {
  const state = STATE_NAMES[protocol][row.state] ?? 'unknown'
  const isMinisock = row.timer === 3
  const hex = Buffer.from(row.local).toString('hex')
  const isV6Only =
    (state === 'listen' || state === 'bound') &&
    row.local.length === 16 &&
    !/^0{32}$|^0{20}ffff/.test(hex)
  return [
    `${protocol} ${state} ${text(row.local)}:${row.localPort} > ${text(row.remote)}:${row.remotePort}`,
    isMinisock ? 'minisock' : '',
    isV6Only ? 'v6only' : '',
    isMinisock && row.ticks > 0 ? `${row.ticks * 10}ms` : '',
    row.uid === 0 ? '' : `uid ${row.uid}`,
  ]
    .filter((part) => part !== '')
    .join(' ')
}

function text(address: Uint8Array): string {
  const bytes = Buffer.from(address)
  if (bytes.length === 4) return bytes.join('.')
  if (bytes.toString('hex').startsWith('00000000000000000000ffff'))
    return bytes.subarray(12).join('.')
  const groups = bytes.toString('hex').match(/..../g) ?? []
  return new URL(`http://[${groups.join(':')}]`).hostname
}
