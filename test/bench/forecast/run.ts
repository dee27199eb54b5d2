// npm run bench:forecast: every scenario over its seeds, the random traces, the baselines -> one report on the console and in
// RESULTS.md. Ends with 1 when something that was asked is missed. With BENCH_SEEDS, BENCH_TRACES (at 5 s) or BENCH_SALT it is
// another bench: one that is too small says so, writes no file and ends with 1.

import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { judgeTrace } from './calibration.ts'
import { scoreOracle } from './oracle.ts'
import { replayScenario } from './replay-scenario.ts'
import {
  checkBrier,
  checkCalibration,
  checkScenarios,
  renderAllowance,
  renderCalibration,
  renderInterval,
  renderScenarios,
  type ScenarioResult,
} from './report.ts'
import { namedScenarios } from './scenarios.ts'

const INTERVAL_SECONDS = 5
const FIXED_TRACES = 20
const LEAST_SEEDS = 20
const LEAST_TRACES = 200
/** Other intervals get less: one of a second takes as long as five of five seconds. */
const OTHER_INTERVALS = [
  { intervalSeconds: 1, seeds: 5, traces: 60 },
  { intervalSeconds: 15, seeds: 5, traces: 200 },
  { intervalSeconds: 60, seeds: 5, traces: 200 },
] as const

function readCommit(): string {
  try {
    return execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8', stdio: 'pipe' }).trim()
  } catch {
    return 'no commit'
  }
}

const commit = process.env.BENCH_SALT ?? readCommit()
const seedCount = Number(process.env.BENCH_SEEDS ?? LEAST_SEEDS)
const traceCount = Number(process.env.BENCH_TRACES ?? 1000)
const listSeeds = (count: number) => Array.from({ length: count }, (_, i) => `${commit} ${i}`)

function benchScenarios(intervalSeconds: number, seeds: readonly string[]): ScenarioResult[] {
  return namedScenarios.map((named) => {
    const verdicts = seeds.map((seed) => replayScenario(named, seed, intervalSeconds))
    console.error(`${named.name} every ${intervalSeconds} s: ${process.uptime().toFixed(0)} s`)
    return { name: named.name, demand: named.demand, verdicts }
  })
}

function benchTraces(intervalSeconds: number, count: number) {
  const seeds = [
    ...Array.from({ length: FIXED_TRACES }, (_, i) => `fixed trace ${i}`),
    ...Array.from({ length: count }, (_, i) => `${commit} trace ${i}`),
  ]
  const traces = seeds.map((seed) => judgeTrace(seed, intervalSeconds))
  console.error(`traces every ${intervalSeconds} s: ${process.uptime().toFixed(0)} s`)
  const tooEarly = traces.filter((one) => one.length === 0).length
  return { judged: traces.flat(), tooEarly, used: seeds.length - tooEarly }
}

const seeds = listSeeds(seedCount)
const results = benchScenarios(INTERVAL_SECONDS, seeds)
const { judged, tooEarly, used } = benchTraces(INTERVAL_SECONDS, traceCount)
const others = OTHER_INTERVALS.map(({ intervalSeconds, ...size }) => ({
  intervalSeconds,
  results: benchScenarios(intervalSeconds, listSeeds(Math.min(seedCount, size.seeds))),
  ...benchTraces(intervalSeconds, Math.min(traceCount, size.traces)),
}))
const isLarge = seedCount >= LEAST_SEEDS && used >= LEAST_TRACES
const checks = [
  ...checkScenarios(results),
  ...checkCalibration(judged),
  ...others.flatMap((one) => [
    ...checkScenarios(one.results, one.intervalSeconds),
    ...checkBrier(one.judged, one.intervalSeconds),
  ]),
]
const report = [
  '# Forecast bench\n',
  `Written by \`npm run bench:forecast\`; seeds from \`${commit}\` and ${FIXED_TRACES} fixed ones.`,
  `Capacity 28,232 ports, a sample every ${INTERVAL_SECONDS} s, horizon 15 min, alert = risk of at least 0.5,`,
  `${seedCount} seeds for each scenario.\n`,
  renderScenarios(results),
  renderAllowance(results, scoreOracle(seeds)),
  `${used} random traces, ten instants each between onset and failure (${tooEarly} more failed before either):\n`,
  renderCalibration(judged),
  '## Other intervals\n',
  'What comes later than every 5 s may be late by as much. Of five seeds one may miss what is to be seen; none may alert for',
  'nothing, but one may at a step in a range of 1,000 ports, where chance moves the rate by as much as is free.\n',
  ...others.map(renderInterval),
  ...checks.map(({ claim, met }) => `* ${met ? 'met' : '**MISSED**'}: ${claim}`),
  '',
].join('\n')
console.log(report)
if (isLarge) writeFileSync(new URL('RESULTS.md', import.meta.url), report)
else {
  console.error(`Too small to judge by: it takes ${LEAST_SEEDS} seeds and ${LEAST_TRACES} traces.`)
}
console.error(`${process.uptime().toFixed(0)} s`)
process.exitCode = isLarge && checks.every((check) => check.met) ? 0 : 1
