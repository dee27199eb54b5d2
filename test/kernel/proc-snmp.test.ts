import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import {
  parseActiveOpens,
  parseTcpSocketCount,
  readActiveOpens,
  readTimeWaitRecycled,
} from '../../src/kernel/proc-snmp.ts'
import { DecodeError } from '../../src/observation.ts'

const net = new URL('../fixtures/proc/dual-stack/net/', import.meta.url)

describe('parseActiveOpens()', () => {
  test('finds the column by its name', () => {
    expect(parseActiveOpens('Tcp: ActiveOpens\nTcp: 3\n')).toBe(3)
    expect(
      parseActiveOpens(
        'Ip: Forwarding ActiveOpens\nIp: 1 9\nTcp: RtoMin ActiveOpens MaxConn\nTcp: 200 18446744 -1\n',
      ),
    ).toBe(18446744)
  })

  test('takes any space between the columns', () => {
    expect(parseActiveOpens('Tcp: RtoMin   ActiveOpens \nTcp: 200 \t 42 \n')).toBe(42)
  })

  test('returns undefined where it is not counted', () => {
    expect(parseActiveOpens('')).toBeUndefined()
    expect(parseActiveOpens('Udp: InDatagrams\nUdp: 4\n')).toBeUndefined()
    expect(parseActiveOpens('Tcp: RtoMin\nTcp: 200\n')).toBeUndefined()
  })

  test.each([
    'Tcp: RtoMin ActiveOpens\n',
    'Tcp: RtoMin ActiveOpens\nTcp: 200\n',
    'Tcp: ActiveOpens\nTcp: -1\n',
    'Tcp: ActiveOpens\nTcp: many\n',
    'Tcp: ActiveOpens\nTcp: 3x\n',
    `Tcp: ActiveOpens\nTcp: ${'9'.repeat(50)}x\n`,
  ])('refuses %j, and quotes what stands there', (text) => {
    const value =
      text
        .split('\n')[1]
        ?.split(' ')
        .at(text.includes('RtoMin') ? 2 : 1) ?? ''
    const quoted = JSON.stringify(value.slice(0, 40))
    expect(() => parseActiveOpens(text)).toThrow(
      new DecodeError(`Cannot parse ActiveOpens: expected a whole number, got ${quoted}`, 0),
    )
  })
})

describe('readActiveOpens()', () => {
  test('reads the recorded file, and undefined where there is none', () => {
    expect(readActiveOpens(fileURLToPath(new URL('snmp', net)))).toBe(7)
    expect(readActiveOpens(fileURLToPath(new URL('snmp-elsewhere', net)))).toBeUndefined()
  })
})

test('readTimeWaitRecycled() reads the counter of recycled TIME_WAITs, and undefined where there is none', () => {
  const folder = mkdtempSync(join(tmpdir(), 'netstat-'))
  try {
    const path = join(folder, 'netstat')
    writeFileSync(
      path,
      'TcpExt: TW TWRecycled TWKilled\nTcpExt: 51 17 3\nIpExt: TWRecycled\nIpExt: 9\n',
    )
    expect(readTimeWaitRecycled(path)).toBe(17)
    writeFileSync(path, 'TcpExt: TW\nTcpExt: 51\n')
    expect(readTimeWaitRecycled(path)).toBeUndefined()
    expect(readTimeWaitRecycled(join(folder, 'elsewhere'))).toBeUndefined()
  } finally {
    rmSync(folder, { recursive: true })
  }
})

describe('parseTcpSocketCount()', () => {
  test('adds what is in use in both families and what waits', () => {
    const text = (name: string) => readFileSync(new URL(name, net), 'latin1')
    // 4 and 9 in use, 2 in TIME_WAIT or orphaned in FIN_WAIT2: the rows of tcp and tcp6.
    expect(parseTcpSocketCount(text('sockstat'), text('sockstat6'))).toBe(15)
    expect(parseTcpSocketCount(text('sockstat'), '')).toBe(6)
    expect(parseTcpSocketCount('', '')).toBe(0)
  })

  test('reads numbers of several digits, of lines that begin so', () => {
    const four = 'TCP: inuse 21 orphan 1 tw 170 alloc 30 mem 2\n'
    expect(parseTcpSocketCount(four, 'TCP6: inuse 4000\n')).toBe(4191)
    expect(parseTcpSocketCount(`X${four}`, 'XTCP6: inuse 4000\n')).toBe(0)
    expect(parseTcpSocketCount(four, 'TCP6: inuse 4000 more\n')).toBe(191)
  })
})
