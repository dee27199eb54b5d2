import { expect, test } from 'vitest'
import { hasIptablesNat } from '../../src/kernel/ip-tables.ts'
import { SourceError } from '../../src/observation.ts'

test.each<[boolean, string, string | undefined]>([
  [true, 'the table nat is there', 'nat\n'],
  [true, 'it is there among others', 'mangle\nnat\nfilter\n'],
  [false, 'other tables alone are', 'filter\nnatural\n'],
  [false, 'no table is', ''],
  [false, 'the kernel has none', undefined],
])('hasIptablesNat() is %s where %s', (expected, _name, text) => {
  expect(hasIptablesNat(() => text)).toBe(expected)
})

test('hasIptablesNat() asks of the thread, which alone is in the namespace', () => {
  const asked: string[] = []
  hasIptablesNat((path) => {
    asked.push(path)
    return ''
  })
  expect(asked).toEqual(['/proc/thread-self/net/ip_tables_names'])
})

test('hasIptablesNat() does not rule it out where the file may not be read', () => {
  expect(
    hasIptablesNat(() => {
      throw new SourceError('permission', 'Cannot read /proc/thread-self/net/ip_tables_names')
    }),
  ).toBe(true)
  expect(() =>
    hasIptablesNat(() => {
      throw new TypeError('a mistake of ours')
    }),
  ).toThrow(TypeError)
})
