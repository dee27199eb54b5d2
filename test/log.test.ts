import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createLog, type LogFields, type LogOptions } from '../src/log.ts'

function createMemoryLog(options: Partial<LogOptions> = {}) {
  const lines: string[] = []
  const write = (line: string) => lines.push(line)
  const now = () => Date.UTC(2026, 0, 2, 3, 4, 5, 678)
  return { lines, log: createLog({ level: 'info', format: 'logfmt', now, ...options, write }) }
}

function renderOne(message: string, fields?: LogFields, options?: Partial<LogOptions>): string {
  const { lines, log } = createMemoryLog(options)
  log.info(message, fields)
  expect(lines).toHaveLength(1)
  return lines[0] ?? ''
}

/** A reader of logfmt, written from its rules: key=value with spaces between, values bare or quoted as in JSON. */
function parseLogfmt(line: string): [string, string][] {
  const pairs: [string, string][] = []
  const pattern = /([^\s="]+)=("(?:[^"\\]|\\.)*"|[^\s="]*)( |\n$)/gy
  for (let match = pattern.exec(line); match !== null; match = pattern.exec(line)) {
    const [, key = '', value = ''] = match
    pairs.push([key, value.startsWith('"') ? JSON.parse(value) : value])
    if (pattern.lastIndex === line.length) return pairs
  }
  throw new Error(`Cannot read logfmt ${JSON.stringify(line)}`)
}

describe('createLog()', () => {
  test('writes time, level and message before the fields', () => {
    expect(renderOne('Listening', { address: ':10132', pid: 7, tls: false })).toBe(
      'time=2026-01-02T03:04:05.678Z level=info msg=Listening address=:10132 pid=7 tls=false\n',
    )
  })

  test('writes the same as JSON', () => {
    const line = renderOne('Listening now', { address: ':10132', pid: 7 }, { format: 'json' })
    expect(line.endsWith('}\n')).toBe(true)
    expect(JSON.parse(line)).toStrictEqual({
      time: '2026-01-02T03:04:05.678Z',
      level: 'info',
      msg: 'Listening now',
      address: ':10132',
      pid: 7,
    })
  })

  test.each([
    ['', '""'],
    ['two words', '"two words"'],
    ['say "hi"', '"say \\"hi\\""'],
    ['a=b', '"a=b"'],
    ['one\ntwo\ttabs', '"one\\ntwo\\ttabs"'],
    ['Grüße', 'Grüße'],
    ['接続', '接続'],
    ['C:\\dir', 'C:\\dir'],
    ['red\u001b[31m', '"red\\u001b[31m"'],
    ['c1\u009b', '"c1\\u009b"'],
    ['line\u2028end', '"line\\u2028end"'],
    ['half\ud800', '"half\\ud800"'],
  ])('quotes %j as logfmt asks for', (value, text) => {
    expect(renderOne('m', { value })).toContain(` msg=m value=${text}\n`)
  })

  test.each([
    [null, 'null'],
    [1.5, '1.5'],
    [Number.NaN, 'NaN'],
    [10n, '10'],
    [['a', 1], '"[\\"a\\",1]"'],
    [[1, 2], '[1,2]'],
  ])('renders %s', (value, text) => {
    expect(renderOne('m', { value })).toContain(` value=${text}\n`)
  })

  test('leaves out what is undefined', () => {
    expect(renderOne('m', { value: undefined })).toMatch(/ msg=m\n$/)
  })

  test.each([
    ['debug', 4],
    ['info', 3],
    ['warn', 2],
    ['error', 1],
  ] as const)('at level %s writes what is as severe', (level, count) => {
    const { lines, log } = createMemoryLog({ level })
    log.debug('d')
    log.info('i')
    log.warn('w')
    log.error('e')
    expect(lines.map((line) => /level=(\w+)/.exec(line)?.[1])).toStrictEqual(
      ['debug', 'info', 'warn', 'error'].slice(-count),
    )
  })

  test('renders an error by its message alone, without a stack', () => {
    const cause = new Error('inner')
    const reason = new Error('Cannot read /proc/net/tcp: EACCES', { cause })
    expect(renderOne('Sample failed', { reason })).toMatch(
      / msg="Sample failed" reason="Cannot read \/proc\/net\/tcp: EACCES"\n$/,
    )
  })

  test('adds stack and causes while the level is debug', () => {
    const reason = new Error('outer', { cause: new Error('inner') })
    const line = renderOne('m', { reason }, { level: 'debug', format: 'json' })
    const text: string = JSON.parse(line).reason
    expect(text).toMatch(/^Error: outer\n {4}at /)
    expect(text).toContain('[cause]: Error: inner')
  })

  test('moves a field aside that has a name of the line itself', () => {
    expect(renderOne('m', { msg: 'x', level: 'y', time: 'z' })).toMatch(
      / level=info msg=m msg_=x level_=y time_=z\n$/,
    )
  })

  test('does not take a message for a format', () => {
    expect(renderOne('100%% %s %d', { a: 1 })).toContain(' msg="100%% %s %d" a=1\n')
  })

  test('survives a field that contains itself', () => {
    const loop: Record<string, unknown> = {}
    loop.self = loop
    expect(renderOne('m', { loop })).toMatch(/ loop=.*Circular.*\n$/)
  })

  test('loses nothing and keeps to one line, whatever the text', () => {
    const text = fc.string({ unit: 'binary' })
    const fields = fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), text)
    fc.assert(
      fc.property(text, fields, (message, given) => {
        const line = renderOne(message, given)
        expect(line.indexOf('\n')).toBe(line.length - 1)
        const [, , ...pairs] = parseLogfmt(line)
        const want = Object.entries(given).map(([key, value]) => [
          /^(time|level|msg)$/.test(key) ? `${key}_` : key,
          value,
        ])
        expect(pairs).toStrictEqual([['msg', message], ...want])
      }),
    )
  })

  test('repairs any key', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (key) => {
        for (const format of ['logfmt', 'json'] as const) {
          const line = renderOne('m', { [key]: 'v' }, { format })
          const pairs = format === 'json' ? Object.entries(JSON.parse(line)) : parseLogfmt(line)
          expect(pairs).toHaveLength(4)
          for (const [name] of pairs) expect(name).toMatch(/^[\w.-]+$/)
        }
      }),
    )
  })
})
