import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type DecodedPage, decodeRingPage } from '../../src/kernel/trace-ring-page.ts'
import { renderAddress } from '../../src/model/addresses.ts'
import { DecodeError } from '../../src/observation.ts'
import { currentFormat, earlierFormat, readFixture } from '../failures/formats.ts'
import { buildRingPage, type PlannedEvent, type PlannedRecord } from './trace-ring-page-builder.ts'

const word = fc.nat(0xffff_ffff)
const address = fc.tuple(word, word, word, word)
const failure = fc.record({
  kind: fc.constant('failure' as const),
  pid: fc.integer({ min: 1, max: 2 ** 22 }),
  remotePort: fc.nat(65_535),
  local: address,
  remote: address,
})
const events = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: failure },
    fc.record({ kind: fc.constant('stranger' as const), words: fc.integer({ min: 1, max: 60 }) }),
    fc.record({ kind: fc.constant('time' as const) }),
    fc.record({ kind: fc.constant('discarded' as const), words: fc.integer({ min: 0, max: 9 }) }),
  ),
  { maxLength: 14 },
)
const format = fc.constantFrom(currentFormat, earlierFormat)

const LOCALHOST = [0, 0, 0xffff, 0x7f000001] as const
const one: PlannedRecord = {
  kind: 'failure',
  pid: 7,
  remotePort: 443,
  local: LOCALHOST,
  remote: LOCALHOST,
}

function recordsOf({ records }: DecodedPage): PlannedRecord[] {
  return records.map(({ pid, remotePort, localAddress, remoteAddress }) => ({
    kind: 'failure',
    pid,
    remotePort,
    local: [...localAddress],
    remote: [...remoteAddress],
  }))
}

const isFailure = (event: PlannedEvent): event is PlannedRecord => event.kind === 'failure'

