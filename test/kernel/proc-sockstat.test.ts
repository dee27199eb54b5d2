import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { parseSocketBound, readSocketBound } from '../../src/kernel/proc-sockstat.ts'
import { DecodeError } from '../../src/observation.ts'

const SOCKSTAT6 = `TCP6: inuse 3
UDP6: inuse 30
UDPLITE6: inuse 0
RAW6: inuse 1
FRAG6: inuse 0 memory 0
`
const SOCKSTAT = `sockets: used 143
TCP: inuse 21 orphan 1 tw 17 alloc 30 mem 2
UDP: inuse 4 mem 1
UDPLITE: inuse 0
RAW: inuse 0
FRAG: inuse 0 memory 0
`

describe('parseSocketBound()', () => {
  test('adds TIME_WAIT, and what the kernel may hold itself, to the sockets of all families', () => {
    expect(parseSocketBound(SOCKSTAT)).toBe(143 + 17 + 21 + 4)
  })

  test('adds the sockets of the kernel that IPv6 has', () => {
    expect(parseSocketBound(SOCKSTAT, SOCKSTAT6)).toBe(143 + 17 + 21 + 4 + 3 + 30)
  })

  test.each(['', 'TCP6: inuse 3\n', 'UDP6: inuse 3\n', 'TCP6: inuse -3\nUDP6: inuse 3\n'])(
    'takes %j for garbage of IPv6',
    (text) => {
      expect(() => parseSocketBound(SOCKSTAT, text)).toThrow('Cannot parse sockstat6: expected')
    },
  )

  test.each([
    '',
    'sockets: used 5\n',
    'TCP: inuse 1 orphan 0 tw 3 alloc 1 mem 0\n',
    SOCKSTAT.replace('143', 'many'),
    SOCKSTAT.replace('143', '143 more'),
    SOCKSTAT.replace('sockets:', 'my sockets:'),
    SOCKSTAT.replace('TCP:', 'MPTCP:'),
    SOCKSTAT.replace('UDP:', 'UDQ:'),
    SOCKSTAT.replace('inuse 21', 'inuse -1'),
  ])('takes %j for garbage, not for an empty namespace', (text) => {
    const quoted = JSON.stringify(text.slice(0, 80))
    const expected = 'expected "sockets: used", "TCP: inuse ... tw" and "UDP: inuse"'
    expect(() => parseSocketBound(text)).toThrow(
      new DecodeError(`Cannot parse sockstat: ${expected}, got ${quoted}`, 0),
    )
  })
})

describe('readSocketBound()', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sockstat-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  test('reads both files, also one longer than usual, and undefined where there is none', () => {
    expect(readSocketBound(`${folder}-missing`)).toBeUndefined()
    rmSync(join(folder, 'sockstat6'), { force: true })
    writeFileSync(join(folder, 'sockstat'), SOCKSTAT)
    expect(readSocketBound(folder)).toBe(185)
    writeFileSync(join(folder, 'sockstat'), `${'x'.repeat(1000)}\n${SOCKSTAT}`)
    expect(readSocketBound(folder)).toBe(185)
    writeFileSync(join(folder, 'sockstat6'), SOCKSTAT6)
    expect(readSocketBound(folder)).toBe(218)
  })
})
