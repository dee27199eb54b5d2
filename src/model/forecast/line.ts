// A load that rises or falls steadily: a look back -> the longest stretch that one straight line of rates explains, bent where
// it is flattening.

import type { Look, Stretch } from './look.ts'

const LEAST_SECONDS = 60
const LEAST_POINTS = 6
/** The next stretch to be tried is so many times as long. */
const NEXT_RATIO = 1.08
/**
 * How far the running sum of what the line leaves over may wander, in standard deviations of the whole count (Kuiper's
 * statistic for the residuals of a fitted line, which chance exceeds about once in a hundred stretches).
 */
const WANDER_LIMIT = 1.5

/** Of at least that length; undefined where there is none, or where one step explains as long a time better. */
export function findLine(look: Look, leastSeconds: number): Stretch | undefined {
  let best: (Stretch & { readonly explained: number }) | undefined
  let [seconds, sumT, sumTT, sumY, sumTY, within] = [0, 0, 0, 0, 0, 0]
  let next = Math.max(LEAST_SECONDS, leastSeconds)
  for (let i = 1; i < look.count; i++) {
    const [newer, older] = [look.ago[i - 1] ?? 0, look.ago[i] ?? 0]
    const span = older - newer
    const middle = -(older + newer) / 2
    const opened = (look.opened[i] ?? 0) - (look.opened[i - 1] ?? 0)
    seconds += span
    sumT += span * middle
    sumTT += span * middle * middle
    sumY += opened
    sumTY += opened * middle
    within += span ** 3 / 12
    if (i < LEAST_POINTS || seconds < next) continue
    next = seconds * NEXT_RATIO
    const mean = sumT / seconds
    const spread = sumTT - sumT * mean
    if (!(spread > 0)) continue
    const slope = (sumTY - sumY * mean) / spread
    const rate = sumY / seconds - slope * mean
    const noise = (look.variance[i] ?? 0) / seconds
    const limit = WANDER_LIMIT * Math.sqrt(noise * seconds)
    if (!staysWithin(look, { first: i, rate, slope }, limit)) continue
    best = {
      first: i,
      rate: Math.max(0, rate),
      rateDeviation: Math.sqrt(noise * (1 / seconds + mean ** 2 / (spread + within))),
      slope,
      slopeDeviation: Math.sqrt(noise / (spread + within)),
      fading: 0,
      ageSeconds: seconds,
      explained: slope * slope * spread,
    }
  }
  if (best === undefined || explainByStep(look, best.first) > best.explained) return undefined
  const { explained: _, ...line } = best
  return bendLine(look, line)
}

/** How much of the squares around the mean rate of the stretch goes with the best of all single steps. */
function explainByStep(look: Look, first: number): number {
  const [seconds, opened] = [look.ago[first] ?? 0, look.opened[first] ?? 0]
  let most = 0
  for (let i = 1; i < first; i++) {
    const after = look.ago[i] ?? 0
    const before = seconds - after
    const apart = (look.opened[i] ?? 0) / after - (opened - (look.opened[i] ?? 0)) / before
    most = Math.max(most, (apart * apart * after * before) / seconds)
  }
  return most
}

function staysWithin(
  look: Look,
  line: { first: number; rate: number; slope: number },
  limit: number,
): boolean {
  let [low, high] = [0, 0]
  for (let i = line.first; i > 0; i--) {
    const ago = look.ago[i] ?? 0
    const left = (look.opened[i] ?? 0) - (line.rate - (line.slope * ago) / 2) * ago
    if (left < low) low = left
    if (left > high) high = left
    if (high - low > limit) return false
  }
  return true
}

/**
 * Adds curvature to a line that is flattening, as far as it is more than chance: the second orthogonal polynomial over the
 * same stretch, its coefficient shrunk by z2 / (1 + z2).
 */
function bendLine(look: Look, line: Stretch): Stretch {
  const sum = (term: (at: number, seconds: number, opened: number) => number) => {
    let total = 0
    for (let i = 1; i <= line.first; i++) {
      const [newer, older] = [look.ago[i - 1] ?? 0, look.ago[i] ?? 0]
      const opened = (look.opened[i] ?? 0) - (look.opened[i - 1] ?? 0)
      total += term(-(newer + older) / 2, older - newer, opened)
    }
    return total
  }
  const seconds = line.ageSeconds
  const middle = sum((at, span) => span * at) / seconds
  const spread = sum((at, span) => span * (at - middle) ** 2)
  const skew = sum((at, span) => span * (at - middle) ** 3) / spread
  const second = (at: number) => (at - middle) ** 2 - skew * (at - middle) - spread / seconds
  const size = sum((at, span) => span * second(at) ** 2)
  const bend = sum((at, _, opened) => opened * second(at)) / size
  if (!(bend * line.slope < 0)) return line
  const noise = Math.max(1e-9, (look.variance[line.first] ?? 0) / seconds)
  const square = (bend * bend * size) / noise
  const kept = (bend * square) / (1 + square)
  const rate = Math.max(0, line.rate + kept * second(0))
  const slope = line.slope + kept * (-2 * middle - skew)
  return slope * line.slope > 0
    ? { ...line, rate, slope, fading: Math.abs((2 * kept) / slope) }
    : { ...line, rate, slope: 0, slopeDeviation: 0 }
}
