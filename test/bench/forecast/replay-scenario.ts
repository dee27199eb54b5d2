// One seed of a named scenario: simulated, forecast and judged.

import { listComplaints } from './demands.ts'
import { createRandom } from './random.ts'
import { replay } from './replay.ts'
import type { NamedScenario } from './scenarios.ts'
import { simulate } from './simulation.ts'

export function replayScenario(
  named: NamedScenario,
  seed: string,
  intervalSeconds: number,
): readonly string[] {
  const random = createRandom(`${seed} ${named.name}`)
  const scenario = named.create(random)
  const run = simulate(scenario, random, intervalSeconds)
  return listComplaints(named.demand, { scenario, run, moments: replay(run), intervalSeconds })
}
