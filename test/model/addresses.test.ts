import { describe, expect, test } from 'vitest'
import {
  isIpv4,
  isLoopback,
  parseAddress,
  parseEndpoint,
  renderAddress,
  renderEndpoint,
} from '../../src/model/addresses.ts'

/** The words of an address behind those of another one. */
const wordsOf = (text: string) =>
  Uint32Array.of(0x20010db8, 1, 2, 3, ...(parseAddress(text) ?? expect.unreachable(text)))

test.each([
  ['127.0.0.1', true],
  ['127.255.255.254', true],
  ['126.0.0.1', false],
  ['0.0.0.1', false],
  ['::1', true],
  ['::', false],
  ['::2', false],
  ['::1:0:1', false],
  ['::1:0:0:1', false],
  ['1::1', false],
  ['::7f00:1', false],
])('isLoopback() of %s is %s', (text, isSo) => {
  expect(isLoopback(wordsOf(text), 4)).toBe(isSo)
})

describe('an endpoint is told and read as', () => {
  test.each([
    ['10.0.0.5', '10.0.0.5:443', true],
    ['255.255.255.255', '255.255.255.255:443', true],
    ['::ffff:1:10.0.0.5', '[::ffff:1:a00:5]:443', false],
    ['2001:db8::8:0:0:1', '[2001:db8::8:0:0:1]:443', false],
    ['::', '[::]:443', false],
  ])('%s: %s', (text, endpoint, isOld) => {
    const words = wordsOf(text)
    expect(isIpv4(words, 4)).toBe(isOld)
    expect(renderEndpoint(words, 4, 443)).toBe(endpoint)
    expect(parseEndpoint(endpoint)).toEqual({ address: [...words.slice(4)], port: 443 })
    expect(renderAddress(words, 0)).toBe('2001:db8:0:1:0:2:0:3')
  })

  test.each(['', '10.0.0.5', '10.0.0.5:', '10.0.0:443x', 'host:443', '10.0.0.5:123456'])(
    'nothing: %s',
    (text) => {
      expect(parseEndpoint(text)).toBeUndefined()
    },
  )
})
