import { expect, test } from 'vitest'
import { createRateLimiter } from '../../../src/web/protection/rate-limit.ts'

test('createRateLimiter() lets a burst pass and then one for each interval', () => {
  let now = 0
  const passes = createRateLimiter({ intervalMs: 1000, burst: 3 }, () => now)
  const count = (asked: number) => Array.from({ length: asked }, passes).filter(Boolean).length
  expect(count(5)).toBe(3)
  now = 999
  expect(count(5)).toBe(0)
  now = 2000
  expect(count(5)).toBe(2)
  now = 1_000_000
  expect(count(5)).toBe(3)
})
