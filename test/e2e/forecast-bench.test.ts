// A part of the forecast bench that fits into CI: a few runs of every family with the weights that are shipped. What
// `npm run bench:forecast` shows in full must not be lost between two runs of it.

import { describe, expect, test } from 'vitest'
import { simulateFamily, takeInterval } from '../bench/forecast/examples.ts'
import { families } from '../bench/forecast/families.ts'
import { judgeRun } from '../bench/forecast/judge.ts'
import { replayScenario } from '../bench/forecast/replay-scenario.ts'
import { namedScenarios } from '../bench/forecast/scenarios.ts'

/** The third of each family is sampled every 15 s, the others every 5 s. */
const RUNS = 5
const PRECURSOR_SECONDS = 120

test('risk is a probability over every family of load, and the page is for something', {
  timeout: 900_000,
}, () => {
  const runs = families.flatMap((family) =>
    Array.from({ length: RUNS }, (_, run) =>
      judgeRun(family.name, simulateFamily(family, `ci ${run}`, takeInterval(run))),
    ),
  )
  const instants = runs.flatMap((run) => run.instants)
  const rate = (of: readonly { readonly failed: boolean }[]) =>
    of.filter(({ failed }) => failed).length / of.length
  const base = rate(instants)
  const squares = instants.map(({ failed, riskRatio }) => (riskRatio - (failed ? 1 : 0)) ** 2)
  const brier = squares.reduce((sum, square) => sum + square, 0) / squares.length
  expect(brier / (base * (1 - base))).toBeLessThan(0.6)
  expect(rate(instants.filter(({ riskRatio }) => riskRatio >= 0.9))).toBeGreaterThan(0.75)
  expect(rate(instants.filter(({ riskRatio }) => riskRatio < 0.02))).toBeLessThan(0.05)
  const pages = runs.flatMap((run) => run.pages[0] ?? [])
  const foretold = pages.filter((one) => one.failed && one.precursorSeconds >= PRECURSOR_SECONDS)
  const seen = foretold.filter(({ leadSeconds }) => leadSeconds !== undefined)
  expect(seen.length / foretold.length).toBeGreaterThan(0.7)
})

describe('the forecast of a named scenario', () => {
  test.each(namedScenarios)('$name', (named) => {
    for (const intervalSeconds of [5, 15, 60]) {
      const complaints = replayScenario(named, 'ci', intervalSeconds)
      expect(complaints, `every ${intervalSeconds} s`).toEqual([])
    }
  })
})
