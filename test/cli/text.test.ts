import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { renderTable, shorten, wrap } from '../../src/cli/text.ts'
import {
  renderDuration,
  renderPercent,
  renderRisk,
  renderVisible,
} from '../../src/diagnosis/words.ts'

describe('renderPercent()', () => {
  test.each([
    [undefined, '-'],
    [0, '0.0%'],
    [0.00001, '0.1%'],
    [0.5, '50.0%'],
    [0.57, '57.0%'],
    [0.99999, '99.9%'],
    [1, '100.0%'],
  ])('of %s is %s', (ratio, text) => {
    expect(renderPercent(ratio)).toBe(text)
  })
})

describe('renderRisk()', () => {
  test('says 0 and 1 of certainty only', () => {
    expect([undefined, 0, 0.0001, 0.25, 0.9999, 1].map(renderRisk)).toStrictEqual([
      '-',
      '0.00',
      '0.01',
      '0.25',
      '0.99',
      '1.00',
    ])
  })
})

describe('renderDuration()', () => {
  test.each([
    [undefined, '-'],
    [0, '0s'],
    [0.4, '0s'],
    [59.6, '1m'],
    [61, '1m1s'],
    [3600, '1h'],
    [3725, '1h2m'],
    [90_061, '1d1h'],
    [864_000, '10d'],
  ])('of %s s is %s', (seconds, text) => {
    expect(renderDuration(seconds)).toBe(text)
  })
})

describe('renderTable()', () => {
  const columns = [
    { title: 'NAME', shrinks: true },
    { title: 'N', align: 'right' },
  ] as const

  test('aligns text to the left and numbers to the right', () => {
    expect(
      renderTable(columns, [
        ['a', '1'],
        ['long name', '1000'],
      ]),
    ).toStrictEqual(['NAME          N', 'a             1', 'long name  1000'])
  })

  test('takes the middle out of what does not fit', () => {
    expect(renderTable(columns, [['pod/shop/checkout-5d9c', '12345']], 19)).toStrictEqual([
      'NAME              N',
      'pod/sh…-5d9c  12345',
    ])
  })

  test('never exceeds the width while columns that shrink can give', () => {
    const cell = fc.string({ maxLength: 80 })
    fc.assert(
      fc.property(fc.array(fc.tuple(cell, fc.nat().map(String))), (rows) => {
        for (const line of renderTable(columns, rows, 30))
          expect(line.length).toBeLessThanOrEqual(30)
      }),
    )
  })

  test('lets no cell start a line or act on the terminal', () => {
    expect(renderTable(columns, [['a\nb\u001b[2J', '1']])[1]).toBe('a?b?[2J  1')
  })
})

describe('shorten()', () => {
  test('keeps both ends', () => {
    expect(shorten('[2001:db8::1234:5678]:443', 12)).toBe('[2001:…]:443')
    expect(shorten('abc', 3)).toBe('abc')
  })
})

describe('renderVisible()', () => {
  test('leaves letters of any script alone', () => {
    expect(renderVisible('Grüße 接続')).toBe('Grüße 接続')
  })
})

describe('wrap()', () => {
  test('breaks between words', () => {
    expect(wrap('one two three four', 9)).toStrictEqual(['one two', 'three', 'four'])
  })

  test('keeps all words in order and every line within the width', () => {
    const words = fc.array(fc.stringMatching(/^[a-z]{1,10}$/))
    fc.assert(
      fc.property(words, (list) => {
        const lines = wrap(list.join(' '), 12)
        expect(lines.join(' ')).toBe(list.join(' '))
        for (const line of lines) expect(line.length).toBeLessThanOrEqual(12)
      }),
    )
  })
})
