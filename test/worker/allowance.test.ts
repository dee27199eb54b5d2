import { describe, expect, test } from 'vitest'
import { allow, spend } from '../../src/worker/allowance.ts'

/** Spends on `queue` for some samples; returns how many were begun in each. */
async function spendFor(samples: number, queue: readonly number[], allowance: number) {
  const begun: number[] = []
  let credit = 0
  for (let sample = 0; sample < samples; sample++) {
    let count = 0
    credit = await spend(queue, credit, allowance, async (cost) => {
      count++
      return cost
    })
    begun.push(count)
  }
  return begun
}

describe('spend()', () => {
  test('begins while something is left', async () => {
    expect(await spendFor(1, [3, 3, 3, 3, 3], 10)).toEqual([4])
  })

  test('what one thing cost too much is owed by the next samples', async () => {
    expect(await spendFor(8, [80], 20)).toEqual([1, 0, 0, 0, 1, 0, 0, 0])
  })

  test('what is not spent is not saved', async () => {
    expect(await spendFor(3, [], 10)).toEqual([0, 0, 0])
    expect(await spend([1, 1, 1], 10, 2, async (cost) => cost)).toBe(0)
  })
})

describe('allow()', () => {
  test('new namespaces may cost more than the budget for a while, quiet ones a small part of it', () => {
    expect(allow(0.1)).toMatchObject({ firstSeconds: 0.25, turnSeconds: expect.closeTo(0.0025, 5) })
    expect(allow(0.02).turnSeconds).toBeCloseTo(0.0005, 5)
    expect(allow(5).turnSeconds).toBe(0.0025)
  })
})
