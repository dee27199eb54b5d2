// Whether open connections pile up, that is, are opened and hardly ever closed: counts of one pool, sample by sample.

/** The counts of one moment. */
export interface OpenCount {
  /** Seconds of a clock that never steps. */
  readonly atSeconds: number
  /** Ports held by connections that are open. */
  readonly open: number
  /** Ports held by connections that end. */
  readonly closing: number
}

/** What one sample leaves for the next. */
export interface PileUp {
  /** Oldest first. From each to the next but one are POINT_SECONDS or more, but for the last. */
  readonly points: readonly OpenCount[]
  /** Undefined until enough was seen to tell. */
  readonly pilingUp: boolean | undefined
  /** The most that were open since they were found to pile up. */
  readonly peak: number
}

const WINDOW_SECONDS = 600
const POINT_SECONDS = 15
/** A burst at a start takes less. */
const LEAST_SECONDS = 60
/** A growth that is smaller is noise: so many ports, and so much of the pool. */
const LEAST_GROWTH = { ports: 8, ratio: 0.02 }
/** Share of the growth. What ended meanwhile must be less, or it is traffic. */
const MOST_CLOSING_RATIO = 0.25
/** Share of the growth that must have happened in the later half, or it has come to rest. */
const LATER_HALF_RATIO = 0.25
/** Below that share of the peak it has been cured. */
const CURED_RATIO = 0.9

/** Advances by one sample. `capacity` is that of the pool. */
export function advancePileUp(
  before: PileUp | undefined,
  now: OpenCount,
  capacity: number,
): PileUp {
  const kept = (before?.points ?? []).filter(
    ({ atSeconds }) => now.atSeconds - atSeconds <= WINDOW_SECONDS,
  )
  const last = kept.at(-2)
  // The newest point moves on until it is far enough from the one before it.
  const fixed =
    last !== undefined && now.atSeconds - last.atSeconds < POINT_SECONDS ? -1 : undefined
  const points = [...kept.slice(0, fixed), now]
  if (before?.pilingUp && now.open >= before.peak * CURED_RATIO) {
    return { points, pilingUp: true, peak: Math.max(before.peak, now.open) }
  }
  return { points, pilingUp: judge(points, now, capacity), peak: now.open }
}

function judge(
  points: readonly OpenCount[],
  now: OpenCount,
  capacity: number,
): boolean | undefined {
  const [first] = points
  if (first === undefined || now.atSeconds - first.atSeconds < LEAST_SECONDS) return undefined
  const least = points.reduce((low, point) => (point.open < low.open ? point : low), now)
  const growth = now.open - least.open
  if (growth < Math.max(LEAST_GROWTH.ports, LEAST_GROWTH.ratio * capacity)) return false
  if (now.atSeconds - least.atSeconds < LEAST_SECONDS) return false
  if (points.some(({ closing }) => closing > growth * MOST_CLOSING_RATIO)) return false
  const middle = (least.atSeconds + now.atSeconds) / 2
  const half = points.findLast(({ atSeconds }) => atSeconds <= middle) ?? least
  return now.open - half.open >= growth * LATER_HALF_RATIO
}
