// npx tsx test/bench/forecast/constants.ts: what each constant of the forecast decides. It is doubled in a copy of the sources, the
// weights are learned anew on each half of the families, and judged on the other -> a table of Brier scores. BENCH_RUNS says how
// many runs of each family there are.

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { takeLearnedBrier } from './ablation.ts'
import { simulateFamily, takeInterval } from './examples.ts'
import { families, SPLIT_SEED, takeHalf } from './families.ts'

const RUNS = Number(process.env.BENCH_RUNS ?? 3)
const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const COPIED = ['src', 'test/bench/forecast', 'package.json'] as const

/** By file, as patterns: those that are neither facts nor bounds of memory. Of a list all numbers are doubled. */
const constants: Readonly<Record<string, readonly string[]>> = {
  forecast: ['REST_SHARE', 'REST_SECONDS', 'REST_MEAN_SECONDS'],
  history: ['BEFORE_STEP_SECONDS'],
  intervals: ['STEP_SECONDS', 'CHANGED_DEVIATIONS'],
  schedule: ['REFERENCE_SECONDS', 'LATE_LEAST_PORTS', 'LATE_MOST_SECONDS', 'LATE_WEIGHT'],
  trend: ['MEMORY_SECONDS', 'STEP_SHARE', 'STEP_LEAST_SPANS', 'MOST_STEPS', 'FEW_SPANS'].concat(
    'CONTRARY_DEVIATIONS',
  ),
  courses: ['CHANGE_DOUBT', 'LEAST_DOUBT', 'LEAST_APART_SECONDS', 'MOST_FADED'],
  piles: ['TURN_SHARE', 'TURN_DEVIATIONS', 'MOST_PEAKS', 'MEMORY_SECONDS'].concat(
    'TREND_PEAKS',
    'LEAST_DEVIATION',
    'DOUBTED_PEAKS',
    'NOT_DUE_ERRORS',
  ),
  signals: ['.SECONDS, MINUTE.*', 'MOST_ERRORS', 'FULL_REACH', 'FULL_DOUBT'],
}

const halves = (['development', 'held out'] as const).map((half) =>
  families
    .filter((one) => takeHalf(one) === half)
    .flatMap((family) =>
      Array.from({ length: RUNS }, (_, run) =>
        simulateFamily(family, `${SPLIT_SEED} lesson ${run}`, takeInterval(run)),
      ),
    ),
)

/** The Brier score over both halves with one constant doubled, or with none. */
async function measure(file?: string, name?: string): Promise<string> {
  const copy = mkdtempSync(join(tmpdir(), 'forecast-constants-'))
  try {
    for (const path of COPIED) cpSync(join(ROOT, path), join(copy, path), { recursive: true })
    if (file !== undefined) {
      const source = join(copy, 'src/model/forecast', `${file}.ts`)
      const pattern = new RegExp(`(?<=^const ${name} = \\[?)[\\d._]+(?:, [\\d._]+)*(?=\\]?$)`, 'm')
      const text = readFileSync(source, 'utf8')
      if (!pattern.test(text)) throw new RangeError(`${file}.ts has no ${name}`)
      writeFileSync(
        source,
        text.replace(pattern, (values) => values.replaceAll(/[\d._]+/g, double)),
      )
    }
    const examples = pathToFileURL(join(copy, 'test/bench/forecast/examples.ts')).href
    const { listLessons }: typeof import('./examples.ts') = await import(examples)
    return takeLearnedBrier(halves.map((runs) => runs.flatMap(listLessons))).toFixed(4)
  } finally {
    rmSync(copy, { recursive: true })
  }
}

const double = (value: string) => String(2 * Number(value.replaceAll('_', '')))

console.log('| doubled | Brier |\n| --- | --- |')
console.log(`| none | ${await measure()} |`)
for (const [file, names] of Object.entries(constants)) {
  for (const name of names) {
    console.log(`| ${name} (${file}.ts) | ${await measure(file, name)} |`)
  }
}
