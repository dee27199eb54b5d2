// The bench's tables: verdicts and scores -> Markdown, which the console and RESULTS.md show alike.

import { baselines } from './baselines.ts'
import { type Bin, type Judged, takeBins, takeBrier, takeMean } from './calibration.ts'
import type { Verdict } from './demands.ts'
import type { OracleScore } from './oracle.ts'
import type { Demand } from './scenarios.ts'
import { kinds } from './traces.ts'

export interface ScenarioResult {
  readonly name: string
  readonly demand: Demand
  readonly verdicts: readonly Verdict[]
}

export interface Check {
  readonly claim: string
  readonly met: boolean
}

const RELIABILITY = 0.15

export function renderScenarios(results: readonly ScenarioResult[]): string {
  const rows = results.map(({ name, demand, verdicts }) => {
    const met = verdicts.filter((one) => one.met).length
    return [
      name,
      describeDemand(demand),
      `${met} of ${verdicts.length}`,
      describeOutcome(demand, verdicts),
      describeEta(verdicts),
    ]
  })
  return renderTable(
    ['scenario', 'asked', 'seeds that met it', 'seen', 'ETA error at 10 min (median)'],
    rows,
  )
}

/** The short form for an interval that is benched with less. */
export function renderInterval({
  intervalSeconds,
  results,
  judged,
  used,
}: {
  readonly intervalSeconds: number
  readonly results: readonly ScenarioResult[]
  readonly judged: readonly Judged[]
  readonly used: number
}): string {
  const rows = results.map(({ name, demand, verdicts }) => [
    name,
    `${verdicts.filter((one) => one.met).length} of ${verdicts.length}`,
    describeOutcome(demand, verdicts),
  ])
  const bins = takeBins(judged).map(({ count, meanRisk, frequency }) => {
    return `${count}: ${meanRisk.toFixed(2)} / ${frequency.toFixed(2)}`
  })
  return [
    `A sample every ${intervalSeconds} s:\n`,
    renderTable(['scenario', 'seeds that met it', 'seen'], rows),
    `${used} random traces: Brier score ${takeBrier(judged).toFixed(4)}; instants: mean risk / failed in five bins`,
    `${bins.join('; ')}\n`,
  ].join('\n')
}

/** What is asked with an allowance where the letter makes none: who keeps to the letter, the forecast and a median that knows all. */
export function renderAllowance(results: readonly ScenarioResult[], oracle: OracleScore): string {
  const lines = results.flatMap(({ name, demand, verdicts }) => {
    if (demand.kind !== 'gradual' || demand.passingPorts === undefined) return []
    const kept = verdicts.filter((one) => one.byTheLetter).length
    return [
      `ETA is asked to stay below the larger of 1.5 x actual and actual + 3 sqrt(TIME_WAIT) / slope. "${name}" has no`,
      `TIME_WAIT but ${demand.passingPorts} live ports that come and go, which take its place. With 1.5 x actual alone the forecast`,
      `meets it in ${kept} of ${verdicts.length} seeds, and one who knows every rate and which ports leak in ${oracle.byTheLetter} of ${oracle.seeds}`,
      `(with the allowance in ${oracle.withNoise} of ${oracle.seeds}).`,
    ]
  })
  return `${lines.join('\n')}\n`
}

export function checkScenarios(
  results: readonly ScenarioResult[],
  intervalSeconds?: number,
): readonly Check[] {
  return results.flatMap(({ name: scenario, demand, verdicts }) => {
    const missed = verdicts.filter((one) => !one.met).length
    const met = missed <= (intervalSeconds === undefined ? 0 : takeAllowed(demand))
    const name = `${describeInterval(intervalSeconds)}${scenario}`
    const seeds =
      intervalSeconds === undefined
        ? ''
        : `, ${verdicts.length - missed} of ${verdicts.length} seeds`
    const checks: Check[] = [{ claim: `${name}: ${describeDemand(demand)}${seeds}`, met }]
    if (demand.kind === 'gradual' && demand.etaError !== undefined) {
      const error = takeMedian(listEtaErrors(verdicts))
      const claim = `${name}: median ETA error at 10 min at most ${demand.etaError * 100} %`
      checks.push({ claim, met: error !== undefined && error <= demand.etaError })
    }
    return checks
  })
}

