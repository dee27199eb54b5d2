import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeProcNet } from '../../src/kernel/proc-net.ts'
import type { ProcNetTable } from '../../src/kernel/proc-net-row.ts'
import { DecodeError } from '../../src/observation.ts'
import { procNetRow, procNetText, type TableRow, tableRow } from './proc-net-text.ts'
import { describeRows } from './rows.ts'

const fixtures = new URL('../fixtures/proc/', import.meta.url)

function decode(table: ProcNetTable, ...chunks: Uint8Array[]): string[] {
  return describeRows(decodeProcNet(chunks, { table }))
}

function decodeFixture(name: string): string[] {
  return decode(tableOf(name), readFileSync(new URL(name, fixtures)))
}

function encode(rows: readonly TableRow[]): Buffer {
  return Buffer.from(procNetText(rows.map((row, index) => procNetRow(index, row))))
}

/** Fixtures are called after their table and their quirk: `tcp6-quirk`. */
function tableOf(name: string): ProcNetTable {
  const table = /(?:^|\/)((?:tcp|udp)6?)(?:-[^/]*)?$/.exec(name)?.[1]
  if (table === undefined) throw new Error(`Cannot tell the table of ${name}`)
  return table as ProcNetTable
}

describe('decodeProcNet()', () => {
  test('reads tcp with a listener, SYN_SENT, TIME_WAIT and an orphan FIN_WAIT2', () => {
    expect(decodeFixture('dual-stack/net/tcp')).toEqual([
      'tcp listen 127.0.0.1:40500 > 0.0.0.0:0',
      'tcp syn_sent 10.9.0.1:40554 > 10.9.0.2:443 uid 1000',
      'tcp established 127.0.0.1:40796 > 127.0.0.1:8080 uid 1000',
      'tcp time_wait 127.0.0.1:40808 > 127.0.0.1:8080 minisock 59790ms',
      'tcp fin_wait2 127.0.0.1:40822 > 127.0.0.1:8080 minisock 59800ms',
      'tcp established 127.0.0.1:40824 > 127.0.0.1:8080 uid 1000',
    ])
  })

  test('folds v4-mapped sockets of tcp6 into IPv4', () => {
    expect(decodeFixture('dual-stack/net/tcp6')).toEqual([
      'tcp listen [::1]:40501 > [::]:0 v6only',
      'tcp listen [::]:8080 > [::]:0',
      'tcp established 127.0.0.1:8080 > 127.0.0.1:40798 uid 1000',
      'tcp established 127.0.0.1:8080 > 127.0.0.1:40824 uid 1000',
      'tcp established 127.0.0.1:8080 > 127.0.0.1:40796 uid 1000',
      'tcp established [2001:db8:85a3:8d3::12]:8080 > [2001:db8:85a3:8d3::12]:40150 uid 1000',
      'tcp established 127.0.0.1:40798 > 127.0.0.1:8080 uid 1000',
      'tcp established [2001:db8:85a3:8d3::12]:40150 > [2001:db8:85a3:8d3::12]:8080 uid 1000',
      'tcp close_wait 127.0.0.1:8080 > 127.0.0.1:40822 uid 1000',
    ])
  })

  test('tells connected from merely bound UDP sockets', () => {
    expect(decodeFixture('dual-stack/net/udp')).toEqual([
      'udp established 127.0.0.1:40242 > 127.0.0.1:53 uid 1000',
      'udp bound 0.0.0.0:40600 > 0.0.0.0:0',
    ])
    expect(decodeFixture('dual-stack/net/udp6')).toEqual([
      'udp established [::1]:40519 > [::1]:53 uid 1000',
      'udp bound [::]:40601 > [::]:0',
      'udp bound [::1]:40602 > [::]:0 v6only',
    ])
  })

  test.each([
    ['tcp-quiet-namespace', []],
    [
      'tcp-row-number-past-a-million',
      ['tcp established 127.0.0.1:40796 > 127.0.0.1:8080 uid 1000'],
    ],
    [
      'tcp-half-open-requests',
      [
        'tcp syn_recv 127.0.0.1:8080 > 127.0.0.1:40796',
        'tcp syn_recv 127.0.0.1:8080 > 127.0.0.1:40797',
      ],
    ],
    ['tcp-state-of-a-later-kernel', ['tcp unknown 127.0.0.1:40500 > 0.0.0.0:0']],
    ['tcp-user-id-of-32-bits', ['tcp listen 127.0.0.1:40500 > 0.0.0.0:0 uid 4294967294']],
    ['tcp-most-significant-bit-in-address', ['tcp listen 239.255.255.254:40500 > 0.0.0.0:0']],
    [
      // ss -e on such listeners says v6only:0, v6only:1 and v6only:0.
      'tcp6-wildcard-and-specific-listeners',
      [
        'tcp listen [::]:40496 > [::]:0',
        'tcp listen [::1]:40497 > [::]:0 v6only',
        'tcp listen 127.0.0.1:40498 > [::]:0',
      ],
    ],
  ])('reads tables/%s', (name, rows) => {
    expect(decodeFixture(`tables/${name}`)).toEqual(rows)
  })

  const malformed: Record<string, string> = {
    'tcp-blank-line': 'expected a row number in "" (at offset 0)',
    'tcp-cut-after-user-id': 'expected a space after the user id in',
    'tcp-cut-in-address': 'expected a colon before the port in "   0: 01000" (at offset 11)',
    'tcp-empty': 'Cannot decode /proc/net/tcp: it is empty (at offset 0)',
    'tcp-header-of-another-file': 'expected the header line, got "Inter-|   Receive',
    'tcp-header-without-end': 'the last line has no end, "  sl  local_address',
    'tcp-in-the-layout-of-tcp6': 'expected a colon before the port',
    'tcp-kernel-message': 'expected a row number in "cat: read error',
    'tcp-last-line-without-end': 'the last line has no end, "   0: 0100007F:9E34',
    'tcp-letter-in-port': 'expected four hexadecimal digits of a port in "   0: 0100007F:9G34',
    'tcp-line-of-a-kilobyte': 'expected a line of at most 512 bytes (at offset 512)',
    'tcp-no-row-number': 'expected a row number in "    : 0100007F',
    'tcp-user-id-of-40-bits': 'expected a user id',
    'tcp-without-header': 'expected the header line, got "   0: 0100007F',
    'tcp6-in-the-layout-of-tcp': 'Cannot decode /proc/net/tcp6: expected a colon before the port',
  }

  test('has an expected message for every malformed fixture', () => {
    expect(readdirSync(new URL('malformed/', fixtures)).sort()).toEqual(
      Object.keys(malformed).sort(),
    )
  })

  test.each(Object.entries(malformed))('refuses malformed/%s', (name, message) => {
    expect(() => decodeFixture(`malformed/${name}`)).toThrow(DecodeError)
    expect(() => decodeFixture(`malformed/${name}`)).toThrow(message)
  })

  test('leaves out what lies outside the range', () => {
    const text = readFileSync(new URL('dual-stack/net/tcp', fixtures))
    const range = { first: 40554, last: 40808 }
    expect(describeRows(decodeProcNet([text], { table: 'tcp', range }))).toEqual([
      'tcp syn_sent 10.9.0.1:40554 > 10.9.0.2:443 uid 1000',
      'tcp established 127.0.0.1:40796 > 127.0.0.1:8080 uid 1000',
      'tcp time_wait 127.0.0.1:40808 > 127.0.0.1:8080 minisock 59790ms',
    ])
  })

  test('reads addresses as they stand when the host is big endian', () => {
    const text = procNetText(['   0: 7F000001:9E34 0A090002:01BB 01'])
    expect(
      describeRows(decodeProcNet([Buffer.from(text)], { table: 'tcp', bigEndian: true })),
    ).toEqual(['tcp established 127.0.0.1:40500 > 10.9.0.2:443'])
  })

  test('clears what the row before left in the columns', () => {
    const rows = Array.from({ length: 1030 }, (_, row) =>
      row < 1024
        ? `${row}: 0100007F:9E34 0100007F:01BB 06 00000000:00000000 03:0000175B 00000000  1000`
        : `${row}: 0100007F:9E34 0100007F:01BB 01`,
    )
    const decoded = decode('tcp', Buffer.from(procNetText(rows)))
    expect(decoded).toHaveLength(1030)
    expect(new Set(decoded.slice(0, 1024))).toEqual(
      new Set(['tcp time_wait 127.0.0.1:40500 > 127.0.0.1:443 minisock 59790ms uid 1000']),
    )
    expect(new Set(decoded.slice(1024))).toEqual(
      new Set(['tcp established 127.0.0.1:40500 > 127.0.0.1:443']),
    )
  })

  test('stops reading when its consumer does', () => {
    let open = true
    function* chunks() {
      try {
        for (;;)
          yield Buffer.from(procNetText(Array(2000).fill('0: 0100007F:9E34 0100007F:01BB 01')))
      } finally {
        open = false
      }
    }
    for (const batch of decodeProcNet(chunks(), { table: 'tcp' })) {
      expect(batch.length).toBe(1024)
      break
    }
    expect(open).toBe(false)
  })
})

