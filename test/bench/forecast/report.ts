// The report of the forecast bench: judged runs -> Markdown.

import { takeProbability, type Weights } from '../../../src/model/forecast/risk.ts'
import { baselines } from './baselines.ts'
import { EVALUATION_SECONDS, type Instant, type JudgedRun, PAGE_RISKS } from './judge.ts'
import type { PageVerdict } from './pages.ts'

export interface Part {
  readonly name: string
  readonly runs: readonly JudgedRun[]
  /** By baseline, what it was calibrated to. */
  readonly calibrated: readonly Weights[]
}

export interface Check {
  readonly claim: string
  readonly met: boolean
}

const BINS = [0, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 1.01] as const
const SURE = 0.9
const PRECURSOR_SECONDS = 120
/** How long before a failure a page may come. */
const SEEN_SECONDS = [15, 60, 180, 300] as const

export function renderPart(part: Part): string {
  const instants = part.runs.flatMap((run) => run.instants)
  const unknown = part.runs.reduce((sum, run) => sum + run.unknown, 0)
  const families = [...new Set(part.runs.map(({ family }) => family))]
  return [
    `## ${part.name}\n`,
    `${families.length} families, ${part.runs.length} runs, ${instants.length} instants (${unknown} more before the forecast is known).\n`,
    '| forecast | Brier |\n| --- | --- |',
    `| this exporter | **${takeBrier(instants).toFixed(4)}** |`,
    ...scoreBaselines(part).map(({ name, brier }) => `| ${name} | ${brier.toFixed(4)} |`),
    '',
    '| risk | instants | mean risk | failed within the horizon |\n| --- | --- | --- | --- |',
    ...BINS.slice(1).map((high, i) => renderBin(instants, BINS[i] ?? 0, high)),
    '',
    '| page evaluated every | safe runs paged | false pages a day | failures with a precursor, missed | seen 15 s before | 1 min | 3 min | 5 min | all failures missed | pages a run |',
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
    ...EVALUATION_SECONDS.map((seconds, i) =>
      renderPages(
        `${seconds} s`,
        countPages(part.runs, (run) => run.pages[i]),
      ),
    ),
    '',
    '| page for a risk of | safe runs paged | false pages a day | failures with a precursor, missed | seen 15 s before | 1 min | 3 min | 5 min | all failures missed | pages a run |',
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
    ...PAGE_RISKS.map((risk, i) =>
      renderPages(
        `${risk}`,
        countPages(part.runs, (run) => run.curve[i]),
      ),
    ),
    '',
    '| family | runs | failed | Brier | safe runs paged | missed, with a precursor |',
    '| --- | --- | --- | --- | --- | --- |',
    ...families.map((family) =>
      renderFamily(
        family,
        part.runs.filter((run) => run.family === family),
      ),
    ),
    '',
  ].join('\n')
}

export function checkPart(part: Part): readonly Check[] {
  const instants = part.runs.flatMap((run) => run.instants)
  const brier = takeBrier(instants)
  const [best] = scoreBaselines(part).sort((a, b) => a.brier - b.brier)
  const sure = instants.filter(({ riskRatio }) => riskRatio >= SURE)
  const right = takeRatio(sure.filter(({ failed }) => failed).length, sure.length)
  const { safePaged, missed } = countPages(part.runs, ({ pages }) => pages[0])
  return [
    {
      claim: `Brier ${brier.toFixed(4)} is at most 0.75 of the best baseline's ${best?.brier.toFixed(4)} (${best?.name})`,
      met: brier <= 0.75 * (best?.brier ?? 0),
    },
    {
      claim: `of ${sure.length} instants with risk 0.9 or more at least 75 % fail: ${percent(right)}`,
      met: right >= 0.75,
    },
    {
      claim: `at most 10 % of the safe runs are paged: ${percent(safePaged)}`,
      met: safePaged <= 0.1,
    },
    {
      claim: `at most 20 % of the failures with a precursor of two minutes are missed: ${percent(missed)}`,
      met: missed <= 0.2,
    },
  ].map(({ claim, met }) => ({ claim: `${part.name}: ${claim}`, met }))
}

