import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DecodeError } from '../../src/observation.ts'
import { type ConnectionRow, parseConnections } from '../../src/sources/connection-rows.ts'
import { describeRows } from '../kernel/rows.ts'
import { listRecordedConnections } from './networkconnections.ts'

const established: ConnectionRow = {
  protocol: 'tcp',
  localAddress: '192.0.2.1',
  localPort: '40000',
  peerAddress: '192.0.2.9',
  peerPort: '443',
  state: 'ESTABLISHED',
}

function rowsOf(rows: readonly ConnectionRow[], platform: string): string[] {
  const { tcp, udp } = parseConnections(rows, platform)
  return describeRows([tcp, udp])
}

describe.skipIf(process.platform === 'win32')(
  'parseConnections() of what systeminformation reads',
  () => {
    test('from netstat on Linux, where long addresses are cut', () => {
      expect(rowsOf(listRecordedConnections('linux', { netstat: 'linux.txt' }), 'linux')).toEqual([
        'tcp listen 127.0.0.1:40500 > 0.0.0.0:0',
        'tcp syn_sent 10.9.0.1:40554 > 10.9.0.2:443',
        'tcp established 127.0.0.1:40796 > 127.0.0.1:8080',
        'tcp time_wait 127.0.0.1:40808 > 127.0.0.1:8080',
        'tcp fin_wait2 127.0.0.1:40822 > 127.0.0.1:8080',
        'tcp established 127.0.0.1:40824 > 127.0.0.1:8080',
        'tcp listen [::1]:40501 > [::]:0 v6only',
        'tcp listen [::]:8080 > [::]:0',
        'tcp established 127.0.0.1:8080 > 127.0.0.1:40798',
        'tcp established 127.0.0.1:8080 > 127.0.0.1:40824',
        'tcp established 127.0.0.1:8080 > 127.0.0.1:40796',
        'tcp established [::]:8080 > [::]:0',
        'tcp established 127.0.0.1:40798 > 127.0.0.1:8080',
        'tcp established [::]:40150 > [::]:0',
        'tcp close_wait 127.0.0.1:8080 > 127.0.0.1:40822',
        // Unconnected UDP sockets have no state, and systeminformation keeps only rows that have one.
        'udp established 127.0.0.1:40242 > 127.0.0.1:53',
        'udp established [::1]:40519 > [::1]:53',
      ])
    })

    test('from ss on Linux, where FIN_WAIT is lost', () => {
      expect(rowsOf(listRecordedConnections('linux', { ss: 'linux-ss.txt' }), 'linux')).toEqual([
        'tcp listen 127.0.0.1:40500 > 0.0.0.0:0',
        'tcp syn_sent 10.9.0.1:40554 > 10.9.0.2:443',
        'tcp established 127.0.0.1:40796 > 127.0.0.1:8080',
        'tcp time_wait 127.0.0.1:40808 > 127.0.0.1:8080',
        'tcp established 127.0.0.1:40824 > 127.0.0.1:8080',
        'tcp listen [::1]:40501 > [::]:0 v6only',
        'tcp listen [::]:8080 > [::]:0',
        'tcp established 127.0.0.1:8080 > 127.0.0.1:40798',
        'tcp established 127.0.0.1:8080 > 127.0.0.1:40824',
        'tcp established 127.0.0.1:8080 > 127.0.0.1:40796',
        'tcp established [2001:db8:85a3:8d3::12]:8080 > [2001:db8:85a3:8d3::12]:40150',
        'tcp established 127.0.0.1:40798 > 127.0.0.1:8080',
        'tcp established [2001:db8:85a3:8d3::12]:40150 > [2001:db8:85a3:8d3::12]:8080',
        'tcp close_wait 127.0.0.1:8080 > 127.0.0.1:40822',
        'udp established 127.0.0.1:40242 > 127.0.0.1:53',
        'udp established [::1]:40519 > [::1]:53',
      ])
    })

    test('from netstat on macOS', () => {
      const programs = { netstat: 'macos.txt', ps: 'macos.txt' }
      expect(rowsOf(listRecordedConnections('darwin', programs), 'darwin')).toEqual([
        'tcp established 192.168.1.23:52544 > 17.57.144.182:5223',
        'tcp fin_wait2 192.168.1.23:52545 > 17.57.144.182:443',
        'tcp unknown 192.168.1.23:52546 > 17.57.144.182:443',
        'tcp established [2001:db8:1234:5678:9abc:def0:1234:5678]:52547 > [2001:db8:85a3:8d3:1319:8a2e:370:7344]:443',
        'tcp time_wait [fe80::1c3a:5cff:fe12:3456]:52548 > [fe80::aede:48ff:fe00:1122]:7000',
        'tcp listen [::]:10132 > [::]:0',
        'tcp listen [::]:5000 > [::]:0 v6only',
        'tcp listen 0.0.0.0:5000 > 0.0.0.0:0',
        'tcp listen [::1]:6379 > [::]:0 v6only',
        'tcp bound 0.0.0.0:52549 > 0.0.0.0:0',
        'udp bound 0.0.0.0:5353 > 0.0.0.0:0',
        'udp bound [::]:59123 > [::]:0',
        'udp established 192.168.1.23:59124 > 192.168.1.1:53',
      ])
    })

    test('from netstat on Windows, whose heading passes for a row', () => {
      const rows = listRecordedConnections('win32', { 'cmd.exe': 'windows-english.txt' })
      expect(rows[0]?.protocol).toBe('proto')
      expect(rowsOf(rows, 'win32')).toEqual([
        'tcp listen 0.0.0.0:135 > 0.0.0.0:0',
        'tcp listen 0.0.0.0:10132 > 0.0.0.0:0',
        'tcp established 192.168.1.40:50211 > 52.96.1.2:443',
        'tcp fin_wait1 192.168.1.40:50212 > 52.96.1.2:443',
        'tcp syn_recv 192.168.1.40:50213 > 52.96.1.2:443',
        'tcp time_wait 192.168.1.40:50214 > 52.96.1.2:443',
        'tcp listen [::]:135 > [::]:0 v6only',
        'tcp close_wait [fe80::1d3a:9c2]:50215 > [fe80::22:33]:445',
        'udp bound 0.0.0.0:123 > [::]:0',
        'udp bound [::]:5353 > [::]:0 v6only',
        'udp established 127.0.0.1:50216 > 127.0.0.1:50217',
      ])
    })

    test.each([
      [
        'windows-german.txt',
        [
          'tcp listen 0.0.0.0:135 > 0.0.0.0:0',
          'tcp established 192.168.1.40:50211 > 52.96.1.2:443',
          'tcp close_wait 192.168.1.40:50212 > 52.96.1.2:443',
          'tcp time_wait 192.168.1.40:50213 > 52.96.1.2:443',
          'tcp syn_sent 192.168.1.40:50214 > 52.96.1.2:443',
          'tcp unknown 192.168.1.40:50215 > 52.96.1.2:443',
          'udp bound 0.0.0.0:123 > [::]:0',
        ],
      ],
      [
        'windows-unknown-language.txt',
        ['tcp listen 0.0.0.0:135 > 0.0.0.0:0', 'tcp unknown 192.168.1.40:50211 > 52.96.1.2:443'],
      ],
      ['windows-headings-only.txt', []],
    ])('from netstat on Windows in another language: %s', (recording, rows) => {
      expect(rowsOf(listRecordedConnections('win32', { 'cmd.exe': recording }), 'win32')).toEqual(
        rows,
      )
    })
  },
)

