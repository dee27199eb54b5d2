import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  isInitialNamespace,
  parsePortRange,
  parseReservedPorts,
  readNetSettings,
} from '../../src/kernel/sysctl.ts'
import { DecodeError, SourceError } from '../../src/observation.ts'
import { asNobody } from './nobody.ts'

describe('parsePortRange()', () => {
  test.each([
    ['32768\t60999\n', { first: 32768, last: 60999 }],
    ['1024 65535', { first: 1024, last: 65535 }],
    ['  40000   40000  ', { first: 40000, last: 40000 }],
    ['1\t65535\n', { first: 1, last: 65535 }],
  ])('reads %j', (text, range) => {
    expect(parsePortRange(text)).toEqual(range)
  })

  test.each([
    '',
    '\n',
    '32768',
    '32768\t60999\t1',
    '60999 32768',
    '0 60999',
    '1 65536',
    'a b',
    '-5 9',
    '1e3 2e3',
    '32768,60999',
  ])('refuses %j and quotes it', (text) => {
    expect(() => parsePortRange(text)).toThrow(DecodeError)
    expect(() => parsePortRange(text)).toThrow(`ip_local_port_range ${JSON.stringify(text)}`)
  })
})

describe('parseReservedPorts()', () => {
  test.each([
    ['', []],
    ['\n', []],
    ['8080\n', [{ first: 8080, last: 8080 }]],
    [
      '8080,9148-9150\n',
      [
        { first: 8080, last: 8080 },
        { first: 9148, last: 9150 },
      ],
    ],
    [
      ' 9148-9150 , 8080 ',
      [
        { first: 8080, last: 8080 },
        { first: 9148, last: 9150 },
      ],
    ],
    ['100-200,150-250', [{ first: 100, last: 250 }]],
    ['100-200,120-130', [{ first: 100, last: 200 }]],
    ['100-109,110-119', [{ first: 100, last: 119 }]],
    ['0-65535', [{ first: 0, last: 65535 }]],
  ])('reads %j', (text, ranges) => {
    expect(parseReservedPorts(text)).toEqual(ranges)
  })

  test.each([
    ['8080,', 5],
    [',8080', 0],
    ['1-2-3', 0],
    ['10,20-15', 3],
    ['65536', 0],
    ['8080,http', 5],
    ['80 90', 0],
    ['80-', 0],
  ])('refuses %j at offset %i', (text, offset) => {
    expect(() => parseReservedPorts(text)).toThrow(DecodeError)
    expect(() => parseReservedPorts(text)).toThrow(`(at offset ${offset})`)
  })

  test('gives the same set of ports, ascending and apart, however it was written', () => {
    const port = fc.integer({ min: 0, max: 65535 })
    const item = fc.tuple(port, fc.integer({ min: 0, max: 40 })).map(([first, more]) => ({
      first,
      last: Math.min(65535, first + more),
    }))
    fc.assert(
      fc.property(fc.array(item, { minLength: 1, maxLength: 50 }), (items) => {
        const text = items.map(({ first, last }) => (first === last ? first : `${first}-${last}`))
        const parsed = parseReservedPorts(text.join(','))
        const portsOf = (ranges: readonly { first: number; last: number }[]) =>
          new Set(
            ranges.flatMap(({ first, last }) =>
              Array.from({ length: last - first + 1 }, (_, i) => first + i),
            ),
          )
        expect([...portsOf(parsed)].sort()).toEqual([...portsOf(items)].sort())
        for (const [index, range] of parsed.entries()) {
          expect(range.first).toBeGreaterThan((parsed[index - 1]?.last ?? -2) + 1)
        }
      }),
    )
  })
})

