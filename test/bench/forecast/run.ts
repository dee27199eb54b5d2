// npm run bench:forecast: two halves of the families; each is judged with weights, and against baselines, that were learned on
// the other one -> RESULTS.md. BENCH_SALT names other seeds, BENCH_RUNS how many runs of each family there are.

import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import type { Weights } from '../../../src/model/forecast/risk.ts'
import { renderAblation } from './ablation.ts'
import { baselines } from './baselines.ts'
import { renderCpu } from './cpu.ts'
import { simulateFamily, takeInterval } from './examples.ts'
import { families, type Half, SPLIT_SEED, takeHalf } from './families.ts'
import { type JudgedRun, judgeRun } from './judge.ts'
import { drawLessons, learnWeights } from './lessons.ts'
import { learn } from './network.ts'
import { createRandom } from './random.ts'
import { checkPart, type Part, renderPart } from './report.ts'

const RUNS = 28
const runCount = Number(process.env.BENCH_RUNS ?? RUNS)
const salt = process.env.BENCH_SALT ?? readCommit()

function readCommit(): string {
  return execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8', stdio: 'pipe' }).trim()
}

function judgeHalf(half: Half, weights: Weights | undefined): readonly JudgedRun[] {
  return families
    .filter((family) => takeHalf(family) === half)
    .flatMap((family) =>
      Array.from({ length: runCount }, (_, run) =>
        judgeRun(family.name, simulateFamily(family, `${salt} ${run}`, takeInterval(run)), weights),
      ),
    )
}

/** What each baseline makes of the runs of the other half. */
function calibrate(runs: readonly JudgedRun[]): readonly Weights[] {
  return baselines.map(({ hidden, dangers }, i) => {
    const lessons = runs.flatMap(({ instants }) =>
      instants.map(({ failed, rows }) => ({ inputs: rows[i] ?? [], failed, weight: 1 })),
    )
    return learn(lessons, createRandom(SPLIT_SEED), { hidden, dangers, passes: 20, decay: 1e-5 })
  })
}

function drawHalf(half: Half) {
  return drawLessons(
    families.filter((one) => takeHalf(one) === half),
    runCount,
  )
}

const tell = (what: string) => console.error(`${what}: ${process.uptime().toFixed(0)} s`)
const lessons = { development: drawHalf('development'), 'held out': drawHalf('held out') }
const learned = {
  development: learnWeights(lessons.development),
  'held out': learnWeights(lessons['held out']),
}
tell('learned')
const heldOut = judgeHalf('held out', learned.development)
const development = judgeHalf('development', learned['held out'])
tell('judged')
const parts: readonly Part[] = [
  { name: 'Held-out half', runs: heldOut, calibrated: calibrate(development) },
  { name: 'Development half', runs: development, calibrated: calibrate(heldOut) },
]
const checks = parts.flatMap(checkPart)
const report = [
  '# Forecast bench\n',
  `Written by \`npm run bench:forecast\`; seeds of the runs from \`${salt}\`, halves drawn by \`${SPLIT_SEED}\`,`,
  `${runCount} runs of each family, horizon 15 min, a sample every 5 s (of eight runs one each every 1, 15 and 60 s).\n`,
  'Each half is judged with weights that were learned on the other half; the baselines are calibrated on the other half too.',
  'The shipped weights are learned on both. The form of the forecast was developed on the development half.\n',
  ...parts.map(renderPart),
  renderAblation([lessons.development, lessons['held out']]),
  ...families.filter(({ name }) => name === 'ramp').map(renderCpu),
  ...checks.map(({ claim, met }) => `* ${met ? 'met' : '**MISSED**'}: ${claim}`),
  '',
].join('\n')
console.log(report)
if (runCount >= RUNS) writeFileSync(new URL('RESULTS.md', import.meta.url), report)
tell('done')
process.exitCode = checks.every(({ met }) => met) ? 0 : 1
