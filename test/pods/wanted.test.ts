import { expect, test } from 'vitest'
import { createWantedIds } from '../../src/pods/wanted.ts'

const backoff = { firstMs: 5000, longestMs: 300_000, random: () => 0 }

test('dueMs() is infinite when nothing is wanted', () => {
  expect(createWantedIds(backoff).dueMs(0)).toBe(Number.POSITIVE_INFINITY)
})

test('add() takes no more when a thousand are wanted', () => {
  const wanted = createWantedIds(backoff)
  wanted.add(
    Array.from({ length: 1000 }, (_, i) => `made-up-${i}`),
    0,
    500,
  )
  wanted.add(['one-more'], 0, 100)
  expect(wanted.dueMs(0)).toBe(500)
  wanted.settle((id) => id === 'made-up-0', 0, 0)
  wanted.add(['one-more'], 0, 100)
  expect(wanted.dueMs(0)).toBe(100)
})

test('settle() puts off only the ids whose turn it was when a list came in', () => {
  const wanted = createWantedIds(backoff)
  wanted.add(['early'], 0, 0)
  wanted.add(['late'], 0, 2000)
  wanted.settle(() => false, 1000, 1500)
  expect(wanted.dueMs(1500)).toBe(2000)
  wanted.settle((id) => id === 'late', 1500, 1600)
  expect(wanted.dueMs(1600)).toBe(6500)
})

test('dueMs() forgets an id when nobody has added it for ten minutes', () => {
  const wanted = createWantedIds(backoff)
  wanted.add(['asked-once', 'asked-again'], 0, 0)
  wanted.add(['asked-again'], 300_000, 300_000)
  wanted.settle((id) => id === 'asked-again', 0, 0)
  expect(wanted.dueMs(600_000)).toBe(5000)
  expect(wanted.dueMs(600_001)).toBe(Number.POSITIVE_INFINITY)
})
