import { expect, test } from 'vitest'
import { parseGoDurationMs, parseYamlInteger } from '../../../src/web/protection/go-values.ts'

test.each([
  ['0', 0],
  ['1s', 1000],
  ['+5s', 5000],
  ['-1s', -1000],
  ['1.5s', 1500],
  ['.5s', 500],
  ['5.s', 5000],
  ['1h1m1s1ms', 3_661_001],
  ['250us', 0.25],
  ['250\u00b5s', 0.25],
  ['250\u03bcs', 0.25],
  ['1000000000', 1000],
  ['5', 5e-6],
  ['', undefined],
  ['.s', undefined],
  ['1d', undefined],
  ['s', undefined],
  ['1s ', undefined],
  ['1s-1s', undefined],
])('parseGoDurationMs() reads %j as %j', (text, ms) => {
  expect(parseGoDurationMs(text)).toBe(ms)
})

test.each([
  ['5', 5],
  ['+5', 5],
  ['-5', -5],
  ['1_000', 1000],
  ['0x10', 16],
  ['0b11', 3],
  ['0o17', 15],
  ['017', 15],
  ['08', 8],
  ['5.0', 5],
  ['5.9', 5],
  ['1e3', 1000],
  ['', undefined],
  ['_', undefined],
  ['.', undefined],
  ['5s', undefined],
  ['0x', undefined],
  ['five', undefined],
])('parseYamlInteger() reads %j as %j', (text, number) => {
  expect(parseYamlInteger(text)).toBe(number)
})