function scoreBaselines({ runs, calibrated }: Part): { name: string; brier: number }[] {
  const instants = runs.flatMap((run) => run.instants)
  return baselines.map(({ name }, i) => {
    const weights = calibrated[i]
    if (weights === undefined) throw new RangeError(`${name} is not calibrated`)
    return {
      name,
      brier: takeBrier(
        instants.map((one) => ({ ...one, riskRatio: takeProbability(weights, one.rows[i] ?? []) })),
      ),
    }
  })
}

function takeBrier(instants: readonly Pick<Instant, 'failed' | 'riskRatio'>[]): number {
  let sum = 0
  for (const { failed, riskRatio } of instants) sum += (riskRatio - (failed ? 1 : 0)) ** 2
  return takeRatio(sum, instants.length)
}

function renderBin(instants: readonly Instant[], low: number, high: number): string {
  const inside = instants.filter(({ riskRatio }) => riskRatio >= low && riskRatio < high)
  const mean = takeRatio(
    inside.reduce((sum, { riskRatio }) => sum + riskRatio, 0),
    inside.length,
  )
  const failed = takeRatio(inside.filter((one) => one.failed).length, inside.length)
  return `| ${low} to ${Math.min(1, high)} | ${inside.length} | ${mean.toFixed(2)} | ${failed.toFixed(2)} |`
}

function countPages(runs: readonly JudgedRun[], pick: (run: JudgedRun) => PageVerdict | undefined) {
  const verdicts = runs.flatMap((run) => pick(run) ?? [])
  const [safe, failures] = [
    verdicts.filter(({ failed }) => !failed),
    verdicts.filter(({ failed }) => failed),
  ]
  const foretold = failures.filter(({ precursorSeconds }) => precursorSeconds >= PRECURSOR_SECONDS)
  const isMissed = ({ leadSeconds }: { leadSeconds: number | undefined }) =>
    leadSeconds === undefined
  const safeSeconds = safe.reduce((sum, { watchedSeconds }) => sum + watchedSeconds, 0)
  return {
    safe: safe.length,
    foretold: foretold.length,
    failures: failures.length,
    safePaged: takeRatio(safe.filter(({ firings }) => firings > 0).length, safe.length),
    falseADay:
      takeRatio(
        safe.reduce((sum, { falsePages }) => sum + falsePages, 0),
        safeSeconds,
      ) * 86_400,
    missed: takeRatio(foretold.filter(isMissed).length, foretold.length),
    missedOfAll: takeRatio(failures.filter(isMissed).length, failures.length),
    /** By SEEN_SECONDS, of those with a precursor. */
    seen: SEEN_SECONDS.map((seconds) =>
      takeRatio(
        foretold.filter(({ leadSeconds = -1 }) => leadSeconds >= seconds).length,
        foretold.length,
      ),
    ),
    firings: takeRatio(
      verdicts.reduce((sum, { firings }) => sum + firings, 0),
      verdicts.length,
    ),
  }
}

function renderPages(name: string, one: ReturnType<typeof countPages>): string {
  return [
    `| ${name}`,
    `${percent(one.safePaged)} of ${one.safe}`,
    one.falseADay.toFixed(1),
    `${percent(one.missed)} of ${one.foretold}`,
    ...one.seen.map(percent),
    `${percent(one.missedOfAll)} of ${one.failures}`,
    `${one.firings.toFixed(2)} |`,
  ].join(' | ')
}

function renderFamily(family: string, runs: readonly JudgedRun[]): string {
  const instants = runs.flatMap((run) => run.instants)
  const pages = countPages(runs, (run) => run.pages[0])
  return [
    `| ${family}`,
    runs.length,
    pages.failures,
    takeBrier(instants).toFixed(3),
    `${Math.round(pages.safePaged * pages.safe)} of ${pages.safe}`,
    `${Math.round(pages.missed * pages.foretold)} of ${pages.foretold} |`,
  ].join(' | ')
}

function takeRatio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole
}

function percent(ratio: number): string {
  return `${(100 * ratio).toFixed(0)} %`
}
