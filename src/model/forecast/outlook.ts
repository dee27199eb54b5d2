// The forecast of one track: what is known of it -> risk within the horizon and time to the first failure.

import { takeRisk, type Weights } from './risk.ts'
import { type SignalParts, takeCourse, takeDoubted, takeFarCourse, takeSignals } from './signals.ts'

export interface Outlook {
  readonly riskRatio: number
  /** False while chance may hide a trend that takes all that is free within the horizon. */
  readonly known: boolean
  /**
   * The moment at which the ports run out if everything goes on as it does; undefined when no failure is foreseen
   * within a day.
   */
  readonly etaSeconds: number | undefined
}

const MOMENTS = [
  5, 10, 15, 20, 30, 45, 60, 75, 90, 120, 150, 180, 240, 300, 375, 450, 525, 600, 675, 750, 825,
  900, 1050, 1200, 1500, 1800, 2400, 3600, 5400, 7200, 10_800, 14_400, 21_600, 43_200, 86_400,
] as const
const LIKELY_RATIO = 0.5
/** The longest horizon that the weights were learned at; what is farther follows from the trend of the hour alone... */
const LEARNED_SECONDS = 1800
/** ...once that has gone twice its own error beyond the limit within the day. */
const FAR_COURSE = 1
/** Then the forecast stands by what it says, whatever is left of doubt. */
const LEARN_SECONDS = 300

export function takeOutlook(parts: SignalParts, horizonSeconds: number, weights: Weights): Outlook {
  const moments = [...new Set([...MOMENTS, horizonSeconds])].sort((a, b) => a - b)
  const signals = takeSignals(parts, moments)
  if (signals === undefined) return { riskRatio: 0, known: false, etaSeconds: undefined }
  const end = moments.indexOf(horizonSeconds) + 1
  const near = moments.filter((at) => at <= Math.max(horizonSeconds, LEARNED_SECONDS))
  const risks = near.map((_, i) => takeRisk(weights, signals[i] ?? []))
  return {
    riskRatio: Math.max(...risks.slice(0, end)),
    known: parts.watchedSeconds >= LEARN_SECONDS || takeDoubted(signals[end - 1] ?? []) < 1,
    etaSeconds: takeEta(moments, signals, findCrossing(moments, risks, LIKELY_RATIO)),
  }
}

function takeEta(
  moments: readonly number[],
  signals: readonly (readonly number[])[],
  likelySeconds: number | undefined,
): number | undefined {
  if (likelySeconds !== undefined) {
    const course = findCrossing(moments, signals.map(takeCourse), 0) ?? likelySeconds
    return Math.min(likelySeconds, Math.max(course, likelySeconds / 2))
  }
  const far = signals.map(takeFarCourse)
  if ((far.at(-1) ?? 0) < FAR_COURSE) return undefined
  const seconds = findCrossing(moments, far, 0) ?? 0
  return seconds > LEARNED_SECONDS ? seconds : undefined
}

/** When values first reach the limit, in line between two moments. */
function findCrossing(
  moments: readonly number[],
  values: readonly number[],
  limit: number,
): number | undefined {
  const i = values.findIndex((value) => value >= limit)
  if (i < 0) return undefined
  const [from, to] = [moments[i - 1] ?? 0, moments[i] ?? 0]
  const [low, high] = [values[i - 1], values[i] ?? limit]
  return low === undefined ? to : from + ((to - from) * (limit - low)) / (high - low)
}