export function renderCalibration(judged: readonly Judged[]): string {
  const base = takeMean(judged.map((one) => one.outcome))
  const scores: readonly (readonly [string, number])[] = [
    ['risk of this exporter', takeBrier(judged)],
    ...baselines.map(
      (one, i) => [one.name, takeBrier(judged, (point) => point.baselines[i] ?? 0)] as const,
    ),
    [`always the base rate (${(base * 100).toFixed(0)} %)`, takeBrier(judged, () => base)],
  ]
  const byKind = kinds.map(({ kind, ranges }) => {
    const points = judged.filter((one) => one.kind === kind)
    return [
      kind,
      ranges,
      String(points.length),
      takeMean(points.map((one) => one.outcome)).toFixed(2),
      takeBrier(points).toFixed(3),
      ...baselines.map((_, i) => takeBrier(points, (one) => one.baselines[i] ?? 0).toFixed(3)),
    ]
  })
  const bins = takeBins(judged).map((bin) => [
    `${bin.from.toFixed(1)} to ${bin.to.toFixed(1)}`,
    String(bin.count),
    bin.meanRisk.toFixed(2),
    bin.frequency.toFixed(2),
  ])
  return [
    renderTable(
      ['forecast', 'Brier score'],
      scores.map(([name, score]) => [name, score.toFixed(4)]),
    ),
    renderTable(['risk', 'instants', 'mean risk', 'failed within the horizon'], bins),
    renderTable(
      [
        'kind of trace',
        'drawn from',
        'instants',
        'failed',
        'Brier',
        ...baselines.map((one) => one.name),
      ],
      byKind,
    ),
  ].join('\n')
}

export function checkCalibration(judged: readonly Judged[]): readonly Check[] {
  const base = takeMean(judged.map((one) => one.outcome))
  const reliable = (bin: Bin) => Math.abs(bin.meanRisk - bin.frequency) <= RELIABILITY
  return [
    {
      claim: `base rate ${base.toFixed(2)} is between 0.2 and 0.6`,
      met: base >= 0.2 && base <= 0.6,
    },
    ...checkBrier(judged),
    {
      claim: `reliability within ${RELIABILITY} in five bins`,
      met: takeBins(judged).every(reliable),
    },
  ]
}

/** What can be asked of fewer traces, whose bins hold too few to be judged. */
export function checkBrier(judged: readonly Judged[], intervalSeconds?: number): readonly Check[] {
  const base = takeMean(judged.map((one) => one.outcome))
  const score = takeBrier(judged)
  const best = Math.min(
    ...baselines.map((_, i) => takeBrier(judged, (one) => one.baselines[i] ?? 0)),
  )
  const name = `${describeInterval(intervalSeconds)}Brier score ${score.toFixed(4)}`
  return [
    {
      claim: `${name} is at most half of the best baseline's ${best.toFixed(4)}`,
      met: score <= best / 2,
    },
    {
      claim: `${name} is at most half of the base rate's ${(base * (1 - base)).toFixed(4)}`,
      met: score <= (base * (1 - base)) / 2,
    },
  ]
}

export function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return `${[line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')}\n`
}

/** Seeds that may miss it at another interval: none may cry wolf, but where chance moves the rate by as much as is free. */
function takeAllowed(demand: Demand): number {
  if (demand.kind === 'safe') return demand.fewPorts ? 1 : 0
  return demand.kind === 'passing' ? 0 : 1
}

function describeInterval(intervalSeconds: number | undefined): string {
  return intervalSeconds === undefined ? '' : `every ${intervalSeconds} s: `
}

function describeDemand(demand: Demand): string {
  switch (demand.kind) {
    case 'safe':
      return 'no alert'
    case 'passing':
      return `no alert after the first ${demand.withinSeconds} s of it`
    case 'gradual':
      return `alert at least ${demand.leadSeconds / 60} min before the failure, and no end to it`
    case 'step':
      return `alert within ${demand.withinSeconds} s of the onset`
    case 'share':
      return `alert with at least ${demand.leftRatio * 100} % of the time left`
  }
}

function describeOutcome(demand: Demand, verdicts: readonly Verdict[]): string {
  const complaint = verdicts.find((one) => one.complaints.length > 0)?.complaints[0]
  const trouble = complaint === undefined ? '' : `; ${complaint}`
  if (demand.kind === 'safe' || demand.kind === 'passing') {
    const highest = Math.max(...verdicts.map((one) => one.highestRisk))
    return `highest risk ${highest.toFixed(2)}${trouble}`
  }
  const seconds = verdicts.map((one) => one.alertSeconds ?? 0)
  const range = `${Math.min(...seconds).toFixed(0)} to ${Math.max(...seconds).toFixed(0)} s`
  return demand.kind === 'step'
    ? `alert ${range} after the onset${trouble}`
    : `alert ${range} before the failure${trouble}`
}

function describeEta(verdicts: readonly Verdict[]): string {
  const error = takeMedian(listEtaErrors(verdicts))
  return error === undefined ? '' : `${(error * 100).toFixed(0)} %`
}

function listEtaErrors(verdicts: readonly Verdict[]): readonly number[] {
  return verdicts.flatMap((one) => (one.etaError === undefined ? [] : [Math.abs(one.etaError)]))
}

function takeMedian(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b)
  const [low, high] = [
    sorted[Math.floor((sorted.length - 1) / 2)],
    sorted[Math.floor(sorted.length / 2)],
  ]
  return low === undefined || high === undefined ? undefined : (low + high) / 2
}
