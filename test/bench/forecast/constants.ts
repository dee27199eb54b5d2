// npx tsx test/bench/forecast/constants.ts: what each constant of the forecast earns. It is doubled and halved in a copy of the
// sources, the weights are learned anew on each half of the families, and judged on the other -> a table of Brier scores.
// BENCH_RUNS says how many runs of each family there are.

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const RUNS = Number(process.env.BENCH_RUNS ?? 3)
const ROOT = new URL('../../../', import.meta.url).pathname
const COPIED = ['src', 'test/bench/forecast', 'package.json'] as const

/** By file: those that are neither facts nor bounds of memory. */
const constants: Readonly<Record<string, readonly string[]>> = {
  forecast: ['REST_SHARE', 'REST_SECONDS', 'REST_MEAN_SECONDS'],
  history: ['BEFORE_STEP_SECONDS'],
  intervals: ['STEP_SECONDS', 'CHANGED_DEVIATIONS'],
  schedule: ['REFERENCE_SECONDS', 'LATE_LEAST_PORTS', 'LATE_MOST_SECONDS', 'LATE_WEIGHT'],
  trend: ['MEMORY_SECONDS', 'STEP_SHARE', 'STEP_LEAST_SPANS', 'MOST_STEPS', 'FEW_SPANS'].concat(
    'CONTRARY_DEVIATIONS',
  ),
  courses: ['CHANGE_DOUBT', 'LEAST_DOUBT'],
  piles: ['TURN_SHARE', 'TURN_DEVIATIONS', 'MOST_PEAKS', 'MEMORY_SECONDS', 'TREND_PEAKS'].concat(
    'LEAST_DEVIATION',
    'DOUBTED_PEAKS',
    'NOT_DUE_ERRORS',
  ),
  signals: ['MOST_ERRORS', 'FULL_REACH', 'FULL_DOUBT'],
}

/** The Brier score over both halves with one constant multiplied. */
async function measure(file: string, name: string, factor: number): Promise<number> {
  const copy = mkdtempSync(join(tmpdir(), 'forecast-constants-'))
  try {
    for (const path of COPIED) cpSync(join(ROOT, path), join(copy, path), { recursive: true })
    const source = join(copy, 'src/model/forecast', `${file}.ts`)
    const text = readFileSync(source, 'utf8')
    const changed = text.replace(
      new RegExp(`^const ${name} = ([\\d._]+)$`, 'm'),
      (_, value: string) => `const ${name} = ${Number(value.replaceAll('_', '')) * factor}`,
    )
    if (changed === text && factor !== 1) throw new RangeError(`${file}.ts has no ${name}`)
    writeFileSync(source, changed)
    const load = (module: string) =>
      import(pathToFileURL(join(copy, 'test/bench/forecast', module)).href)
    const { families, takeHalf }: typeof import('./families.ts') = await load('families.ts')
    const { drawLessons }: typeof import('./lessons.ts') = await load('lessons.ts')
    const { takeLearnedBrier }: typeof import('./ablation.ts') = await load('ablation.ts')
    const draw = (half: 'development' | 'held out') =>
      drawLessons(
        families.filter((one) => takeHalf(one) === half),
        RUNS,
      )
    return takeLearnedBrier([draw('development'), draw('held out')])
  } finally {
    rmSync(copy, { recursive: true })
  }
}

const show = (brier: number) => brier.toFixed(4)
console.log('| constant | doubled | halved |\n| --- | --- | --- |')
console.log(`| none | ${show(await measure('trend', 'none', 1))} | |`)
for (const [file, names] of Object.entries(constants)) {
  for (const name of names) {
    const [doubled, halved] = [await measure(file, name, 2), await measure(file, name, 0.5)]
    console.log(`| ${name} (${file}.ts) | ${show(doubled)} | ${show(halved)} |`)
  }
}
