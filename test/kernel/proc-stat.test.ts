import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import {
  parseStartSeconds,
  readStartSeconds,
  readUptimeSeconds,
} from '../../src/kernel/proc-stat.ts'
import { DecodeError } from '../../src/observation.ts'

const procfs = mkdtempSync(join(tmpdir(), 'stat-'))
afterAll(() => rmSync(procfs, { recursive: true }))

/** Field 22 is the start, and no other number is like it. */
const line = (name: string, start = '123456') =>
  `4711 (${name}) S 1 4711 4711 0 -1 4194304 100 0 0 0 1 2 0 0 20 0 1 0 ${start} 2703360 200`

describe('parseStartSeconds()', () => {
  test.each(['sleep', 'a b', 'x) S 1 (y', ')', '((('])(
    'finds the start of a program called %j',
    (name) => {
      expect(parseStartSeconds(line(name))).toBe(1234.56)
    },
  )

  test.each([
    '',
    '4711',
    '4711 (sleep) S 1',
    line('sleep', '12x'),
    line('sleep', 'x12'),
    line('sleep', '-1'),
  ])('refuses %j and quotes its beginning', (text) => {
    const quoted = JSON.stringify(text.slice(0, 40))
    expect(() => parseStartSeconds(text)).toThrow(
      new DecodeError(`Cannot parse /proc/<pid>/stat ${quoted}`, 0),
    )
  })
})

describe('readStartSeconds()', () => {
  test('reads the file of the process, and undefined where there is none', () => {
    mkdirSync(join(procfs, '4711'), { recursive: true })
    writeFileSync(join(procfs, '4711/stat'), line('sleep', '700'))
    expect(readStartSeconds(procfs, 4711)).toBe(7)
    expect(readStartSeconds(procfs, 4712)).toBeUndefined()
  })
})

describe('readUptimeSeconds()', () => {
  test('reads the first number', () => {
    writeFileSync(join(procfs, 'uptime'), '1234.56 9876.54\n')
    expect(readUptimeSeconds(procfs)).toBe(1234.56)
  })

  test('refuses what is no number, and quotes its beginning', () => {
    const text = `up for ${'x'.repeat(100)}`
    writeFileSync(join(procfs, 'uptime'), text)
    expect(() => readUptimeSeconds(procfs)).toThrow(
      new DecodeError(`Cannot parse ${procfs}/uptime ${JSON.stringify(text.slice(0, 40))}`, 0),
    )
    rmSync(join(procfs, 'uptime'))
    expect(() => readUptimeSeconds(procfs)).toThrow(
      new DecodeError(`Cannot parse ${procfs}/uptime ""`, 0),
    )
  })
})
