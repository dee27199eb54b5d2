// npm run bench:forecast: every scenario over its seeds, the random traces, the baselines -> one report on the console and in
// RESULTS.md. Ends with 1 when something that was asked is missed. BENCH_SEEDS, BENCH_TRACES and BENCH_SALT change its size.

import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { judgeTrace } from './calibration.ts'
import { judge } from './demands.ts'
import { scoreOracle } from './oracle.ts'
import { createRandom } from './random.ts'
import { replay } from './replay.ts'
import {
  checkCalibration,
  checkScenarios,
  renderAllowance,
  renderCalibration,
  renderScenarios,
  type ScenarioResult,
} from './report.ts'
import { type NamedScenario, namedScenarios } from './scenarios.ts'
import { simulate } from './simulation.ts'

const INTERVAL_SECONDS = 5
const FIXED_TRACES = 20

function readCommit(): string {
  try {
    return execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8', stdio: 'pipe' }).trim()
  } catch {
    return 'no commit'
  }
}

function benchScenario(named: NamedScenario, seeds: readonly string[]): ScenarioResult {
  const verdicts = seeds.map((seed) => {
    const random = createRandom(`${seed} ${named.name}`)
    const scenario = named.create(random)
    const run = simulate(scenario, random, INTERVAL_SECONDS)
    return judge(named.demand, { scenario, run, moments: replay(run) })
  })
  return { name: named.name, demand: named.demand, verdicts }
}

const commit = process.env.BENCH_SALT ?? readCommit()
const seedCount = Number(process.env.BENCH_SEEDS ?? 20)
const traceCount = Number(process.env.BENCH_TRACES ?? 1000)
const seeds = Array.from({ length: seedCount }, (_, i) => `${commit} ${i}`)
const results: ScenarioResult[] = []
for (const named of namedScenarios) {
  results.push(benchScenario(named, seeds))
  console.error(`${named.name}: done after ${process.uptime().toFixed(0)} s`)
}
const traces = [
  ...Array.from({ length: FIXED_TRACES }, (_, i) => `fixed trace ${i}`),
  ...Array.from({ length: traceCount }, (_, i) => `${commit} trace ${i}`),
]
const judgedTraces = traces.map(judgeTrace)
const judged = judgedTraces.flat()
const tooEarly = judgedTraces.filter((one) => one.length === 0).length
const checks = [...checkScenarios(results), ...checkCalibration(judged)]
const report = [
  '# Forecast bench\n',
  `Written by \`npm run bench:forecast\`; seeds from \`${commit}\` and ${FIXED_TRACES} fixed ones.`,
  `Capacity 28,232 ports, a sample every ${INTERVAL_SECONDS} s, horizon 15 min, alert = risk of at least 0.5,`,
  `${seedCount} seeds for each scenario.\n`,
  renderScenarios(results),
  renderAllowance(results, scoreOracle(seeds)),
  `${traces.length - tooEarly} random traces, ten instants each between onset and failure (${tooEarly} more failed before either):\n`,
  renderCalibration(judged),
  ...checks.map(({ claim, met }) => `* ${met ? 'met' : '**MISSED**'}: ${claim}`),
  '',
].join('\n')
console.log(report)
writeFileSync(new URL('RESULTS.md', import.meta.url), report)
console.error(`${process.uptime().toFixed(0)} s`)
process.exitCode = checks.every((check) => check.met) ? 0 : 1
