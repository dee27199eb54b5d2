// One run, judged: what the forecast and each baseline said at its instants, and whom the shipped page called.

import type { Weights } from '../../../src/model/forecast/risk.ts'
import { baselines } from './baselines.ts'
import { type FamilyRun, listInstants } from './examples.ts'
import { HORIZON_SECONDS } from './family.ts'
import { judgePages, listFirings, type PageVerdict } from './pages.ts'
import { replay } from './replay.ts'

export interface Instant {
  readonly failed: boolean
  readonly riskRatio: number
  /** By baseline, what it is calibrated on. */
  readonly rows: readonly (readonly number[])[]
}

export interface JudgedRun {
  readonly family: string
  readonly instants: readonly Instant[]
  /** By EVALUATION_SECONDS. */
  readonly pages: readonly PageVerdict[]
  /** By PAGE_RISKS, evaluated as often as the first of EVALUATION_SECONDS says. */
  readonly curve: readonly PageVerdict[]
  /** Without a forecast yet. */
  readonly unknown: number
}

export const EVALUATION_SECONDS = [15, 60] as const
/** What the page could ask for. */
export const PAGE_RISKS = [0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9] as const

export function judgeRun(family: string, run: FamilyRun, weights?: Weights): JudgedRun {
  const moments = replay(run, weights)
  const { readings, failedAtSeconds } = run
  const failedAt = failedAtSeconds ?? Number.POSITIVE_INFINITY
  const instants: Instant[] = []
  let unknown = 0
  for (const at of listInstants(run)) {
    const index = moments.findIndex(({ reading }) => reading.atSeconds >= at)
    const moment = moments[index]
    if (moment?.riskRatio === undefined) {
      unknown++
      continue
    }
    const past = readings.slice(0, index + 1)
    instants.push({
      failed: failedAt - moment.reading.atSeconds <= HORIZON_SECONDS,
      riskRatio: moment.riskRatio,
      rows: baselines.map(({ read }) => read(past, HORIZON_SECONDS)),
    })
  }
  const end = failedAtSeconds ?? readings.at(-1)?.atSeconds ?? 0
  return {
    family,
    instants,
    unknown,
    pages: EVALUATION_SECONDS.map((seconds) =>
      judgePages(listFirings(moments, seconds, end), readings, failedAtSeconds),
    ),
    curve: PAGE_RISKS.map((risk) =>
      judgePages(listFirings(moments, EVALUATION_SECONDS[0], end, risk), readings, failedAtSeconds),
    ),
  }
}
