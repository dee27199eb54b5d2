// The page as it is shipped (deploy/prometheus/alerts.yaml, EphemeralPortExhaustionPredicted): what was forecast, evaluated
// every so often -> when somebody was paged, and whether it was for something.

import { readFileSync } from 'node:fs'
import type { Moment } from './replay.ts'
import type { Reading } from './simulation.ts'

const rules = readFileSync(
  new URL('../../../deploy/prometheus/alerts.yaml', import.meta.url),
  'utf8',
)
const [RISK, CLEAR_RISK, ETA_SECONDS, USED_RATIO, FULL_RATIO] = [
  readThreshold('criticalRisk'),
  readThreshold('criticalRiskClear'),
  readThreshold('criticalEtaSeconds'),
  readThreshold('criticalUtilization'),
  readThreshold('criticalFullUtilization'),
]
/** The risk is averaged over what was scraped within that time, and must be known for so long. */
const MEAN_SECONDS = 120
/** A page is for something when the pool fails so soon after it. */
const MEANT_SECONDS = 900
/** The climb to a failure begins where this part of it is done. */
const BEGUN_RATIO = 0.1
/** Of the capacity: a smaller fall is part of the climb. */
const FALL_RATIO = 0.1

/** What was forecast at a moment. */
type Look = Pick<Moment, 'riskRatio' | 'etaSeconds' | 'usedRatio'> & {
  readonly reading: Pick<Reading, 'atSeconds'>
}

export interface Firing {
  readonly fromSeconds: number
  readonly toSeconds: number
}

export function listFirings(
  moments: readonly Look[],
  everySeconds: number,
  endSeconds: number,
  pageRisk = RISK,
): readonly Firing[] {
  const firings: Firing[] = []
  /** What each evaluation scraped of the risk. */
  const scraped: (number | undefined)[] = []
  const span = MEAN_SECONDS / everySeconds
  let from = Number.NaN
  let next = 0
  let last: (typeof moments)[number] | undefined
  for (let at = 0; at <= endSeconds; at += everySeconds) {
    while ((moments[next]?.reading.atSeconds ?? Number.POSITIVE_INFINITY) <= at)
      last = moments[next++]
    const { riskRatio = 0, etaSeconds = Number.POSITIVE_INFINITY, usedRatio = 0 } = last ?? {}
    scraped.push(last?.riskRatio)
    if (!Number.isNaN(from)) {
      if (riskRatio >= CLEAR_RISK) continue
      firings.push({ fromSeconds: from, toSeconds: at })
      from = Number.NaN
    }
    if (riskRatio < CLEAR_RISK) continue
    const known = scraped.slice(-span).filter((one) => one !== undefined)
    const mean = known.reduce((sum, one) => sum + one, 0) / Math.max(1, known.length)
    const stays =
      mean >= pageRisk &&
      scraped.at(-1 - span) !== undefined &&
      etaSeconds < ETA_SECONDS &&
      usedRatio >= USED_RATIO
    const isUrgent = riskRatio < 1 && riskRatio >= pageRisk && usedRatio >= FULL_RATIO
    if (stays || isUrgent) from = at
  }
  if (!Number.isNaN(from)) firings.push({ fromSeconds: from, toSeconds: endSeconds })
  return firings
}

function readThreshold(name: string): number {
  const value = new RegExp(`([\\d.]+) # threshold: ${name}\\n`).exec(rules)?.[1]
  if (value === undefined) throw new RangeError(`alerts.yaml has no threshold ${name}`)
  return Number(value)
}

export interface PageVerdict {
  readonly failed: boolean
  readonly firings: number
  /** Pages that no failure followed soon. */
  readonly falsePages: number
  readonly watchedSeconds: number
  /** From the page to the failure; undefined where nobody was paged. */
  readonly leadSeconds: number | undefined
  /** How long the climb that ended in the failure could be seen. */
  readonly precursorSeconds: number
}

export function judgePages(
  firings: readonly Firing[],
  readings: readonly Reading[],
  failedAtSeconds: number | undefined,
): PageVerdict {
  const end = failedAtSeconds ?? readings.at(-1)?.atSeconds ?? 0
  const isMeant = ({ fromSeconds, toSeconds }: Firing) =>
    failedAtSeconds !== undefined &&
    (failedAtSeconds - fromSeconds <= MEANT_SECONDS || toSeconds >= failedAtSeconds)
  const last = firings.at(-1)
  return {
    failed: failedAtSeconds !== undefined,
    firings: firings.length,
    falsePages: firings.filter((firing) => !isMeant(firing)).length,
    watchedSeconds: end - (readings[0]?.atSeconds ?? 0),
    leadSeconds:
      failedAtSeconds !== undefined && last !== undefined && isMeant(last)
        ? failedAtSeconds - last.fromSeconds
        : undefined,
    precursorSeconds: failedAtSeconds === undefined ? 0 : takePrecursor(readings, failedAtSeconds),
  }
}

/** From where a tenth of the last climb was done; a climb is all that no fall interrupts. */
function takePrecursor(readings: readonly Reading[], failedAtSeconds: number): number {
  const used = readings.map(
    ({ capacityPorts, tracks }) =>
      capacityPorts - Math.min(...tracks.map((track) => track.availablePorts)),
  )
  const capacity = readings.at(-1)?.capacityPorts ?? 0
  let [lowest, start] = [capacity, readings.length]
  for (let i = readings.length - 1; i >= 0; i--) {
    const ports = used[i] ?? 0
    if (ports > lowest + FALL_RATIO * capacity) break
    lowest = Math.min(lowest, ports)
    start = i
  }
  const begun = lowest + BEGUN_RATIO * (capacity - lowest)
  let at = readings.length - 1
  while (at > start && (used[at] ?? 0) > begun) at--
  return failedAtSeconds - (readings[at]?.atSeconds ?? failedAtSeconds)
}