describe('decodeProcNet() for any table', () => {
  const anyTable = fc.constantFrom<ProcNetTable>('tcp', 'tcp6', 'udp', 'udp6')
  const anyText = anyTable.chain((table) =>
    fc.record({ table: fc.constant(table), rows: fc.array(tableRow(table), { maxLength: 40 }) }),
  )

  test('gives back the rows that an independent encoder wrote', () => {
    fc.assert(
      fc.property(anyText, ({ table, rows }) => {
        expect(decode(table, encode(rows))).toEqual(rows.map((row) => row.expected))
      }),
    )
  })

  test('gives the same rows wherever the chunks end', () => {
    const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 })
    fc.assert(
      fc.property(anyText, cuts, ({ table, rows }, fractions) => {
        const text = encode(rows)
        const ends = fractions.map((at) => Math.trunc(at * text.length)).sort((a, b) => a - b)
        const chunks = [...ends, text.length].map((end, i) => text.subarray(ends[i - 1] ?? 0, end))
        expect(decode(table, ...chunks)).toEqual(decode(table, text))
      }),
    )
  })

  test('lets chunks be overwritten once the next is asked for', () => {
    fc.assert(
      fc.property(anyText, fc.integer({ min: 1, max: 300 }), ({ table, rows }, size) => {
        const text = encode(rows)
        const buffer = Buffer.alloc(size)
        function* chunks() {
          for (let at = 0; at < text.length; at += size) {
            const length = text.copy(buffer, 0, at, at + size)
            yield buffer.subarray(0, length)
            buffer.fill('#')
          }
        }
        expect(describeRows(decodeProcNet(chunks(), { table }))).toEqual(decode(table, text))
      }),
    )
  })

  test('gives rows or a DecodeError for any corruption', () => {
    const corruption = fc.record({
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      remove: fc.integer({ min: 0, max: 200 }),
      insert: fc.uint8Array({ maxLength: 8 }),
    })
    let refused = 0
    fc.assert(
      fc.property(anyText, fc.array(corruption, { minLength: 1, maxLength: 4 }), (text, harm) => {
        let bytes: Buffer = encode(text.rows)
        for (const { at, remove, insert } of harm) {
          const from = Math.trunc(at * bytes.length)
          bytes = Buffer.concat([bytes.subarray(0, from), insert, bytes.subarray(from + remove)])
        }
        try {
          decode(text.table, bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError)
          refused++
        }
      }),
      { numRuns: 300 },
    )
    expect(refused).toBeGreaterThan(100)
  })

  test('gives a DecodeError for every cut that is not between two lines', () => {
    const text = readFileSync(new URL('dual-stack/net/tcp6', fixtures))
    for (let length = 0; length < text.length; length++) {
      const prefix = text.subarray(0, length)
      if (prefix.at(-1) === 10) expect(decode('tcp6', prefix).length).toBeGreaterThanOrEqual(0)
      else expect(() => decode('tcp6', prefix)).toThrow(DecodeError)
    }
  })
})
