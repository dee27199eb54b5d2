import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  parseConntrackCounts,
  readConntrackCounts,
  readConntrackLimit,
} from '../../src/kernel/conntrack-stat.ts'
import { DecodeError } from '../../src/observation.ts'

const HEAD =
  'entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop icmp_error  expect_new expect_create expect_delete search_restart'
const row = (entries: string, found: string, failed: string, drop: string, clash = '00000001') =>
  `${entries}  ${clash} ${found} 00000000 00000000 00000000 00000000 00000000 00000000 ${failed} ${drop} 00000000 00000000  00000000 00000000 00000000 00000000`
const TWO = `${HEAD}\n${row('0000012c', '000000ff', '0000001e', '00000020')}\n${row('0000012c', 'ffffffff', '00000002', '00000003')}\n`

describe('parseConntrackCounts()', () => {
  test('has a number for each CPU, but for the entries, which each row repeats', () => {
    expect(parseConntrackCounts(TWO)).toEqual({
      entries: 300,
      found: [0xff, 0xffffffff],
      insertFailed: [30, 2],
      drop: [32, 3],
      clashResolve: [1, 1],
    })
  })

  test('knows no resolved clashes where the kernel counts none', () => {
    const counts = parseConntrackCounts(TWO.replace('clashres', 'searched'))
    expect(counts.clashResolve).toBeUndefined()
    expect(counts.entries).toBe(300)
  })

  test.each([
    ['nothing', '', 'expected rows of 1 numbers, got ""'],
    ['names alone', `${HEAD}\n`, 'expected rows of '],
    ['a row that is cut', `${HEAD}\n0000012c  00000001 000000ff`, 'expected rows of '],
    ['a second row that is cut', `${TWO}0000012c  00000001\n`, 'expected rows of '],
    [
      'a number that is none',
      TWO.replace('0000001e', '0000001g'),
      'in hexadecimal, got "0000001g"',
    ],
    ['a sign', TWO.replace('0000001e', '-000001e'), 'in hexadecimal, got "-000001e"'],
    ['no column insert_failed', TWO.replace('insert_failed', 'other'), 'no column insert_failed'],
    ['no column found', TWO.replace('found', 'other'), 'no column found'],
    ['no column drop', TWO.replace(' drop ', ' other '), 'no column drop'],
    ['no column entries', TWO.replace('entries', 'other'), 'no column entries'],
  ])('takes %s for garbage', (_name, text, message) => {
    expect(() => parseConntrackCounts(text)).toThrow(DecodeError)
    expect(() => parseConntrackCounts(text)).toThrow(message)
  })
})

describe('readConntrackCounts()', () => {
  test('reads files of many CPUs whole, and none where there is no conntrack', () => {
    const directory = mkdtempSync(join(tmpdir(), 'conntrack-'))
    try {
      const rows = Array.from({ length: 256 }, () =>
        row('00000005', '00000001', '00000001', '00000001'),
      )
      writeFileSync(join(directory, 'nf_conntrack'), `${HEAD}\n${rows.join('\n')}\n`)
      expect(readConntrackCounts(join(directory, 'nf_conntrack'))?.found).toHaveLength(256)
      expect(readConntrackCounts(join(directory, 'nothing'))).toBeUndefined()
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})

describe('readConntrackLimit()', () => {
  test('reads the limit, and none where there is no conntrack or nothing limits it', () => {
    const root = mkdtempSync(join(tmpdir(), 'conntrack-'))
    try {
      expect(readConntrackLimit(root)).toBeUndefined()
      mkdirSync(join(root, 'net/netfilter'), { recursive: true })
      writeFileSync(join(root, 'net/netfilter/nf_conntrack_max'), '262144\n')
      expect(readConntrackLimit(root)).toBe(262_144)
      for (const unlimited of ['0', '-1', 'many', '12 many', 'many 12', '']) {
        writeFileSync(join(root, 'net/netfilter/nf_conntrack_max'), `${unlimited}\n`)
        expect(readConntrackLimit(root)).toBeUndefined()
      }
    } finally {
      rmSync(root, { recursive: true })
    }
  })
})
