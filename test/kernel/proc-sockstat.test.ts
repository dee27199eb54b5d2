import { describe, expect, test } from 'vitest'
import { parseSocketBound } from '../../src/kernel/proc-sockstat.ts'
import { parseStartSeconds } from '../../src/kernel/proc-stat.ts'
import { DecodeError } from '../../src/observation.ts'

const SOCKSTAT = `sockets: used 143
TCP: inuse 21 orphan 1 tw 17 alloc 30 mem 2
UDP: inuse 4 mem 1
UDPLITE: inuse 0
RAW: inuse 0
FRAG: inuse 0 memory 0
`

describe('parseSocketBound()', () => {
  test('adds TIME_WAIT to the sockets of all families', () => {
    expect(parseSocketBound(SOCKSTAT)).toBe(160)
  })

  test.each([
    '',
    'sockets: used 5\n',
    'TCP: inuse 1 orphan 0 tw 3 alloc 1 mem 0\n',
    SOCKSTAT.replace('143', 'many'),
  ])('takes %j for garbage, not for an empty namespace', (text) => {
    expect(() => parseSocketBound(text)).toThrow(DecodeError)
  })
})

describe('parseStartSeconds()', () => {
  const line = (name: string) =>
    `4711 (${name}) S 1 4711 4711 0 -1 4194304 100 0 0 0 1 2 0 0 20 0 1 0 123456 2703360 200`

  test.each(['sleep', 'a b', 'x) S 1 (y', ')', '((('])(
    'finds the start of a program called %j',
    (name) => {
      expect(parseStartSeconds(line(name))).toBe(1234.56)
    },
  )

  test.each(['', '4711 (sleep) S 1', '4711'])('refuses %j', (text) => {
    expect(() => parseStartSeconds(text)).toThrow(DecodeError)
  })
})
