import { describe, expect, test } from 'vitest'
import { advanceCost, stretchInterval } from '../../src/sampler/budget.ts'

const budget = { configuredIntervalMs: 5000, cpuRatio: 0.02 }

describe('stretchInterval()', () => {
  test.each([
    ['keeps the configured interval while samples are cheap', 0.01, false, 5000],
    ['keeps it at exactly the budget', 0.1, false, 5000],
    ['stretches it so that a sample of 300 ms takes 2 %', 0.3, false, 15_000],
    ['allows 5 % while a pool is strained', 0.3, true, 6000],
    ['never stretches beyond a minute', 30, false, 60_000],
    ['ignores a cost of nothing', 0, false, 5000],
  ])('%s', (_what, costSeconds, strained, want) => {
    expect(stretchInterval(budget, costSeconds, strained)).toBeCloseTo(want, 6)
  })

  test('never shortens an interval above a minute', () => {
    expect(stretchInterval({ ...budget, configuredIntervalMs: 300_000 }, 30, false)).toBe(300_000)
  })

  test('takes a budget of a whole core for no limit', () => {
    expect(stretchInterval({ configuredIntervalMs: 100, cpuRatio: 1 }, 0.09, true)).toBe(100)
  })
})

test('advanceCost() follows the costs of samples, one outlier moves it by less than a third', () => {
  expect(advanceCost(undefined, 0.4)).toBe(0.4)
  expect(advanceCost(0.1, 1.1)).toBeCloseTo(0.4, 9)
  let cost = 1
  for (let sample = 0; sample < 30; sample++) cost = advanceCost(cost, 0.1)
  expect(cost).toBeCloseTo(0.1, 3)
})
