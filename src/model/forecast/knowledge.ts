// Whether a track was watched for long enough to say that nothing will happen: growth, time and free ports -> yes or no.

import type { Growth } from './growth.ts'

/** Then the forecast stands by what it says, whatever is left of doubt. */
const LEARN_SECONDS = 120
/** Standard errors by which live ports may pile up faster than they seem to. */
const DOUBT_DEVIATIONS = 2

/** Not while live ports may be piling up fast enough to take all that is free within the horizon. */
export function isKnown(
  growth: Growth | undefined,
  parts: {
    readonly watchedSeconds: number
    readonly availablePorts: number
    readonly horizonSeconds: number
  },
): boolean {
  if (parts.watchedSeconds >= LEARN_SECONDS) return true
  if (growth === undefined) return false
  const most = growth.slope + DOUBT_DEVIATIONS * growth.slopeDeviation
  return most * parts.horizonSeconds < parts.availablePorts
}
