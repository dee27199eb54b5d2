import { describe, expect, test } from 'vitest'
import { isListenerTrusted } from '../../src/cli/listener.ts'

const HEAD =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode'

/** One row: the port in four hexadecimal digits, 2794 is 10132. */
function row(uid: number, { port = '2794', state = '0A', address = '0100007F' } = {}): string {
  return `   0: ${address}:${port} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000 ${uid}        0 7 1 0`
}

const asker = { platform: 'linux', geteuid: () => 1000 }

function ask(rows: { tcp?: string[]; tcp6?: string[] }): boolean {
  return isListenerTrusted(10_132, asker, {
    readText: (path) => {
      const found = rows[path.endsWith('tcp6') ? 'tcp6' : 'tcp']
      if (found === undefined) throw new Error('ENOENT')
      return `${[HEAD, ...found].join('\n')}\n`
    },
    readLink: (path) => {
      if (path === '/run/systemd/dynamic-uid/direct:64000') return 'ephemeral-port-exporter'
      if (path === '/run/systemd/dynamic-uid/direct:64001') return 'another'
      throw new Error('ENOENT')
    },
  })
}

describe('isListenerTrusted()', () => {
  const wide = { address: '00000000000000000000000000000000' }
  test.each<[string, Parameters<typeof ask>[0]]>([
    ['root', { tcp: [row(0)], tcp6: [] }],
    ['root, on a machine without IPv6', { tcp: [row(0)] }],
    ['root, on every address', { tcp: [], tcp6: [row(0, wide)] }],
    ['the asker', { tcp: [row(1000)] }],
    ['the user of the unit', { tcp: [row(64_000)] }],
    [
      'root, beside what others have at other ports and in other states',
      {
        tcp: [row(0), row(5, { port: '2795' }), row(5, { state: '01' })],
      },
    ],
  ])('believes %s', (_name, rows) => expect(ask(rows)).toBe(true))

  test.each<[string, Parameters<typeof ask>[0]]>([
    ['another user', { tcp: [row(1001)] }],
    ['another user on every address', { tcp: [], tcp6: [row(1001, wide)] }],
    ['the user of another unit', { tcp: [row(64_001)] }],
    ['another user beside root', { tcp: [row(0)], tcp6: [row(1001)] }],
    ['nobody', { tcp: [row(0, { state: '01' })], tcp6: [] }],
    ['what cannot be looked at', {}],
  ])('does not believe %s', (_name, rows) => expect(ask(rows)).toBe(false))

  test('knows nobody by a missing user id', () => {
    const files = { readText: () => row(1001), readLink: () => '' }
    expect(isListenerTrusted(10_132, { platform: 'linux' }, files)).toBe(false)
  })

  test('cannot tell on other platforms', () => {
    expect(isListenerTrusted(10_132, { platform: 'darwin', geteuid: () => 501 })).toBe(true)
  })
})
