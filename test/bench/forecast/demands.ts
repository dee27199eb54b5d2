// What was asked of the forecast against what it did: the moments of one run -> whether it met the demand, and by how much.

import { isAlert, type Moment } from './replay.ts'
import type { Demand } from './scenarios.ts'
import type { Run, Scenario } from './simulation.ts'

export interface Verdict {
  readonly met: boolean
  readonly highestRisk: number
  /** From the first alert to the failure, or from the onset to the alert for steps. */
  readonly alertSeconds: number | undefined
  /** (ETA - actual) / actual at ten minutes before the failure. */
  readonly etaError: number | undefined
  readonly failedAtSeconds: number | undefined
  /** Whether the ETA also keeps to 1.5 x actual without allowance for ports that come and go; undefined where not asked. */
  readonly byTheLetter: boolean | undefined
  readonly complaints: readonly string[]
}

const WARM_UP_SECONDS = 120
/** What is asked is asked at this interval; a longer one may be late by as much as it is longer. */
const USUAL_INTERVAL_SECONDS = 5
const ETA_AT_SECONDS = 600

export function takeGrace(intervalSeconds: number): number {
  return Math.max(0, intervalSeconds - USUAL_INTERVAL_SECONDS)
}

export function judge(
  demand: Demand,
  parts: {
    readonly scenario: Scenario
    readonly run: Run
    readonly moments: readonly Moment[]
    readonly intervalSeconds: number
  },
): Verdict {
  const { scenario, run } = parts
  const graceSeconds = takeGrace(parts.intervalSeconds)
  const moments = parts.moments.filter((one) => one.reading.atSeconds >= WARM_UP_SECONDS)
  const failedAtSeconds = run.failedAtSeconds
  const highestRisk = Math.max(0, ...moments.map((one) => one.riskRatio ?? 0))
  const verdict = {
    highestRisk,
    failedAtSeconds,
    alertSeconds: undefined,
    etaError: undefined,
    byTheLetter: undefined,
  }
  if (demand.kind === 'safe' || demand.kind === 'passing') {
    const from = scenario.onsetSeconds
    const to = demand.kind === 'safe' ? from : from + demand.withinSeconds + graceSeconds
    const alerts = moments.filter(
      (one) => isAlert(one) && (one.reading.atSeconds < from || one.reading.atSeconds >= to),
    ).length
    const complaints = [
      ...(failedAtSeconds === undefined ? [] : ['the scenario itself failed']),
      ...(alerts === 0 ? [] : [`${alerts} samples with an alert`]),
    ]
    return { ...verdict, met: complaints.length === 0, complaints }
  }
  if (failedAtSeconds === undefined) {
    return { ...verdict, met: false, complaints: ['the scenario did not fail'] }
  }
  const first = moments.find(
    (one) => isAlert(one) && one.reading.atSeconds >= scenario.onsetSeconds,
  )
  const alertAt = first?.reading.atSeconds
  const early = moments.find((one) => isAlert(one) && one.reading.atSeconds < scenario.onsetSeconds)
  const cry = early === undefined ? [] : ['alert before the onset']
  if (demand.kind === 'step') {
    const alertSeconds = (alertAt ?? failedAtSeconds) - scenario.onsetSeconds
    const late = alertSeconds > demand.withinSeconds + graceSeconds
    const complaints = [
      ...cry,
      ...(late ? [`alert ${alertSeconds.toFixed(1)} s after the onset`] : []),
    ]
    return { ...verdict, met: complaints.length === 0, alertSeconds, complaints }
  }
  const alertSeconds = failedAtSeconds - (alertAt ?? failedAtSeconds)
  const asked =
    demand.kind === 'gradual'
      ? demand.leadSeconds
      : (failedAtSeconds - scenario.onsetSeconds) * demand.leftRatio
  const needed = Math.max(0, asked - graceSeconds)
  const complaints = [
    ...cry,
    ...(alertSeconds >= needed
      ? []
      : [`alert only ${alertSeconds.toFixed(0)} s before the failure`]),
  ]
  const ending = moments.filter((one) => one.reading.atSeconds >= failedAtSeconds - needed)
  const quiet = ending.filter((one) => !isAlert(one)).length
  if (quiet > 0) complaints.push(`${quiet} of ${ending.length} samples of the end without an alert`)
  const at = moments.find((one) => one.reading.atSeconds >= failedAtSeconds - ETA_AT_SECONDS)
  const actual = failedAtSeconds - (at?.reading.atSeconds ?? failedAtSeconds)
  const etaError =
    actual > 0 && at?.etaSeconds !== undefined ? (at.etaSeconds - actual) / actual : undefined
  let byTheLetter: boolean | undefined
  if (demand.kind === 'gradual' && demand.slopePortsPerSecond !== undefined) {
    const { slopePortsPerSecond, passingPorts = 0 } = demand
    const far = ending.filter((one) =>
      isEtaTooFar(one, failedAtSeconds, { slopePortsPerSecond, passingPorts }),
    ).length
    byTheLetter = ending.every(
      (one) => !isEtaTooFar(one, failedAtSeconds, { slopePortsPerSecond, passingPorts: 0 }),
    )
    if (far > 0) complaints.push(`ETA too late in ${far} of ${ending.length} samples of the end`)
  }
  return {
    ...verdict,
    met: complaints.length === 0,
    alertSeconds,
    etaError: demand.kind === 'gradual' ? etaError : undefined,
    byTheLetter,
    complaints,
  }
}

/**
 * Beyond the larger of 1.5 x actual and actual + 3 sqrt(TIME_WAIT) / slope, or no ETA at all: three standard deviations of
 * a Poisson count that comes and goes. Where there is no TIME_WAIT, that count is `passingPorts`.
 */
export function isEtaTooFar(
  { reading, etaSeconds }: Pick<Moment, 'reading' | 'etaSeconds'>,
  failedAtSeconds: number,
  {
    slopePortsPerSecond,
    passingPorts,
  }: { readonly slopePortsPerSecond: number; readonly passingPorts: number },
): boolean {
  const actual = failedAtSeconds - reading.atSeconds
  const timeWait = Math.max(...reading.tracks.map((track) => track.timeWaitPorts))
  const noise = Math.sqrt(Math.max(timeWait, passingPorts))
  const limit = Math.max(1.5 * actual, actual + (3 * noise) / slopePortsPerSecond)
  return etaSeconds === undefined || etaSeconds > limit
}
