import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { optionNames } from '../../src/config/options.ts'
import { nearest, quote } from '../../src/config/problem.ts'

describe('nearest()', () => {
  test('finds every option from one typing error of any kind', () => {
    const name = fc.constantFrom(...optionNames.filter((option) => option.length > 5))
    fc.assert(
      fc.property(name, fc.nat(), (option, seed) => {
        const i = 1 + (seed % (option.length - 2))
        const [before, after] = [option.slice(0, i), option.slice(i)]
        expect(nearest(before + after.slice(1), optionNames)).toBe(option)
        expect(nearest(`${before}x${after}`, optionNames)).toBe(option)
        expect(nearest(`${before}x${after.slice(1)}`, optionNames)).toBe(option)
        expect(nearest(before + after[1] + after[0] + after.slice(2), optionNames)).toBe(option)
      }),
    )
  })

  test('finds nothing where nothing is near', () => {
    expect(nearest('kubeconfig', optionNames)).toBeUndefined()
    expect(nearest('', optionNames)).toBeUndefined()
    expect(nearest('x'.repeat(1_000_000), optionNames)).toBeUndefined()
  })
})

describe('quote()', () => {
  test('lets no control character through and stays short', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach a terminal
        expect(quote(text)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e\u2066]/)
        expect(quote(text).length).toBeLessThanOrEqual(62 * 6)
      }),
    )
    expect(quote('a"b\u001b[31m\u009b')).toBe('"a\\"b\\u001b[31m\\u009b"')
    expect(quote('y'.repeat(80))).toBe(`"${'y'.repeat(57)}..."`)
  })
})
