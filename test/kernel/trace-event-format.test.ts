import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseEventFormat, parsePageFormat } from '../../src/kernel/trace-event-format.ts'
import { DecodeError } from '../../src/observation.ts'
import { currentFormat, earlierFormat, readFixture } from '../failures/formats.ts'

describe('parseEventFormat()', () => {
  test('finds the fields of Linux 6.18', () => {
    expect(currentFormat.event).toEqual({
      id: 2287,
      typeAt: 0,
      pidAt: 4,
      remotePortAt: 26,
      localAddressAt: 40,
      remoteAddressAt: 56,
      bytes: 72,
    })
  })

  test('finds them at odd offsets, where the protocol took one byte', () => {
    const { localAddressAt, remoteAddressAt, bytes } = earlierFormat.event
    expect({ localAddressAt, remoteAddressAt, bytes }).toEqual({
      localAddressAt: 39,
      remoteAddressAt: 55,
      bytes: 71,
    })
  })

  test.each([
    ['empty', 'it has no ID'],
    ['no-id', 'it has no ID'],
    ['no-pid', 'no field "common_pid"'],
    ['no-ipv6-address', 'no field "daddr_v6"'],
    ['address-of-four-bytes', 'the field "saddr_v6" is 4 bytes long, expected 16'],
    ['offset-is-no-number', 'no field "dport"'],
    ['cut-in-a-field', 'no field "daddr_v6"'],
  ])('refuses the format %s', (name, problem) => {
    const text = readFixture(`malformed/${name}.format`)
    expect(() => parseEventFormat(text)).toThrow(DecodeError)
    expect(() => parseEventFormat(text)).toThrow(
      `Cannot parse the format of inet_sock_set_state: ${problem}`,
    )
  })

  test('every malformed format is in the table above', () => {
    const files = readdirSync(join(import.meta.dirname, '../fixtures/tracefs/malformed'))
    expect(files).toHaveLength(7)
  })

  test('any beginning of the format either has all fields or is refused', () => {
    const text = readFixture('linux-6.18/inet_sock_set_state.format')
    fc.assert(
      fc.property(fc.nat(text.length), (length) => {
        try {
          expect(parseEventFormat(text.slice(0, length))).toEqual(currentFormat.event)
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError)
        }
      }),
    )
  })
})

describe('parsePageFormat()', () => {
  test('finds length and data of a page of 4 KiB', () => {
    expect(currentFormat.layout).toEqual({ commitAt: 8, dataAt: 16, dataBytes: 4080, bytes: 4096 })
  })

  test('takes pages of 64 KiB', () => {
    const text = readFixture('linux-6.18/header_page').replace('size:4080', 'size:65520')
    expect(parsePageFormat(text).bytes).toBe(65_536)
  })

  test.each([
    ['no data', (text: string) => text.replace('char data', 'char bytes'), 'no field "data"'],
    [
      'data inside of the length',
      (text: string) => text.replace('offset:16', 'offset:12'),
      'its fields do not fit into a page',
    ],
    [
      'a page of 10 MB',
      (text: string) => text.replace('size:4080', 'size:9999999'),
      'its fields do not fit into a page',
    ],
  ])('refuses %s', (_name, change, problem) => {
    const text = change(readFixture('linux-6.18/header_page'))
    expect(() => parsePageFormat(text)).toThrow(`Cannot parse events/header_page: ${problem}`)
  })
})
