// npx tsx test/bench/forecast/constants.ts [name...]: what each constant of the forecast decides, or those that are named. It is
// doubled in a copy of the sources, the weights are learned anew on each half of the families, and judged on the other -> a
// table of Brier scores, with the family that suffers most. BENCH_RUNS says how many runs of each family there are. What decides
// about the last look ahead or when nothing is said is judged by what is published of two of these runs, with the shipped weights.

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { takeProbability, type Weights } from '../../../src/model/forecast/risk.ts'
import { JUDGED_WEIGHT, type ReachedLesson, simulateFamily, takeInterval } from './examples.ts'
import { families, SPLIT_SEED, takeHalf } from './families.ts'
import { learnWeights } from './lessons.ts'
import { addOutlooks, type Outlooks, takeOutlooks } from './published.ts'
import { doubleNumbers, listConstants, type SourceConstant } from './source-constants.ts'

const RUNS = Number(process.env.BENCH_RUNS ?? 6)
const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
/** What the lessons are made of: the last look ahead, and which destinations are followed, are not in them. */
const JUDGED = /^forecast\/(?!outlook)/
const LAST = /^forecast\/(outlook|forecast)/
const PUBLISHED_RUNS = 2
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

/** Uses a copy of the sources with one constant doubled, or with none. */
async function withDoubled<Result>(
  doubled: SourceConstant | undefined,
  use: (bench: URL) => Promise<Result>,
): Promise<Result> {
  const copy = mkdtempSync(join(tmpdir(), 'forecast-constants-'))
  try {
    for (const path of COPIED) cpSync(join(ROOT, path), join(copy, path), { recursive: true })
    if (doubled !== undefined) {
      const source = join(copy, 'src/model', doubled.file)
      const text = readFileSync(source, 'utf8')
      writeFileSync(source, text.replace(doubled.text, doubleNumbers(doubled)))
    }
    return await use(pathToFileURL(join(copy, 'test/bench/forecast/')))
  } finally {
    rmSync(copy, { recursive: true })
  }
}

function measure(doubled?: SourceConstant): Promise<Score> {
  return withDoubled(doubled, async (bench) => {
    const { listLessons }: typeof import('./examples.ts') = await import(`${bench}examples.ts`)
    return judge(
      simulated.map(({ runs, ...family }) => ({ ...family, lessons: runs.flatMap(listLessons) })),
    )
  })
}

/** Looks at what is published, by family. */
function look(doubled?: SourceConstant): Promise<ReadonlyMap<string, Outlooks>> {
  return withDoubled(doubled, async (bench) => {
    const { replay }: typeof import('./replay.ts') = await import(`${bench}replay.ts`)
    const seen = simulated.map(({ family, runs }): [string, Outlooks] => {
      const few = runs.slice(0, PUBLISHED_RUNS)
      return [family, addOutlooks(few.map((run) => takeOutlooks(run, replay(run))))]
    })
    return new Map(seen)
  })
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
  return `| ${name} | ${score.brier.toFixed(4)} | ${findWorst(score.byFamily, undoubled.byFamily)} |`
}

function findWorst(now: ReadonlyMap<string, number>, before: ReadonlyMap<string, number>): string {
  const [worst] = [...now]
    .map(([family, score]) => ({ family, score, earlier: before.get(family) ?? 0 }))
    .sort((a, b) => b.score - b.earlier - (a.score - a.earlier))
  if (worst === undefined || worst.score <= worst.earlier) return 'none'
  return `${worst.family}: ${worst.earlier.toFixed(3)} to ${worst.score.toFixed(3)}`
}

const takeFalse = ({ falseEtas, safe }: Outlooks) => falseEtas / Math.max(1, safe)
const takeError = ({ errors, failing }: Outlooks) => errors / Math.max(1, failing)

function renderLook(
  name: string,
  now: ReadonlyMap<string, Outlooks>,
  before: ReadonlyMap<string, Outlooks>,
): string {
  const all = addOutlooks([...now.values()])
  const cells = [takeFalse, takeError].flatMap((take) => {
    const map = (one: typeof now) =>
      new Map([...one].map(([family, sums]): [string, number] => [family, take(sums)]))
    return [take(all).toFixed(3), findWorst(map(now), map(before))]
  })
  return `| ${name} | ${all.unknown} | ${cells.join(' | ')} |`
}

const asked = process.argv.slice(2)
const chosen = listConstants().filter(
  ({ names }) => asked.length === 0 || names.split(', ').some((name) => asked.includes(name)),
)
const undoubled = await measure()
console.log('| doubled | Brier | suffers most |\n| --- | --- | --- |')
console.log(renderRow('none', undoubled, undoubled))
for (const one of chosen.filter(({ file }) => JUDGED.test(file))) {
  console.log(renderRow(`${one.names} (${one.file})`, await measure(one), undoubled))
}
const seen = await look()
console.log(
  '\n| doubled | unknown | ETA without a failure | suffers most | ETA off | suffers most |\n| --- | --- | --- | --- | --- | --- |',
)
console.log(renderLook('none', seen, seen))
for (const one of chosen.filter(({ file }) => LAST.test(file))) {
  console.log(renderLook(`${one.names} (${one.file})`, await look(one), seen))
}
console.error(`${(process.cpuUsage().user / 1e6).toFixed(0)} s of CPU`)
