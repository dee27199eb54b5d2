import { describe, expect, test } from 'vitest'
import { readListenerUids } from '../../src/kernel/listener-uids.ts'
import { DecodeError } from '../../src/observation.ts'

const HEAD =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n'
const NOBODY = { tcp: '00000000', tcp6: '0'.repeat(32) }

/** One row: the port in four hexadecimal digits, 2794 is 10132. */
function row(uid: number, { port = '2794', state = '0A', table = 'tcp' as 'tcp' | 'tcp6' } = {}) {
  const any = NOBODY[table]
  return `   0: ${any}:${port} ${any}:0000 ${state} 00000000:00000000 00:00000000 00000000 ${uid}        0 7 1 0\n`
}

/** Chunks of the two tables; one that is left out is missing. */
function read(tables: { tcp?: readonly string[]; tcp6?: readonly string[] }) {
  const chunksRead: string[] = []
  const uids = readListenerUids(10_132, function* (path) {
    const chunks = tables[path === '/proc/self/net/tcp6' ? 'tcp6' : 'tcp']
    if (chunks === undefined) throw Object.assign(new Error(path), { code: 'ENOENT' })
    for (const chunk of chunks) {
      chunksRead.push(chunk)
      yield Buffer.from(chunk)
    }
  })
  return { uids, chunks: chunksRead.length }
}

describe('readListenerUids()', () => {
  const wide = { table: 'tcp6' } as const

  test.each<[string, Parameters<typeof read>[0], readonly number[]]>([
    ['both tables', { tcp: [HEAD + row(0)], tcp6: [HEAD + row(7, wide)] }, [0, 7]],
    ['a machine without IPv6', { tcp: [HEAD + row(5)] }, [5]],
    ['several chunks', { tcp: [HEAD, row(5), row(6)], tcp6: [HEAD] }, [5, 6]],
    [
      'rows of other ports and states',
      { tcp: [HEAD + row(1) + row(5, { port: '2795' }) + row(6, { state: '01' })] },
      [1],
    ],
    ['nothing', {}, []],
  ])('finds those who listen there in %s', (_name, tables, uids) => {
    expect(read(tables).uids).toEqual(uids)
  })

  test('reads no further than the listeners', () => {
    const chunks = [HEAD + row(1), row(2, { state: '01' }), row(3, { state: '01' })]
    expect(read({ tcp: chunks })).toEqual({ uids: [1], chunks: 2 })
  })

  test('refuses what it does not understand', () => {
    expect(() => read({ tcp: [HEAD + row(0).replace('0A', 'listen')] })).toThrow(DecodeError)
  })
})
