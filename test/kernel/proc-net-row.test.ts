import { describe, expect, test } from 'vitest'
import { createRowDecoder } from '../../src/kernel/proc-net-row.ts'
import { createSocketBatch, DecodeError, FLAG } from '../../src/observation.ts'

const ROW = '   0: 0100007F:9E34 0200007F:01BB 01 00000000:00000000 00:00000000 00000000  1000 0'
const bytesOf = (text: string) => Buffer.from(text, 'latin1')

/** Decodes the bytes of a row that lie between others, which must not be looked at. */
function decode(row: string, before = 'x', after = '0'): void {
  const batch = createSocketBatch(1)
  const bytes = bytesOf(before + row + after)
  createRowDecoder({ table: 'tcp' }, batch)(bytes, before.length, before.length + row.length)
}

describe('createRowDecoder() says what it expected, and where', () => {
  test.each([
    ['a row number', 3, 'x'],
    ['a colon after the row number', 4, ' '],
    ['a space', 5, '0'],
    ['eight hexadecimal digits of an address', 6, 'x'],
    ['a colon before the port', 14, ' '],
    ['four hexadecimal digits of a port', 15, 'x'],
    ['a space', 19, '0'],
    ['eight hexadecimal digits of an address', 20, 'x'],
    ['a colon before the port', 28, ' '],
    ['four hexadecimal digits of a port', 29, 'x'],
    ['a space', 33, '0'],
    ['two hexadecimal digits of a state', 34, 'x'],
    ['a space', 36, '0'],
    ['the send queue', 37, 'x'],
    ['a colon between the queues', 45, ' '],
    ['the receive queue', 46, 'x'],
    ['a space', 54, '0'],
    ['the timer code', 55, 'x'],
    ['a colon after the timer code', 57, ' '],
    ['the timer', 58, 'x'],
    ['a space', 66, '0'],
    ['the retransmit counter', 67, 'x'],
    ['a user id', 77, 'x'],
    ['a space after the user id', 81, 'x'],
  ])('%s at offset %i, where there is %j', (expected, at, wrong) => {
    const row = ROW.slice(0, at) + wrong + ROW.slice(at + 1)
    const quoted = JSON.stringify(row.slice(0, 100))
    expect(() => decode(row)).toThrow(
      new DecodeError(`Cannot decode /proc/net/tcp: expected ${expected} in ${quoted}`, at),
    )
  })

  test('of a row that is cut anywhere, whatever lies behind it', () => {
    expect(() => decode(ROW)).not.toThrow()
    const last = ROW.length - 1
    for (let length = 0; length < last; length++) {
      const rest = ROW.slice(length)
      expect(() => decode(ROW.slice(0, length), 'x', rest), `${length}`).toThrow(DecodeError)
    }
  })
})

describe('createRowDecoder() marks as IPv6-only', () => {
  const WILDCARD = '0'.repeat(32)
  const MAPPED = '0000000000000000FFFF00000100007F'
  /** A listener, an idle socket or a connection at that address, as the words of a little endian host. */
  function flagsOf(address: string, state: string): number | undefined {
    const batch = createSocketBatch(1)
    const rest = '00000000:00000000 00:00000000 00000000     0 0 7'
    const row = bytesOf(`0: ${address}:9E34 ${WILDCARD}:0000 ${state} ${rest}`)
    createRowDecoder({ table: 'tcp6' }, batch)(row, 0, row.length)
    return batch.flags[0]
  }

  test.each([
    ['every word of the wildcard but the first', `01${'0'.repeat(30)}`],
    ['but the second', `0000000001${'0'.repeat(22)}`],
    ['but the third', `000000000000000001${'0'.repeat(14)}`],
    ['but the last', `${'0'.repeat(24)}01000000`],
    ['what ends like an IPv4 address', '0000000001000000FFFF00000100007F'],
    ['what ends like one, too', '0100000000000000FFFF00000100007F'],
  ])('a listener at %s', (_what, address) => {
    expect(flagsOf(address, '0A')).toBe(FLAG.ipv6Only)
  })

  test('a listener has an inode, and a connection needs none', () => {
    const decode = (state: string, inode: string) => {
      const batch = createSocketBatch(1)
      const rest = `00000000:00000000 00:00000000 00000000     0        0 ${inode}`
      const row = bytesOf(`0: ${WILDCARD}:9E34 ${WILDCARD}:0000 ${state} ${rest}`)
      createRowDecoder({ table: 'tcp6' }, batch)(row, 0, row.length)
      return batch.inode[0]
    }
    expect([decode('0A', '4242 1 0000'), decode('01', '4242 1 0000')]).toEqual([4242, 0])
    expect(() => decode('0A', '')).toThrow('an inode')
  })

  test('neither the wildcard, nor an IPv4 address, nor a connection', () => {
    expect([flagsOf(WILDCARD, '0A'), flagsOf(MAPPED, '0A')]).toEqual([0, 0])
    expect(flagsOf(`01${'0'.repeat(30)}`, '01')).toBe(0)
  })
})
