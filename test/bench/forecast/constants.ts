// npx tsx test/bench/forecast/constants.ts [name...]: what each constant of the forecast decides, or those that are named. It is
// doubled in a copy of the sources, the weights are learned anew on each half of the families, and judged on the other -> a
// table of Brier scores, with the family that suffers most. BENCH_RUNS says how many runs of each family there are.

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { takeProbability, type Weights } from '../../../src/model/forecast/risk.ts'
import { JUDGED_WEIGHT, type ReachedLesson, simulateFamily, takeInterval } from './examples.ts'
import { families, SPLIT_SEED, takeHalf } from './families.ts'
import { learnWeights } from './lessons.ts'
import { doubleNumbers, listConstants, type SourceConstant } from './source-constants.ts'

const RUNS = Number(process.env.BENCH_RUNS ?? 6)
const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
/** What the lessons are made of: the last look ahead, and which destinations are followed, are not in them. */
const JUDGED = /^forecast\/(?!outlook)/
const COPIED = ['src', 'test/bench/forecast', 'package.json'] as const

const simulated = families.map((family) => ({
  family: family.name,
  half: takeHalf(family),
  runs: Array.from({ length: RUNS }, (_, run) =>
    simulateFamily(family, `${SPLIT_SEED} lesson ${run}`, takeInterval(run)),
  ),
}))

interface Score {
  readonly brier: number
  readonly byFamily: ReadonlyMap<string, number>
}

/** The Brier scores with one constant doubled, or with none. */
async function measure(doubled?: SourceConstant): Promise<Score> {
  const copy = mkdtempSync(join(tmpdir(), 'forecast-constants-'))
  try {
    for (const path of COPIED) cpSync(join(ROOT, path), join(copy, path), { recursive: true })
    if (doubled !== undefined) {
      const source = join(copy, 'src/model', doubled.file)
      const text = readFileSync(source, 'utf8')
      writeFileSync(source, text.replace(doubled.text, doubleNumbers(doubled)))
    }
    const examples = pathToFileURL(join(copy, 'test/bench/forecast/examples.ts')).href
    const { listLessons }: typeof import('./examples.ts') = await import(examples)
    return judge(
      simulated.map(({ runs, ...family }) => ({ ...family, lessons: runs.flatMap(listLessons) })),
    )
  } finally {
    rmSync(copy, { recursive: true })
  }
}

/** Each family is judged by the weights that were learned on the half without it. */
function judge(
  taught: readonly {
    readonly family: string
    readonly half: string
    readonly lessons: readonly ReachedLesson[]
  }[],
): Score {
  const learned = new Map(
    [...new Set(taught.map(({ half }) => half))].map((half) => [
      half,
      learnWeights(taught.flatMap((one) => (one.half === half ? [] : one.lessons))),
    ]),
  )
  let [sum, count] = [0, 0]
  const byFamily = new Map<string, number>()
  for (const { family, half, lessons } of taught) {
    const weights = learned.get(half)
    if (weights === undefined) continue
    const squares = lessons
      .filter(({ weight }) => weight === JUDGED_WEIGHT)
      .map((lesson) => takeSquare(lesson, weights))
    const own = squares.reduce((total, square) => total + square, 0)
    byFamily.set(family, own / squares.length)
    sum += own
    count += squares.length
  }
  return { brier: sum / count, byFamily }
}

function takeSquare({ inputs, reach, failed }: ReachedLesson, weights: Weights): number {
  const risk = reach === 0 ? 0 : reach * takeProbability(weights, inputs)
  return (risk - (failed ? 1 : 0)) ** 2
}

function renderRow(name: string, score: Score, undoubled: Score): string {
  const [worst] = [...score.byFamily]
    .map(([family, brier]) => ({ family, brier, before: undoubled.byFamily.get(family) ?? 0 }))
    .sort((a, b) => b.brier - b.before - (a.brier - a.before))
  const suffers =
    worst === undefined || worst.brier <= worst.before
      ? 'none'
      : `${worst.family}: ${worst.before.toFixed(3)} to ${worst.brier.toFixed(3)}`
  return `| ${name} | ${score.brier.toFixed(4)} | ${suffers} |`
}

const asked = process.argv.slice(2)
const chosen = listConstants().filter(
  ({ names, file }) =>
    JUDGED.test(file) &&
    (asked.length === 0 || names.split(', ').some((name) => asked.includes(name))),
)
const undoubled = await measure()
console.log('| doubled | Brier | suffers most |\n| --- | --- | --- |')
console.log(renderRow('none', undoubled, undoubled))
for (const one of chosen) {
  console.log(renderRow(`${one.names} (${one.file})`, await measure(one), undoubled))
}
console.error(`${(process.cpuUsage().user / 1e6).toFixed(0)} s of CPU`)