describe('parseConnections()', () => {
  test.each([
    ['ESTAB', 'established'],
    ['SYN-SENT', 'syn_sent'],
    ['SYN-RECV', 'syn_recv'],
    ['SYN_RCVD', 'syn_recv'],
    ['FIN-WAIT-1', 'fin_wait1'],
    ['FIN_WAIT_2', 'fin_wait2'],
    ['FIN_WAIT2', 'fin_wait2'],
    ['TIME-WAIT', 'time_wait'],
    ['CLOSE', 'close'],
    ['CLOSE-WAIT', 'close_wait'],
    ['LAST-ACK', 'last_ack'],
    ['CLOSING', 'closing'],
    ['LISTEN', 'listen'],
    ['UNKNOWN', 'unknown'],
    ['', 'unknown'],
  ])('reads the state %j', (state, name) => {
    expect(rowsOf([{ ...established, state }], 'linux')).toEqual([
      `tcp ${name} 192.0.2.1:40000 > 192.0.2.9:443`,
    ])
  })

  test('tells dual-stack from IPv6-only wildcards as ss writes them', () => {
    const listener = { ...established, peerAddress: '*', peerPort: '*', state: 'LISTEN' }
    expect(
      rowsOf(
        ['*', '[::]', '0.0.0.0', '[::ffff:127.0.0.1]', '127.0.0.1%lo', '[fe80::1]%eth0'].map(
          (localAddress) => ({ ...listener, localAddress }),
        ),
        'linux',
      ),
    ).toEqual([
      'tcp listen [::]:40000 > [::]:0',
      'tcp listen [::]:40000 > [::]:0 v6only',
      'tcp listen 0.0.0.0:40000 > [::]:0',
      'tcp listen 127.0.0.1:40000 > [::]:0',
      'tcp listen 127.0.0.1:40000 > [::]:0',
      'tcp listen [fe80::1]:40000 > [::]:0 v6only',
    ])
  })

  test('gives a socket with a cut address no destination rather than a wrong one', () => {
    const cut = { ...established, protocol: 'tcp6', localAddress: 'fd00::1' }
    // A cut address may look whole: this one filled the column of 22 characters that it shares with its port.
    expect(
      rowsOf([{ ...cut, peerAddress: 'fe80::5054:ff:fe12', peerPort: '8443' }], 'linux'),
    ).toEqual(['tcp established [fd00::1]:40000 > [::]:0'])
    expect(
      rowsOf([{ ...cut, peerAddress: 'fe80::5054:ff:fe1', peerPort: '8443' }], 'linux'),
    ).toEqual(['tcp established [fd00::1]:40000 > [fe80::5054:ff:fe1]:8443'])
    expect(
      rowsOf([{ ...cut, peerAddress: 'fe80::5054:ff:fe12', peerPort: '8443' }], 'win32'),
    ).toEqual(['tcp established [fd00::1]:40000 > [fe80::5054:ff:fe12]:8443'])
  })

  test('leaves out what holds no port and what is no socket', () => {
    expect(
      rowsOf(
        [
          { ...established, localAddress: '*', localPort: '*' },
          { ...established, localPort: '0' },
          { ...established, protocol: 'proto', localPort: '' },
          { ...established, protocol: 'icm6', localPort: '*' },
        ],
        'darwin',
      ),
    ).toEqual([])
  })

  test.each(['', 'http', 'NaN', '65536', '-1', '8080x', '1e3'])('refuses the port %j', (port) => {
    expect(() => rowsOf([{ ...established, localPort: port }], 'linux')).toThrow(DecodeError)
    expect(() => rowsOf([{ ...established, peerPort: port }], 'linux')).toThrow(
      `expected a port, got ${JSON.stringify(port)}`,
    )
  })

  test('gives a row, no row or a DecodeError for any row', () => {
    const anyText = fc.oneof(
      fc.string({ maxLength: 8 }),
      fc.constantFrom(
        '*',
        '::',
        '::1',
        '0.0.0.0',
        '[::]',
        'fe80::1%en0',
        '127.1',
        '08',
        'tcp',
        'udp6',
      ),
      fc.nat({ max: 70_000 }).map(String),
    )
    const anyRow = fc.record({
      protocol: fc.oneof(anyText, fc.constantFrom('tcp', 'tcp46', 'udp')),
      localAddress: anyText,
      localPort: anyText,
      peerAddress: anyText,
      peerPort: anyText,
      state: anyText,
    })
    fc.assert(
      fc.property(
        fc.array(anyRow),
        fc.constantFrom('linux', 'darwin', 'win32'),
        (rows, platform) => {
          try {
            expect(rowsOf(rows, platform).length).toBeLessThanOrEqual(rows.length)
          } catch (error) {
            expect(error).toBeInstanceOf(DecodeError)
          }
        },
      ),
      { numRuns: 300 },
    )
  })
})
