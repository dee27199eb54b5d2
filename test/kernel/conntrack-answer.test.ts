import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ENTRY_LEAST_BYTES } from '../../src/kernel/conntrack-answer.ts'
import { createConntrackDumpBatch, dumpConntrack } from '../../src/kernel/conntrack-channel.ts'
import type { ConntrackFilter } from '../../src/kernel/conntrack-request.ts'
import { DATAGRAM_BYTES } from '../../src/kernel/netlink-channel.ts'
import { type ConntrackTuples, DecodeError, SourceError } from '../../src/observation.ts'
import {
  buildEntry,
  plainEntry,
  STATUS,
  type WireEntry,
  type WireTuple,
} from '../support/kernel/conntrack-builder.ts'
import { createFakeChannel } from '../support/kernel/fake-channel.ts'
import {
  buildDatagrams,
  buildDone,
  buildError,
  buildMessage,
} from '../support/kernel/netlink-builder.ts'

const SEQUENCE = 77

const address = fc.tuple(
  fc.constant(10),
  fc.constantFrom(0, 77, 255),
  fc.nat({ max: 255 }),
  fc.nat({ max: 255 }),
)
const tuple: fc.Arbitrary<WireTuple> = fc.record({
  source: address,
  destination: address,
  sourcePort: fc.nat({ max: 65535 }),
  destinationPort: fc.nat({ max: 65535 }),
  zone: fc.option(fc.integer({ min: 1, max: 65535 }), { nil: undefined }),
})
const entry: fc.Arbitrary<WireEntry> = fc.record({
  protocol: fc.constantFrom(6, 17),
  original: tuple,
  reply: tuple,
  status: fc.integer({ min: 0, max: 0xffff }),
  tcpState: fc.option(fc.integer({ min: 0, max: 14 }), { nil: undefined }),
  zone: fc.option(fc.integer({ min: 1, max: 65535 }), { nil: undefined }),
})

function expectTuple({ source, destination, sourcePort, destinationPort, zone }: WireTuple) {
  const word = (bytes: readonly number[]) => bytes.reduce((sum, byte) => sum * 256 + byte, 0)
  return { source: word(source), destination: word(destination), sourcePort, destinationPort, zone }
}

/** The row as the wire had it. A zone of both directions comes behind those of one. */
function expectRow(wire: WireEntry) {
  const { protocol, status, tcpState = 0, zone } = wire
  const translated = (status & STATUS.sourceNat) !== 0
  const kept = (status & (512 | 1024 | 16384 | 32768)) !== 0
  const side = (tuple: WireTuple) => ({
    ...expectTuple(tuple),
    zone: zone ?? tuple.zone ?? 0,
  })
  return {
    protocol,
    sourceNat: Number(translated),
    evictable: Number(translated && protocol === 6 && tcpState >= 7 && !kept),
    original: side(wire.original),
    reply: side(wire.reply),
  }
}

function readRows(datagrams: readonly Uint8Array[], filter: ConntrackFilter = {}) {
  const channel = createFakeChannel(() => datagrams)
  const rows: ReturnType<typeof expectRow>[] = []
  const side = (tuples: ConntrackTuples, row: number) => ({
    source: tuples.source[row] ?? -1,
    destination: tuples.destination[row] ?? -1,
    sourcePort: tuples.sourcePort[row] ?? -1,
    destinationPort: tuples.destinationPort[row] ?? -1,
    zone: tuples.zone[row] ?? -1,
  })
  for (const batch of dumpConntrack(channel, filter, SEQUENCE, createConntrackDumpBatch())) {
    for (let row = 0; row < batch.length; row++) {
      rows.push({
        protocol: batch.protocol[row] ?? -1,
        sourceNat: batch.sourceNat[row] ?? -1,
        evictable: batch.evictable[row] ?? -1,
        original: side(batch.original, row),
        reply: side(batch.reply, row),
      })
    }
  }
  return rows
}

const done = buildDone(SEQUENCE)
const whole = (...messages: readonly number[][]) => [Uint8Array.from([...messages.flat(), ...done])]

