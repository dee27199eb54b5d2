import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  absolutePathValue,
  createDurationValue,
  createWholeNumberValue,
  filePathValue,
  listenAddressValue,
  parseDurationMs,
  ratioValue,
  switchValue,
  telemetryPathValue,
} from '../../src/config/values.ts'

describe('parseDurationMs()', () => {
  test.each([
    ['500ms', 500],
    ['5s', 5000],
    ['1m30s', 90_000],
    ['1h', 3_600_000],
    ['1d', 86_400_000],
    ['1w', 604_800_000],
    ['0s', 0],
    ['1m1ms', 60_001],
  ])('reads %s', (text, ms) => {
    expect(parseDurationMs(text)).toBe(ms)
  })

  test.each([
    '',
    '5',
    '1.5s',
    '-5s',
    '30s1m',
    '5s5s',
    ' 5s',
    '5S',
    '5 s',
    's',
    '1e3s',
    '5us',
    '5s\n',
  ])('refuses %j', (text) => {
    expect(parseDurationMs(text)).toBeUndefined()
  })

  test('adds its parts whatever they are', () => {
    const part = fc.nat(9999)
    fc.assert(
      fc.property(part, part, part, part, (h, m, s, ms) => {
        const want = ((h * 60 + m) * 60 + s) * 1000 + ms
        expect(parseDurationMs(`${h}h${m}m${s}s${ms}ms`)).toBe(want)
      }),
    )
  })
})

describe('createDurationValue()', () => {
  const { parse } = createDurationValue('100ms', '5m')

  test('includes both ends and nothing beyond', () => {
    expect(['100ms', '5m', '300s'].map(parse)).toStrictEqual([100, 300_000, 300_000])
    expect(['99ms', '5m1ms', '0s', `${'9'.repeat(400)}h`].map(parse)).toStrictEqual(
      Array(4).fill(undefined),
    )
  })
})

describe('listenAddressValue', () => {
  test.each([
    [':10132', undefined, 10_132],
    ['0.0.0.0:80', '0.0.0.0', 80],
    ['localhost:0', 'localhost', 0],
    ['node_1.example.org.:65535', 'node_1.example.org.', 65_535],
    ['[::]:9100', '::', 9100],
    ['[fe80::1%eth0]:9100', 'fe80::1%eth0', 9100],
    ['[127.0.0.1]:80', '127.0.0.1', 80],
  ])('takes %s', (text, host, port) => {
    expect(listenAddressValue.parse(text)).toStrictEqual({ text, host, port })
  })

  test.each([
    '',
    '10132',
    'localhost',
    ':',
    ':65536',
    ':-1',
    ':http',
    '::1:9100',
    '[::1]',
    '[]:80',
    '[localhost]:80',
    '[1.2.3]:80',
    '1.2.3:80',
    '256.1.1.1:80',
    'a b:80',
    '-a:80',
    'a..b:80',
    'http://a:80',
    'vsock://:80',
    ':1,:2',
    ':80\n',
  ])('refuses %j', (text) => {
    expect(listenAddressValue.parse(text)).toBeUndefined()
  })
})

describe('telemetryPathValue', () => {
  test.each(['/', '/metrics', '/a/b_c.d~e-f', '/metrics/', '/-/metrics', '/api/v1/snapshots'])(
    'takes %s',
    (text) => {
      expect(telemetryPathValue.parse(text)).toBe(text)
    },
  )

  test.each([
    '',
    'metrics',
    '/-/healthy',
    '/-/Ready/',
    '/API/v1/snapshot',
    '/api/v1/diagnosis',
    '/namespaces',
    '/Namespaces/host',
    '//',
    '/a//b',
    '/../metrics',
    '/a/.',
    '/m?x',
    '/:name',
    '/*all',
    '/m m',
    '/{m}',
    '/m%20',
  ])('refuses %j', (text) => {
    expect(telemetryPathValue.parse(text)).toBeUndefined()
  })
})

describe('ratioValue', () => {
  test('takes what is above 0 and up to 1', () => {
    expect(['0.02', '1', '1.0', '.5', '0.000001'].map(ratioValue.parse)).toStrictEqual([
      0.02, 1, 1, 0.5, 0.000001,
    ])
    expect(
      ['0', '0.0', '1.01', '-1', '2%', '', '.', '1e-3', 'NaN'].map(ratioValue.parse),
    ).toStrictEqual(Array(9).fill(undefined))
  })
})

describe('createWholeNumberValue()', () => {
  const { parse } = createWholeNumberValue(1, 1000)

  test('includes both ends and nothing but digits', () => {
    expect(['1', '1000', '007'].map(parse)).toStrictEqual([1, 1000, 7])
    expect(['0', '1001', '1.0', '+1', '1e2', '', ' 1', '0x1'].map(parse)).toStrictEqual(
      Array(8).fill(undefined),
    )
  })
})

describe('switchValue', () => {
  test('takes four words only', () => {
    expect(['true', '1', 'false', '0'].map(switchValue.parse)).toStrictEqual([
      true,
      true,
      false,
      false,
    ])
    expect(['yes', 'True', '', 'constructor', '__proto__'].map(switchValue.parse)).toStrictEqual(
      Array(5).fill(undefined),
    )
  })
})

describe('absolutePathValue', () => {
  test('drops slashes that say nothing', () => {
    expect(absolutePathValue.parse('//host//proc/')).toBe('/host/proc')
    expect(absolutePathValue.parse('/')).toBe('/')
    expect(absolutePathValue.parse('proc')).toBeUndefined()
    expect(absolutePathValue.parse('/pr\0oc')).toBeUndefined()
  })
})

describe('filePathValue', () => {
  test('takes relative paths, and none that could act on a terminal', () => {
    expect(filePathValue.parse('conf/e.yaml')).toBe('conf/e.yaml')
    expect(['', 'a\0b', 'a\u001b[2J', 'a\u009b'].map(filePathValue.parse)).toStrictEqual(
      Array(4).fill(undefined),
    )
  })
})
