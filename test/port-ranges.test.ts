import { expect, test } from 'vitest'
import { joinRanges } from '../src/port-ranges.ts'

test('joinRanges() sorts, and joins what overlaps or touches', () => {
  const ranges = [
    { first: 50, last: 60 },
    { first: 10, last: 20 },
    { first: 21, last: 30 },
    { first: 12, last: 13 },
    { first: 32, last: 32 },
    { first: 55, last: 70 },
  ]
  expect(joinRanges(ranges)).toEqual([
    { first: 10, last: 30 },
    { first: 32, last: 32 },
    { first: 50, last: 70 },
  ])
  expect(ranges[0]).toEqual({ first: 50, last: 60 })
  expect(joinRanges([])).toEqual([])
})