describe('dumpConntrack()', () => {
  test('gives every column of an entry', () => {
    expect(readRows(whole(buildEntry(plainEntry, SEQUENCE)))).toEqual([expectRow(plainEntry)])
  })

  test('gives back what an independent encoder wrote, however it is cut into datagrams', () => {
    fc.assert(
      fc.property(
        fc.array(entry, { maxLength: 40 }),
        fc.integer({ min: 1, max: 12 }),
        (entries, perDatagram) => {
          const messages = [...entries.map((one) => buildEntry(one, SEQUENCE)), done]
          expect(readRows(buildDatagrams(messages, perDatagram))).toEqual(entries.map(expectRow))
        },
      ),
    )
  })

  test('takes a zone from the datagram, not from the row that stood there before', () => {
    const zoned = { ...plainEntry, zone: 9 }
    expect(
      readRows([
        Uint8Array.from(buildEntry(zoned, SEQUENCE)),
        ...whole(buildEntry(plainEntry, SEQUENCE)),
      ]).map(({ reply }) => reply.zone),
    ).toEqual([9, 0])
  })

  test('leaves out entries without ports, of other families, and messages of others', () => {
    const v6 = new Array<number>(16).fill(1)
    const six = {
      ...plainEntry,
      original: { ...plainEntry.original, source: v6, destination: v6 },
      reply: { ...plainEntry.reply, source: v6, destination: v6 },
    }
    const rows = readRows(
      whole(
        buildEntry({ ...plainEntry, protocol: 1 }, SEQUENCE),
        buildEntry({ ...plainEntry, protocol: 132 }, SEQUENCE),
        buildEntry(six, SEQUENCE),
        buildEntry(plainEntry, SEQUENCE + 1),
        buildMessage(0x999, SEQUENCE, [1, 2, 3]),
        buildEntry(plainEntry, SEQUENCE),
      ),
    )
    expect(rows).toEqual([expectRow(plainEntry)])
  })

  /** Where attributes of an entry with a zone begin, behind the netlink header. */
  const at = {
    addresses: [8, 60],
    address: [12, 20, 64, 72],
    protocols: [28, 80],
    port: [40, 48, 92, 100],
    zone: 108,
    status: 116,
    tcpState: 140,
  } as const
  const evictable: WireEntry = { ...plainEntry, tcpState: 7, zone: 3 }
  function readChanged(offset: number, byte: number) {
    const payload = buildEntry(evictable, SEQUENCE).slice(16)
    payload[offset] = byte
    return readRows(whole(buildMessage(0x100, SEQUENCE, payload)))
  }

  test('knows attributes by their type, though others of their length stand in their place', () => {
    expect(readChanged(0, 2)).toEqual([expectRow(evictable)])
    for (const offset of [...at.addresses, ...at.address, ...at.protocols, ...at.port]) {
      expect(readChanged(offset + 2, 9), `type at ${offset}`).toEqual([])
    }
    expect(readChanged(at.tcpState + 2, 9)).toEqual([{ ...expectRow(evictable), evictable: 0 }])
  })

  test('reads the attributes of a tuple in any order', () => {
    const payload = buildEntry(evictable, SEQUENCE).slice(16)
    for (const [first, second] of [
      [12, 20],
      [92, 100],
    ] as const) {
      const swapped = [
        ...payload.slice(0, first),
        ...payload.slice(second, second + 8),
        ...payload.slice(first, second),
        ...payload.slice(second + 8),
      ]
      const message = buildMessage(0x100, SEQUENCE, swapped)
      expect(readRows(whole(message))).toEqual([expectRow(evictable)])
    }
  })

  test('takes nothing from an attribute that is shorter than its value', () => {
    for (const offset of [...at.address, ...at.port]) {
      expect(readChanged(offset, 5), `length at ${offset}`).toEqual([])
    }
    const row = expectRow(evictable)
    expect(readChanged(at.status, 5)).toEqual([{ ...row, sourceNat: 0, evictable: 0 }])
    const { original, reply } = row
    const unzoned = { ...row, original: { ...original, zone: 0 }, reply: { ...reply, zone: 0 } }
    expect(readChanged(at.zone, 5)).toEqual([unzoned])
  })

  test('survives any prefix of a dump with entries, a decode error or a time-out', () => {
    const bytes = Uint8Array.from([...buildEntry({ ...plainEntry, zone: 3 }, SEQUENCE), ...done])
    for (let length = 0; length < bytes.length; length++) {
      expectOnlyOurErrors(() => readRows([bytes.subarray(0, length)]))
    }
  })

  test('survives an entry that is cut at every byte, and never makes a row of half of it', () => {
    const payload = buildEntry({ ...plainEntry, zone: 3 }, SEQUENCE).slice(16)
    for (let length = 0; length < payload.length; length++) {
      const message = buildMessage(0x100, SEQUENCE, payload.slice(0, length))
      let rows: ReturnType<typeof readRows> = []
      expectOnlyOurErrors(() => {
        rows = readRows(whole(message))
      })
      for (const row of rows) {
        expect(row.original).toMatchObject({
          ...expectRow(plainEntry).original,
          zone: row.original.zone,
        })
        expect(row.reply).toMatchObject({ ...expectRow(plainEntry).reply, zone: row.reply.zone })
      }
    }
  })

  test('survives any corruption of a dump', () => {
    fc.assert(
      fc.property(
        fc.array(entry, { minLength: 1, maxLength: 5 }),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 8 }),
        (entries, damage) => {
          const bytes = Uint8Array.from([
            ...entries.flatMap((one) => buildEntry(one, SEQUENCE)),
            ...done,
          ])
          for (const [at, value] of damage) bytes[at % bytes.length] = value
          expectOnlyOurErrors(() => readRows([bytes]))
        },
      ),
      { numRuns: 500 },
    )
  })

  test.each([
    ['an attribute of length zero', [0, 0, 1, 0x80]],
    ['an attribute below its header', [3, 0, 1, 0x80]],
    ['an attribute beyond the message', [44, 0, 1, 0x80]],
    ['a nest that its first attribute overruns', [12, 0, 1, 0x80, 44, 0, 1, 0x80, 0, 0, 0, 0]],
    ['a protocol info that its attribute overruns', [12, 0, 4, 0x80, 99, 0, 1, 0x80, 0, 0, 0, 0]],
    ['a header that is cut', undefined],
  ])('refuses %s', (_quirk, attribute) => {
    const payload = attribute === undefined ? [2, 0] : [2, 0, 0, 0, ...attribute]
    expect(() => readRows(whole(buildMessage(0x100, SEQUENCE, payload)))).toThrow(DecodeError)
  })

  test('keeps all rows of a datagram that is full of the smallest entries', () => {
    const small = buildEntry({ ...plainEntry, tcpState: undefined }, SEQUENCE)
    // A message with the two tuples of 48 bytes, each in its own attribute.
    const both = buildMessage(0x100, SEQUENCE, small.slice(16, 16 + 4 + 2 * 52))
    const most = Math.floor(DATAGRAM_BYTES / both.length)
    const datagram = Array.from({ length: most }, () => both).flat()
    expect(readRows([Uint8Array.from(datagram), Uint8Array.from(done)])).toHaveLength(most)
    expect(ENTRY_LEAST_BYTES).toBeLessThanOrEqual(both.length)
  })

  test('names the reason when the kernel refuses, fails half-way or was interrupted', () => {
    const refused = (bytes: readonly number[]) => () => readRows([Uint8Array.from(bytes)])
    const reason = (name: string) => expect.objectContaining({ reason: name })
    expect(refused(buildError(SEQUENCE, 1))).toThrow(reason('permission'))
    expect(refused(buildError(SEQUENCE, 1))).toThrow(
      'Cannot read conntrack entries from netlink: dump of conntrack entries: EPERM',
    )
    expect(refused(buildError(SEQUENCE, 22))).toThrow(reason('unsupported'))
    expect(refused([...buildEntry(plainEntry, SEQUENCE), ...buildDone(SEQUENCE, 105)])).toThrow(
      reason('exhausted'),
    )
    const interrupted = [...done]
    interrupted[6] = 2 | 0x10
    expect(refused([...buildEntry(plainEntry, SEQUENCE), ...interrupted])).toThrow(
      reason('timeout'),
    )
    expect(refused(buildEntry(plainEntry, SEQUENCE))).toThrow(reason('timeout'))
  })
})

function expectOnlyOurErrors(read: () => unknown): void {
  try {
    read()
  } catch (error) {
    if (!(error instanceof DecodeError || error instanceof SourceError)) throw error
  }
}
