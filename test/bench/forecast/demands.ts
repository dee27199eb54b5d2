// What is asked of the forecast against what it did: the moments of one run -> what it did not meet, by the page as shipped.

import { listFirings } from './pages.ts'
import { isAlert, type Moment } from './replay.ts'
import type { Demand } from './scenarios.ts'
import type { Run, Scenario } from './simulation.ts'

/** The rule is evaluated so often. */
const EVALUATION_SECONDS = 15
/** What is asked is asked at this interval; a longer one may be late by as much as it is longer. */
const USUAL_INTERVAL_SECONDS = 5

export function listComplaints(
  demand: Demand,
  parts: {
    readonly scenario: Scenario
    readonly run: Run
    readonly moments: readonly Moment[]
    readonly intervalSeconds: number
  },
): readonly string[] {
  const { run, moments } = parts
  const { onsetSeconds } = parts.scenario
  const grace = Math.max(0, parts.intervalSeconds - USUAL_INTERVAL_SECONDS)
  const failed = run.failedAtSeconds
  const end = failed ?? run.readings.at(-1)?.atSeconds ?? 0
  const firings = listFirings(moments, EVALUATION_SECONDS, end)
  if (demand.kind === 'safe') {
    if (failed !== undefined) return ['the scenario itself failed']
    return firings.map(({ fromSeconds }) => `a page at ${fromSeconds} s`)
  }
  if (failed === undefined) return ['the scenario did not fail']
  const early = firings.filter(({ fromSeconds }) => fromSeconds < onsetSeconds)
  const complaints = early.map(({ fromSeconds }) => `a page at ${fromSeconds} s, before the onset`)
  if (demand.kind === 'step') {
    const alert = moments.find((one) => isAlert(one) && one.reading.atSeconds >= onsetSeconds)
      ?.reading.atSeconds
    const late = (alert ?? failed) - onsetSeconds
    if (late <= demand.withinSeconds + grace) return complaints
    return [...complaints, `an alert ${late.toFixed(1)} s after the onset`]
  }
  const last = firings.at(-1)
  const lead = last !== undefined && last.toSeconds >= failed ? failed - last.fromSeconds : 0
  if (lead >= demand.leadSeconds - grace) return complaints
  return [...complaints, `a page only ${lead.toFixed(0)} s before the failure`]
}