describe('readNetSettings()', () => {
  const recorded = fileURLToPath(new URL('../fixtures/proc/dual-stack/sys', import.meta.url))
  let root = ''

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'sysctl-'))
    chmodSync(root, 0o755)
    cpSync(recorded, root, { recursive: true })
  })
  afterEach(() => rmSync(root, { recursive: true }))

  const path = (name: string) => join(root, 'net/ipv4', name)

  test('reads all of a recorded tree', () => {
    expect(readNetSettings(recorded)).toEqual({
      range: { first: 40000, last: 40999 },
      reserved: [
        { first: 40100, last: 40109 },
        { first: 40200, last: 40200 },
      ],
      reservedText: '40100-40109,40200',
      ipv6: true,
      tcpTwReuse: 2,
      tcpTwReuseDelayMs: 1000,
      tcpTwReuseDelayKnown: true,
      tcpTimestamps: 1,
      tcpMaxTwBuckets: 131072,
      autobindReuse: undefined,
      portStepWidth: undefined,
    })
  })

  test('reads the delay of TIME_WAIT reuse in milliseconds where the kernel has it', () => {
    writeFileSync(path('tcp_tw_reuse_delay'), '25000\n')
    expect(readNetSettings(root)).toMatchObject({
      tcpTwReuseDelayMs: 25000,
      tcpTwReuseDelayKnown: true,
    })
    rmSync(path('tcp_tw_reuse_delay'))
    expect(readNetSettings(root)).toMatchObject({
      tcpTwReuseDelayMs: 1000,
      tcpTwReuseDelayKnown: false,
    })
  })

  test('reads what newer kernels have', () => {
    writeFileSync(path('ip_autobind_reuse'), '1\n')
    writeFileSync(path('ip_local_port_step_width'), '4\n')
    expect(readNetSettings(root)).toMatchObject({ autobindReuse: 1, portStepWidth: 4 })
  })

  test('leaves undefined what the kernel does not have', () => {
    for (const name of [
      'tcp_tw_reuse',
      'tcp_timestamps',
      'tcp_max_tw_buckets',
      'ip_local_reserved_ports',
      'ip_autobind_reuse',
    ]) {
      rmSync(path(name), { force: true })
    }
    rmSync(join(root, 'net/ipv6'), { recursive: true })
    expect(readNetSettings(root)).toEqual({
      range: { first: 40000, last: 40999 },
      reserved: [],
      reservedText: '',
      ipv6: false,
      tcpTwReuse: undefined,
      tcpTwReuseDelayMs: 1000,
      tcpTwReuseDelayKnown: true,
      tcpTimestamps: undefined,
      tcpMaxTwBuckets: undefined,
      autobindReuse: undefined,
      portStepWidth: undefined,
    })
  })

  test('throws unsupported when there is no range', () => {
    rmSync(path('ip_local_port_range'))
    expect(() => readNetSettings(root)).toThrow(
      expect.objectContaining({ name: 'SourceError', reason: 'unsupported' }),
    )
    expect(() => readNetSettings(join(root, 'elsewhere'))).toThrow(SourceError)
  })

  test.each(['ip_local_port_range', 'ip_local_reserved_ports'])(
    'throws DecodeError when %s says what it cannot mean',
    (name) => {
      writeFileSync(path(name), 'plenty\n')
      expect(() => readNetSettings(root)).toThrow(DecodeError)
      expect(() => readNetSettings(root)).toThrow(`Cannot parse ${name}`)
    },
  )

  test.each([
    ['tcp_tw_reuse', 'tcpTwReuse'],
    ['tcp_timestamps', 'tcpTimestamps'],
    ['tcp_max_tw_buckets', 'tcpMaxTwBuckets'],
    ['ip_autobind_reuse', 'autobindReuse'],
    ['ip_local_port_step_width', 'portStepWidth'],
  ] as const)('does without %s where it cannot be read or understood', (name, setting) => {
    for (const text of ['-1\n', 'plenty\n', '']) {
      writeFileSync(path(name), text)
      expect(readNetSettings(root)).toEqual({ ...readNetSettings(recorded), [setting]: undefined })
    }
    writeFileSync(path(name), '1\n')
    chmodSync(path(name), 0)
    const settings = asNobody(() => readNetSettings(root))
    expect(settings).toEqual({ ...readNetSettings(recorded), [setting]: undefined })
  })

  test('takes nothing for reusable while the delay cannot be understood', () => {
    writeFileSync(path('tcp_tw_reuse_delay'), '-1\n')
    expect(readNetSettings(root)).toMatchObject({
      tcpTwReuse: undefined,
      tcpTwReuseDelayKnown: false,
    })
  })

  test.each(['ip_local_port_range', 'ip_local_reserved_ports'])(
    'throws permission when %s may not be read',
    (name) => {
      chmodSync(path(name), 0)
      expect(() => asNobody(() => readNetSettings(root))).toThrow(
        expect.objectContaining({ name: 'SourceError', reason: 'permission' }),
      )
    },
  )
})

describe('isInitialNamespace()', () => {
  test('looks for tcp_mem, which only the initial namespace has', () => {
    const root = mkdtempSync(join(tmpdir(), 'sysctl-'))
    expect(isInitialNamespace(root)).toBe(false)
    mkdirSync(join(root, 'net/ipv4'), { recursive: true })
    writeFileSync(join(root, 'net/ipv4/tcp_mem'), '1 2 3\n')
    expect(isInitialNamespace(root)).toBe(true)
    rmSync(root, { recursive: true })
  })
})
