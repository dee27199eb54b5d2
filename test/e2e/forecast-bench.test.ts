// A part of the forecast bench that fits into CI: each scenario over a few seeds, and enough random traces to see calibration
// go. What `npm run bench:forecast` shows in full must not be lost between two runs of it.

import { describe, expect, test } from 'vitest'
import { judgeTrace, takeBins } from '../bench/forecast/calibration.ts'
import { replayScenario } from '../bench/forecast/replay-scenario.ts'
import { checkBrier } from '../bench/forecast/report.ts'
import { namedScenarios } from '../bench/forecast/scenarios.ts'

const TRACES = 100

/** Of what each interval once got wrong, and of what it sees the least of. */
const intervals = [
  { intervalSeconds: 5, seeds: 3, names: /./ },
  { intervalSeconds: 1, seeds: 2, names: /bursts|1,000|UDP|scale-down/ },
  { intervalSeconds: 15, seeds: 1, names: /./ },
  { intervalSeconds: 60, seeds: 3, names: /bursts|steady|plateau|sine|scale-down/ },
]

describe.each(intervals)('the forecast with a sample every $intervalSeconds s', (interval) => {
  const { intervalSeconds, seeds, names } = interval
  test.each(namedScenarios.filter(({ name }) => names.test(name)))('$name', (named) => {
    for (let seed = 0; seed < seeds; seed++) {
      const { complaints } = replayScenario(named, `ci ${seed}`, intervalSeconds)
      expect(complaints, `seed ${seed}`).toEqual([])
    }
  })
})

test(`risk is a probability over ${TRACES} random traces`, () => {
  const judged = Array.from({ length: TRACES }, (_, i) => judgeTrace(`ci ${i}`, 5)).flat()
  expect(checkBrier(judged).filter(({ met }) => !met)).toEqual([])
  const [lowest, ...higher] = takeBins(judged)
  expect(lowest?.frequency).toBeLessThan(0.12)
  expect(higher.at(-1)?.frequency).toBeGreaterThan(0.85)
})
