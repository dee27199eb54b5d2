import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import {
  parseActiveOpens,
  parseTcpSocketCount,
  readActiveOpens,
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
  ])('refuses %j', (text) => {
    expect(() => parseActiveOpens(text)).toThrow(DecodeError)
  })
})

describe('readActiveOpens()', () => {
  test('reads the recorded file, and undefined where there is none', () => {
    expect(readActiveOpens(fileURLToPath(new URL('snmp', net)))).toBe(7)
    expect(readActiveOpens(fileURLToPath(new URL('snmp-elsewhere', net)))).toBeUndefined()
  })
})

describe('parseTcpSocketCount()', () => {
  test('adds what is in use in both families and what waits', () => {
    const text = (name: string) => readFileSync(new URL(name, net), 'latin1')
    // 4 and 9 in use, 2 in TIME_WAIT or orphaned in FIN_WAIT2: the rows of tcp and tcp6.
    expect(parseTcpSocketCount(text('sockstat'), text('sockstat6'))).toBe(15)
    expect(parseTcpSocketCount(text('sockstat'), '')).toBe(6)
    expect(parseTcpSocketCount('', '')).toBe(0)
  })
})