describe('decodeRingPage()', () => {
  test('reads what Linux 6.18 recorded of clients over IPv4, IPv6, v4-mapped IPv6 and MPTCP', () => {
    const hex = readFixture('linux-6.18/page.hex').replaceAll('\n', '')
    const { records, strangers } = decodeRingPage(Buffer.from(hex, 'hex'), currentFormat)
    const rows = records.map((row) =>
      [
        row.pid,
        renderAddress(row.localAddress, 0),
        renderAddress(row.remoteAddress, 0),
        row.remotePort,
      ].join(' '),
    )
    expect(rows).toEqual([
      '11666 127.0.0.1 127.0.0.1 8001',
      '11666 127.0.0.1 127.0.0.1 8001',
      '11669 ::1 ::1 8001',
      '11669 ::1 ::1 8001',
      '11673 127.0.0.1 127.0.0.1 8001',
      '11675 127.0.0.1 127.0.0.1 8001',
    ])
    // Somebody wrote into trace_marker meanwhile.
    expect(strangers).toBe(1)
  })

  test('finds what was written, whatever stands between and wherever the fields are', () => {
    fc.assert(
      fc.property(
        events,
        format,
        fc.constantFrom(0, 1 << 31, (1 << 31) | (1 << 30)),
        (planned, kernel, flags) => {
          const decoded = decodeRingPage(buildRingPage(planned, kernel, flags), kernel)
          expect(recordsOf(decoded)).toEqual(planned.filter(isFailure))
          expect(decoded.strangers).toBe(planned.filter(({ kind }) => kind === 'stranger').length)
        },
      ),
    )
  })

  test('ends at a padding without length, which fills a page', () => {
    const page = Buffer.from(buildRingPage([one, one, one], currentFormat))
    const second = currentFormat.layout.dataAt + 76
    page.writeUInt32LE(29, second)
    expect(recordsOf(decodeRingPage(page, currentFormat))).toEqual([one])
  })

  test('of any bytes makes records or a DecodeError', () => {
    const { commitAt, dataAt } = currentFormat.layout
    let pages = 0
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), format, (data, kernel) => {
        const page = Buffer.concat([Buffer.alloc(dataAt), data])
        page.writeUInt32LE(data.length, commitAt)
        try {
          decodeRingPage(page, kernel)
          pages++
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError)
        }
      }),
      { numRuns: 2000 },
    )
    // Bytes like these can mean something: strangers, timestamps, paddings.
    expect(pages).toBeGreaterThan(0)
  })

  test('of a page with one byte changed makes records or a DecodeError', () => {
    const page = buildRingPage([one, { kind: 'time' }, one], currentFormat)
    const spot = fc.record({ at: fc.nat(16 + 160), value: fc.nat(255) })
    fc.assert(
      fc.property(spot, ({ at, value }) => {
        const changed = page.with(at, value)
        try {
          decodeRingPage(changed, currentFormat)
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError)
        }
      }),
      { numRuns: 2000 },
    )
  })

  const damaged = (change: (page: Buffer) => unknown) => {
    const page = Buffer.from(buildRingPage([one, one], currentFormat))
    change(page)
    return page
  }
  test.each<[string, Uint8Array, string]>([
    ['no page at all', new Uint8Array(3), 'a ring page of 3 bytes'],
    [
      'more data than the page has',
      damaged((page) => page.writeUInt32LE(4096, 8)),
      'claims 4096 bytes of data',
    ],
    [
      'a record across the end of the data',
      damaged((page) => page.writeUInt32LE(100, 8)),
      'a record is cut short (at offset 92)',
    ],
    [
      'three bytes where a record should begin',
      damaged((page) => page.writeUInt32LE(79, 8)),
      'a record is cut short (at offset 92)',
    ],
    [
      'a record of ours that is too short',
      damaged((page) => page.writeUInt32LE(17, 16)),
      'a record is cut short (at offset 16)',
    ],
    [
      'a length of 0, which would never end',
      damaged((page) => page.fill(0, 16, 24)),
      'a record is cut short (at offset 16)',
    ],
  ])('refuses %s', (_name, page, problem) => {
    expect(() => decodeRingPage(page, currentFormat)).toThrow(DecodeError)
    expect(() => decodeRingPage(page, currentFormat)).toThrow(problem)
  })

  describe('at the end of the bytes that were read', () => {
    /** A page of one record with its length in a word, and of no byte more. */
    const pageOf = (record: Uint8Array, kernel = currentFormat) => {
      const { dataAt, commitAt } = kernel.layout
      const page = Buffer.alloc(dataAt + 8 + record.length)
      page.writeUInt32LE(8 + record.length, commitAt)
      page.writeUInt32LE(4 + record.length, dataAt + 4)
      page.set(record, dataAt + 8)
      return page
    }
    const recordOf = (kernel: typeof currentFormat) =>
      buildRingPage([one], kernel).subarray(kernel.layout.dataAt + 4)

    test.each([0, 1])('takes a record of %i bytes for another one’s: it has no type', (bytes) => {
      const page = pageOf(new Uint8Array(bytes))
      expect(decodeRingPage(page, currentFormat)).toEqual({ records: [], strangers: 1 })
    })

    test.each([currentFormat, earlierFormat])('needs all bytes of a record of ours', (kernel) => {
      const record = recordOf(kernel)
      const { bytes } = kernel.event
      const whole = pageOf(record.subarray(0, bytes), kernel)
      expect(recordsOf(decodeRingPage(whole, kernel))).toEqual([one])
      for (const left of [2, 3, bytes - 3, bytes - 2, bytes - 1]) {
        const page = pageOf(record.subarray(0, left), kernel)
        expect(() => decodeRingPage(page, kernel)).toThrow(DecodeError)
      }
    })

    test.each([1, 2, 3, 4, 5, 6, 7])('refuses %i bytes in place of a length', (bytes) => {
      const page = pageOf(new Uint8Array(0)).subarray(0, currentFormat.layout.dataAt + bytes)
      page.writeUInt32LE(bytes, currentFormat.layout.commitAt)
      expect(() => decodeRingPage(page, currentFormat)).toThrow(DecodeError)
    })
  })
})
