import fc from 'fast-check'
import { expect, test } from 'vitest'
import { shareOut } from '../../src/model/share-out.ts'

test.each([
  [10, [1], [10]],
  [10, [3, 1], [8, 2]],
  [7, [1, 1], [4, 3]],
  [5, [1, 2], [2, 3]],
  [7, [1, 1, 1, 1], [2, 2, 2, 1]],
  [0, [5, 6], [0, 0]],
  [3, [0, 0], [2, 1]],
  [4180, [907, 913], [2083, 2097]],
])('shareOut() splits %d by %o into %o', (whole, weights, parts) => {
  expect(shareOut(whole, weights)).toEqual(parts)
})

test('shareOut() loses nothing, and is off by less than one', () => {
  const weights = fc.array(fc.nat(1000), { minLength: 1, maxLength: 20 })
  fc.assert(
    fc.property(fc.nat(1_000_000), weights, (whole, given) => {
      const parts = shareOut(whole, given)
      expect(parts.reduce((sum, part) => sum + part, 0)).toBe(whole)
      const sum = given.reduce((total, weight) => total + weight, 0)
      for (const [index, part] of parts.entries()) {
        const exact = (whole * (sum === 0 ? 1 : (given[index] ?? 0))) / (sum || given.length)
        expect(Math.abs(part - exact)).toBeLessThan(1)
      }
    }),
  )
})
