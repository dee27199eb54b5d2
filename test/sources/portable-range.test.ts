import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DecodeError } from '../../src/observation.ts'
import { parseMacosPortRange, parseNetshDynamicPort } from '../../src/sources/portable-range.ts'

// Read as the source reads: byte by byte, because netsh writes in the code page of the system.
function fixture(path: string): string {
  return readFileSync(new URL(`../fixtures/${path}`, import.meta.url), 'latin1')
}

function namesIn(path: string): string[] {
  return readdirSync(new URL(`../fixtures/${path}`, import.meta.url)).sort()
}

describe('parseNetshDynamicPort()', () => {
  test.each([
    ['english.txt', { first: 49152, last: 65535 }],
    ['german-codepage-850.txt', { first: 49152, last: 65535 }],
    ['french-codepage-850.txt', { first: 10000, last: 59999 }],
    ['line-feeds-only.txt', { first: 1025, last: 1279 }],
    ['up-to-the-last-port.txt', { first: 1025, last: 65535 }],
  ])('reads %s', (name, range) => {
    expect(parseNetshDynamicPort(fixture(`netsh/${name}`))).toEqual(range)
  })

  test.each([
    ['empty.txt', 'expected a first port and a number of ports'],
    ['needs-elevation.txt', '"The requested operation requires elevation'],
    ['no-ports.txt', 'expected a range of ports within 1 to 65535'],
    ['one-number.txt', 'expected a first port and a number of ports'],
    ['past-the-last-port.txt', 'expected a range of ports within 1 to 65535'],
    ['three-numbers.txt', 'expected a first port and a number of ports'],
  ])('refuses malformed/%s', (name, message) => {
    expect(() => parseNetshDynamicPort(fixture(`netsh/malformed/${name}`))).toThrow(DecodeError)
    expect(() => parseNetshDynamicPort(fixture(`netsh/malformed/${name}`))).toThrow(message)
  })

  test('is asked about every malformed fixture', () => {
    expect(namesIn('netsh/malformed')).toHaveLength(6)
  })
})

describe('parseMacosPortRange()', () => {
  test.each([
    ['values-only.txt', { first: 49152, last: 65535 }],
    ['with-names.txt', { first: 16384, last: 65535 }],
    ['counting-down.txt', { first: 49152, last: 65535 }],
  ])('reads %s', (name, range) => {
    expect(parseMacosPortRange(fixture(`sysctl-macos/${name}`))).toEqual(range)
  })

  test.each([
    ['empty.txt', 'expected two lines that end in a port'],
    ['negative.txt', 'expected two lines that end in a port'],
    ['one-value.txt', 'expected two lines that end in a port'],
    ['past-the-last-port.txt', 'expected a range of ports within 1 to 65535'],
    ['unknown-oid.txt', 'expected two lines that end in a port'],
  ])('refuses malformed/%s', (name, message) => {
    expect(() => parseMacosPortRange(fixture(`sysctl-macos/malformed/${name}`))).toThrow(
      DecodeError,
    )
    expect(() => parseMacosPortRange(fixture(`sysctl-macos/malformed/${name}`))).toThrow(message)
  })

  test('is asked about every malformed fixture', () => {
    expect(namesIn('sysctl-macos/malformed')).toHaveLength(5)
  })
})

test.each([parseNetshDynamicPort, parseMacosPortRange])(
  '%o gives a range or a DecodeError for any text',
  (parse) => {
    const piece = fc.oneof(
      fc.string({ maxLength: 12 }),
      fc.constantFrom('\r\n', '\n', ' : ', '-', '49152', '16384'),
      fc.nat().map(String),
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        try {
          const { first, last } = parse(pieces.join(''))
          expect(first).toBeGreaterThanOrEqual(1)
          expect(last).toBeGreaterThanOrEqual(first)
          expect(last).toBeLessThanOrEqual(65535)
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError)
        }
      }),
    )
  },
)
