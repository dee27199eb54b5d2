import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { shortenLabel } from '../../src/owners/label.ts'

const bytesOf = (text: string) => Buffer.byteLength(text)

describe('shortenLabel()', () => {
  test.each(['', 'nginx.service', 'x'.repeat(256), 'ä'.repeat(128)])(
    'leaves %s as it is',
    (text) => {
      expect(shortenLabel(text)).toBe(text)
    },
  )

  test('cuts what has more bytes, and says so with a hash of all of it', () => {
    const cut = shortenLabel(`/${'x'.repeat(4_000)}`)
    expect(cut).toMatch(/^\/x{238}~[0-9a-f]{16}$/)
    expect(cut).toHaveLength(256)
  })

  test('has no control character of C1, and keeps every letter', () => {
    expect(shortenLabel('/a\u009b2J\u0085größe')).toBe('/a\\x9b2J\\x85größe')
    expect(shortenLabel('\u009b'.repeat(65))).toHaveLength(256)
  })

  test('keeps names apart that begin or end alike', () => {
    const names = ['a', 'b'].flatMap((end) => [
      `${'x'.repeat(300)}${end}`,
      `${end}${'x'.repeat(300)}`,
      `${'x'.repeat(239)}${end}${'x'.repeat(60)}`,
    ])
    expect(new Set(names.map((name) => shortenLabel(name))).size).toBe(names.length)
  })

  test('cuts between characters, whatever they are, at any length', () => {
    const anyText = fc.string({ unit: 'grapheme', minLength: 80, maxLength: 400 })
    fc.assert(
      fc.property(anyText, fc.integer({ min: 40, max: 300 }), (text, most) => {
        const cut = shortenLabel(text, most)
        expect(bytesOf(cut)).toBeLessThanOrEqual(most)
        // A half of a pair would not come back.
        expect(Buffer.from(cut).toString()).toBe(cut)
        const [beginning = ''] = cut.split(/~[0-9a-f]{16}$/)
        expect(text.startsWith(beginning)).toBe(true)
        expect(cut === text).toBe(bytesOf(text) <= most)
      }),
    )
  })
})
